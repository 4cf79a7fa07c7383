"""A job's numbers, from its events. Pure: it is told the time."""

import time
from collections.abc import Callable

from prometheus_client import Histogram

from api.core.caller import Asking
from api.core.dialect_names import NONE
from api.core.problems import CLIENTS_OWN
from api.executors.observer import Watch
from api.observability.metrics import Metrics
from shared.events import (
    Admitted,
    Done,
    Event,
    Failed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolCall,
    Usage,
)
from shared.turn import Turn


class JobMetrics:
    """A watcher that counts."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock

    def __call__(self, turn: Turn, asking: Asking) -> Watch:
        return JobWatch(self._metrics, self._clock, turn.model, asking)


class JobWatch:
    """Mutable: what was seen of one job."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float], model: str, asking: Asking) -> None:
        self._metrics = metrics
        self._clock = clock
        self._began = clock()
        self._model = metrics.known("model", model)
        self._dialect = metrics.bounded("dialect", asking.dialect or NONE)
        self._key = metrics.bounded("key", asking.key)
        self._outcome = "client_disconnected"
        self._last_piece: float | None = None
        self._gaps: Histogram | None = None
        metrics.shift("jobs_in_progress", 1, self._dialect)

    def see(self, event: Event) -> None:
        """Count what the event says."""
        match event:
            case TextDelta() | ThinkingDelta() | ToolCall() | ToolArguments():
                self._piece()
            case Admitted():
                self._metrics.histogram("job_queue_seconds", self._dialect).observe(self._clock() - self._began)
                self._metrics.count("jobs_admitted_total", "yes" if event.parked else "no")
            case Started():
                self._model = self._metrics.bounded("model", event.model)
            case Done():
                self._outcome = "succeeded"
                self._used(event.usage)
                if event.cost_usd:
                    self._metrics.count("cost_usd_total", self._model, self._key, by=event.cost_usd)
            case Failed():
                self._outcome = "refused" if event.kind in CLIENTS_OWN else "failed"
                self._metrics.count("job_errors_total", self._dialect, event.kind.value)
            case _:
                pass

    def end(self) -> None:
        """Count the whole."""
        self._metrics.shift("jobs_in_progress", -1, self._dialect)
        self._metrics.count("jobs_total", self._dialect, self._model, self._outcome)
        self._metrics.histogram("job_seconds", self._dialect, self._model).observe(self._clock() - self._began)

    def _piece(self) -> None:
        now = self._clock()
        if self._last_piece is None:
            first = self._metrics.histogram("job_first_token_seconds", self._dialect, self._model)
            first.observe(now - self._began)
            self._gaps = self._metrics.histogram("job_between_tokens_seconds", self._model)
        elif self._gaps:
            self._gaps.observe(now - self._last_piece)
        self._last_piece = now

    def _used(self, usage: Usage) -> None:
        kinds = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
            "reasoning": usage.reasoning_tokens,
        }
        for kind, tokens in kinds.items():
            if tokens:
                self._metrics.count("tokens_total", self._model, self._key, kind, by=tokens)
