"""Metrics of jobs, from their events. Pure, except for the clock."""

import time
from collections.abc import Callable

from msgspec import structs

from api.core.caller import Caller
from api.core.dialect_names import NO_DIALECT
from api.core.problems import CLIENT_ERROR_KINDS
from api.observability.metrics import Metrics
from shared.events import (
    Admitted,
    Done,
    Event,
    Failed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
)
from shared.turn import Turn


class JobMetrics:
    """The observer of one job. Mutable: its state."""

    def __init__(
        self, metrics: Metrics, turn: Turn, caller: Caller, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._started_at = clock()
        self._model = metrics.find_label("model", turn.model)
        self._dialect = metrics.limit_label("dialect", caller.dialect or NO_DIALECT)
        self._key = metrics.limit_label("key", caller.key_name)
        self._outcome = "client_disconnected"
        self._last_piece: float | None = None
        metrics.adjust("jobs_in_progress", 1, self._dialect)

    def record_event(self, event: Event) -> None:
        """Count an event."""
        match event:
            case TextDelta() | ThinkingDelta() | ToolCall() | ToolArgumentsDelta():
                self._record_piece()
            case Admitted():
                self._metrics.observe("job_queue_seconds", self._clock() - self._started_at, self._dialect)
                self._metrics.count("jobs_admitted_total", "yes" if event.pooled else "no")
            case Started():
                self._model = self._metrics.limit_label("model", event.model)
            case Done():
                self._outcome = "succeeded"
                self._count_tokens(event.usage)
                if event.cost_usd:
                    self._metrics.count("cost_usd_total", self._model, self._key, by=event.cost_usd)
            case Failed():
                self._outcome = "refused" if event.kind in CLIENT_ERROR_KINDS else "failed"
                self._metrics.count("job_errors_total", self._dialect, event.kind.value)
            case _:
                pass

    def end(self) -> None:
        """Count the finished job."""
        self._metrics.adjust("jobs_in_progress", -1, self._dialect)
        self._metrics.count("jobs_total", self._dialect, self._model, self._outcome)
        self._metrics.observe("job_seconds", self._clock() - self._started_at, self._dialect, self._model)

    def _record_piece(self) -> None:
        now = self._clock()
        if self._last_piece is None:
            self._metrics.observe("job_first_token_seconds", now - self._started_at, self._dialect, self._model)
        else:
            self._metrics.observe("job_between_tokens_seconds", now - self._last_piece, self._model)
        self._last_piece = now

    def _count_tokens(self, usage: Usage) -> None:
        for name, tokens in structs.asdict(usage).items():
            if tokens:
                self._metrics.count("tokens_total", self._model, self._key, name.removesuffix("_tokens"), by=tokens)
