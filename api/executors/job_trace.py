"""Spans of jobs, with the names of OpenTelemetry's conventions for generative models. Pure, except for the span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/

Invariants: a span contains text of a conversation only if the operator enabled that, and never a path, a command or a
command's output. The tools executor has no network, so the API's span is the only one of a tool job.
"""

import msgspec

from api.core.caller import Caller
from shared.events import Admitted, Done, Event, Failed, Started, TextDelta
from shared.tool_jobs import CommandOutput, CommandResult, JobDone, ToolJob
from shared.tracing import Tracing
from shared.turn import Text, Turn


class JobTrace:
    """The span of one job. Mutable: the span, and whether the job reached its end."""

    def __init__(self, tracing: Tracing, name: str, operation: str, caller: Caller) -> None:
        self._span = tracing.start_span(name, caller.traceparent, "client", caller.tracestate)
        self._has_result = False
        self._span.set_attribute("gen_ai.operation.name", operation)
        self._span.set_attribute("claude_api.request_id", caller.request_id)
        self._span.set_attribute("claude_api.dialect", caller.dialect)
        self._span.set_attribute("claude_api.key", caller.key_name)

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    @property
    def tracestate(self) -> str:
        return self._span.tracestate

    def end(self) -> None:
        """Ends the span. If the job has no result, its client disconnected."""
        if not self._has_result:
            self._span.fail("client_disconnected")
        self._span.end()

    def _fail(self, failed: Failed) -> None:
        self._has_result = True
        self._span.fail(failed.kind.value)


class TurnTrace(JobTrace):
    """The span of a turn. Mutable: also the answer's text, if the operator enabled that."""

    def __init__(self, tracing: Tracing, turn: Turn, caller: Caller) -> None:
        super().__init__(tracing, f"chat {turn.model}", "chat", caller)
        self._text_pieces: list[str] | None = [] if tracing.captures_content else None
        self._span.set_attribute("gen_ai.provider.name", "anthropic")
        self._span.set_attribute("gen_ai.request.model", turn.model)
        if turn.max_tokens is not None:
            self._span.set_attribute("gen_ai.request.max_tokens", turn.max_tokens)
        if tracing.captures_content:
            self._span.set_attribute(
                "gen_ai.system_instructions", _encode_json([_build_part(text) for text in turn.system])
            )
            self._span.set_attribute("gen_ai.input.messages", _encode_json(_build_messages(turn)))

    def record_event(self, event: Event) -> None:
        """Records the turn's next event."""
        match event:
            case Admitted() if event.conversation:
                self._span.set_attribute("claude_api.conversation", event.conversation)
            case Started():
                self._span.set_attribute("gen_ai.response.model", event.model)
            case TextDelta() if self._text_pieces is not None:
                self._text_pieces.append(event.text)
            case Done():
                self._record_done(event)
            case Failed():
                self._fail(event)
            case _:
                pass

    def _record_done(self, done: Done) -> None:
        self._has_result = True
        usage = done.usage
        input_tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        self._span.set_attribute("gen_ai.usage.input_tokens", input_tokens)
        self._span.set_attribute("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens)
        self._span.set_attribute("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
        self._span.set_attribute("gen_ai.response.finish_reasons", (done.stop_reason,))
        if self._text_pieces is not None:
            parts = [_build_part("".join(self._text_pieces))]
            message = {"role": "assistant", "parts": parts, "finish_reason": done.stop_reason}
            self._span.set_attribute("gen_ai.output.messages", _encode_json([message]))


class ToolJobTrace(JobTrace):
    """The span of a job on files or commands."""

    def __init__(self, tracing: Tracing, job: ToolJob, caller: Caller) -> None:
        name = str(job.__struct_config__.tag)
        super().__init__(tracing, f"execute_tool {name}", "execute_tool", caller)
        self._span.set_attribute("gen_ai.tool.name", name)

    def record_event(self, message: CommandOutput | JobDone | Failed) -> None:
        """Records the job's next message."""
        match message:
            case JobDone(result):
                self._has_result = True
                if isinstance(result, CommandResult):
                    self._span.set_attribute("process.exit.code", result.returncode)
            case Failed():
                self._fail(message)
            case CommandOutput():
                pass


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
