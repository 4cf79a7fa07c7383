"""A span for each job, in the words of OpenTelemetry's conventions for generative models. Pure but for the span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/

Law: no words of a conversation, unless the operator asked for them.
"""

import msgspec

from api.core.caller import Caller
from shared.events import Done, Event, Failed, Started, TextDelta
from shared.tracing import Tracing
from shared.turn import Text, Turn


class JobTrace:
    """A watch that tells a span what it sees. Mutable: the span, and the answer's words if they are wanted."""

    def __init__(self, tracing: Tracing, turn: Turn, caller: Caller) -> None:
        self._span = tracing.start_span(f"chat {turn.model}", caller.traceparent, "client", caller.tracestate)
        self._text_pieces: list[str] | None = [] if tracing.captures_content else None
        self._ended = False
        self._span.set_attribute("gen_ai.operation.name", "chat")
        self._span.set_attribute("gen_ai.provider.name", "anthropic")
        self._span.set_attribute("gen_ai.request.model", turn.model)
        self._span.set_attribute("claude_api.request_id", caller.request_id)
        self._span.set_attribute("claude_api.dialect", caller.dialect)
        self._span.set_attribute("claude_api.key", caller.key_name)
        if turn.max_tokens is not None:
            self._span.set_attribute("gen_ai.request.max_tokens", turn.max_tokens)
        if tracing.captures_content:
            self._span.set_attribute(
                "gen_ai.system_instructions", _encode_json([_build_part(text) for text in turn.system])
            )
            self._span.set_attribute("gen_ai.input.messages", _encode_json(_build_messages(turn)))

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    @property
    def tracestate(self) -> str:
        return self._span.tracestate

    def record_event(self, event: Event) -> None:
        """Tell the span."""
        match event:
            case Started():
                self._span.set_attribute("gen_ai.response.model", event.model)
            case TextDelta() if self._text_pieces is not None:
                self._text_pieces.append(event.text)
            case Done():
                self._ended = True
                usage = event.usage
                read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
                self._span.set_attribute("gen_ai.usage.input_tokens", read)
                self._span.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens)
                self._span.set_attribute("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens)
                self._span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
                self._span.set_attribute("gen_ai.response.finish_reasons", (event.stop_reason,))
                self._set_output(event.stop_reason)
            case Failed():
                self._ended = True
                self._span.fail(event.kind.value)
            case _:
                pass

    def end(self) -> None:
        """It is over."""
        if not self._ended:
            self._span.fail("client_disconnected")
        self._span.end()

    def _set_output(self, reason: str) -> None:
        if self._text_pieces is not None:
            message = {"role": "assistant", "parts": [_build_part("".join(self._text_pieces))], "finish_reason": reason}
            self._span.set_attribute("gen_ai.output.messages", _encode_json([message]))


def _build_messages(turn: Turn) -> list[object]:
    return [
        {
            "role": message.role,
            "parts": [_build_part(block.text) for block in message.content if isinstance(block, Text)],
        }
        for message in turn.messages
    ]


def _build_part(text: str) -> object:
    return {"type": "text", "content": text}


def _encode_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
