"""The spans of a job in an executor, from its events: the whole of it, and below that the CLI's run."""

from shared.events import Admitted, Done, Failed, Started
from shared.tracing import Span, Tracing
from shared.wire import Do, Submit, ToApi


class JobTrace:
    """Mutable: the spans that are open."""

    def __init__(self, tracing: Tracing, message: Submit | Do) -> None:
        self._tracing = tracing
        self._job = tracing.span("executor.job", message.traceparent, state=message.tracestate)
        self._job.set("claude_api.request_id", message.request_id)
        self._run: Span | None = None

    @property
    def traceparent(self) -> str:
        return self._job.traceparent

    def see(self, event: ToApi) -> None:
        """Tell the spans."""
        match event:
            case Admitted():
                self._run = self._tracing.span("cli.run", self._job.traceparent, state=self._job.tracestate)
                self._run.set("claude_api.pooled", event.parked)
            case Started() if self._run:
                self._run.set("gen_ai.response.model", event.model)
            case Failed():
                for span in (self._job, self._run):
                    if span:
                        span.fail(event.kind.value)
            case Done() if self._run:
                self._run.set("gen_ai.usage.output_tokens", event.usage.output_tokens)
            case _:
                pass

    def end(self) -> None:
        """It is over, the CLI's process too."""
        if self._run:
            self._run.end()
        self._job.end()
