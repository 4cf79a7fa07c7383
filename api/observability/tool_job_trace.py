"""A span for each job on files and commands, in the words of OpenTelemetry's conventions. Pure but for the span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#execute-tool-span

Law: no path, no command and no output is in it. The tools executor has no network, so this span is all of it.
"""

from api.core.caller import Asking
from shared.events import Failed
from shared.tool_jobs import CommandEnded, JobDone, Output, ToolJob
from shared.tracing import Tracing


class HandsTrace:
    """Mutable: the span, and whether the job came to an end."""

    def __init__(self, tracing: Tracing, job: ToolJob, asking: Asking) -> None:
        name = str(job.__struct_config__.tag)
        self._span = tracing.span(f"execute_tool {name}", asking.traceparent, "client", asking.tracestate)
        self._ended = False
        self._span.set("gen_ai.operation.name", "execute_tool")
        self._span.set("gen_ai.tool.name", name)
        self._span.set("claude_api.request_id", asking.request_id)
        self._span.set("claude_api.dialect", asking.dialect)
        self._span.set("claude_api.key", asking.key)

    @property
    def traceparent(self) -> str:
        return self._span.traceparent

    @property
    def tracestate(self) -> str:
        return self._span.tracestate

    def see(self, said: Output | JobDone | Failed) -> None:
        """Tell the span."""
        match said:
            case JobDone(result):
                self._ended = True
                if isinstance(result, CommandEnded):
                    self._span.set("process.exit.code", result.returncode)
            case Failed():
                self._ended = True
                self._span.fail(said.kind.value)
            case Output():
                pass

    def end(self) -> None:
        """It is over."""
        if not self._ended:
            self._span.fail("client_disconnected")
        self._span.end()
