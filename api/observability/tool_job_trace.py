"""A span for each job on files and commands, in the words of OpenTelemetry's conventions. Pure but for the span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#execute-tool-span

Law: no path, no command and no output is in it. The tools executor has no network, so this span is all of it.
"""

from api.core.caller import Caller
from shared.events import Failed
from shared.tool_jobs import CommandOutput, CommandResult, JobDone, ToolJob
from shared.tracing import Tracing


class ToolJobTrace:
    """Mutable: the span, and whether the job came to an end."""

    def __init__(self, tracing: Tracing, job: ToolJob, caller: Caller) -> None:
        name = str(job.__struct_config__.tag)
        self._span = tracing.start_span(f"execute_tool {name}", caller.traceparent, "client", caller.tracestate)
        self._ended = False
        self._span.set_attribute("gen_ai.operation.name", "execute_tool")
        self._span.set_attribute("gen_ai.tool.name", name)
        self._span.set_attribute("claude_api.request_id", caller.request_id)
        self._span.set_attribute("claude_api.dialect", caller.dialect)
        self._span.set_attribute("claude_api.key", caller.key_name)

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    @property
    def tracestate(self) -> str:
        return self._span.tracestate

    def record_event(self, message: CommandOutput | JobDone | Failed) -> None:
        """Tell the span."""
        match message:
            case JobDone(result):
                self._ended = True
                if isinstance(result, CommandResult):
                    self._span.set_attribute("process.exit.code", result.returncode)
            case Failed():
                self._ended = True
                self._span.fail(message.kind.value)
            case CommandOutput():
                pass

    def end(self) -> None:
        """It is over."""
        if not self._ended:
            self._span.fail("client_disconnected")
        self._span.end()
