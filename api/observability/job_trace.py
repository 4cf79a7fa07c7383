"""A span for each job, in the words of OpenTelemetry's conventions for generative models. Pure but for the span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/

Law: no words of a conversation, unless the operator asked for them.
"""

import msgspec

from api.core.caller import Asking
from shared.events import Done, Event, Failed, Started, TextDelta
from shared.tracing import Tracing
from shared.turn import Text, Turn


class JobTrace:
    """A watch that tells a span what it sees. Mutable: the span, and the answer's words if they are wanted."""

    def __init__(self, tracing: Tracing, turn: Turn, asking: Asking) -> None:
        self._span = tracing.span(f"chat {turn.model}", asking.traceparent, "client", asking.tracestate)
        self._words: list[str] | None = [] if tracing.content else None
        self._ended = False
        self._span.set("gen_ai.operation.name", "chat")
        self._span.set("gen_ai.provider.name", "anthropic")
        self._span.set("gen_ai.request.model", turn.model)
        self._span.set("claude_api.request_id", asking.request_id)
        self._span.set("claude_api.dialect", asking.dialect)
        self._span.set("claude_api.key", asking.key)
        if turn.max_tokens is not None:
            self._span.set("gen_ai.request.max_tokens", turn.max_tokens)
        if tracing.content:
            self._span.set("gen_ai.system_instructions", _json([_part(text) for text in turn.system]))
            self._span.set("gen_ai.input.messages", _json(_messages(turn)))

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    @property
    def tracestate(self) -> str:
        return self._span.tracestate

    def see(self, event: Event) -> None:
        """Tell the span."""
        match event:
            case Started():
                self._span.set("gen_ai.response.model", event.model)
            case TextDelta() if self._words is not None:
                self._words.append(event.text)
            case Done():
                self._ended = True
                usage = event.usage
                read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
                self._span.set("gen_ai.usage.input_tokens", read)
                self._span.set("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens)
                self._span.set("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens)
                self._span.set("gen_ai.usage.output_tokens", usage.output_tokens)
                self._span.set("gen_ai.response.finish_reasons", (event.stop_reason,))
                self._said(event.stop_reason)
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

    def _said(self, reason: str) -> None:
        if self._words is not None:
            message = {"role": "assistant", "parts": [_part("".join(self._words))], "finish_reason": reason}
            self._span.set("gen_ai.output.messages", _json([message]))


def _messages(turn: Turn) -> list[object]:
    return [
        {"role": message.role, "parts": [_part(block.text) for block in message.content if isinstance(block, Text)]}
        for message in turn.messages
    ]


def _part(text: str) -> object:
    return {"type": "text", "content": text}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
