"""The trace spans of a job in an executor: one of the job, and below it one of the CLI's run."""

from shared.events import Admitted, Done, Failed, Started
from shared.tracing import Span, Tracing
from shared.wire import RunTool, Submit, ToApi


class JobTrace:
    """Turns events into spans. Mutable: the open spans."""

    def __init__(self, tracing: Tracing, message: Submit | RunTool) -> None:
        self._tracing = tracing
        self._job_span = tracing.start_span("executor.job", message.traceparent, state=message.tracestate)
        self._job_span.set_attribute("claude_api.request_id", message.request_id)
        self._cli_span: Span | None = None

    @property
    def traceparent(self) -> str:
        return self._job_span.traceparent

    def record_event(self, event: ToApi) -> None:
        """Records an event in the spans."""
        match event:
            case Admitted():
                self._cli_span = self._tracing.start_span(
                    "cli.run", self._job_span.traceparent, state=self._job_span.tracestate
                )
                self._cli_span.set_attribute("claude_api.pooled", event.pooled)
                if event.conversation:
                    self._cli_span.set_attribute("claude_api.conversation", event.conversation)
            case Started() if self._cli_span:
                self._cli_span.set_attribute("gen_ai.response.model", event.model)
            case Failed():
                for span in (self._job_span, self._cli_span):
                    if span:
                        span.fail(event.kind.value)
            case Done() if self._cli_span:
                self._cli_span.set_attribute("gen_ai.usage.output_tokens", event.usage.output_tokens)
            case _:
                pass

    def end(self) -> None:
        """Ends the spans, when the job and its CLI process have ended."""
        if self._cli_span:
            self._cli_span.end()
        self._job_span.end()
