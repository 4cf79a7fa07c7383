"""Metrics for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/).

Invariants: `FAMILIES` is the complete list. Clients cannot choose label values: routes are templates, models are those
that have answered, keys have names, and each label has at most `MAX_LABEL_VALUES` values; the rest is `other`. Metrics
hold no text of a conversation, no key and no path.
"""

from collections.abc import Callable, Iterable
from typing import Literal, cast

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PREFIX = "claude_api_"
OTHER = "other"
MAX_LABEL_VALUES = 100

SHORT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LONG_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
GAP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

type Kind = Literal["counter", "gauge", "histogram"]


METRIC_CLASSES: dict[Kind, Callable[..., Counter | Gauge | Histogram]] = {
    "counter": Counter,
    "gauge": Gauge,
    "histogram": Histogram,
}


class MetricFamily(Struct, frozen=True):
    """A metric. name: without `PREFIX`. from_executor: executors report it over their socket at each scrape."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    from_executor: bool = False

    @property
    def exposed_name(self) -> str:
        return PREFIX + self.name


def _build_executor_family(name: str, kind: Kind, help_text: str, *labels: str) -> MetricFamily:
    return MetricFamily(name, kind, ("executor", *labels), help_text, from_executor=True)


FAMILIES = {
    family.name: family
    for family in (
        MetricFamily(
            "http_requests_total", "counter", ("method", "route", "dialect", "status"), "Requests that have ended."
        ),
        MetricFamily(
            "http_request_seconds",
            "histogram",
            ("route", "dialect"),
            "Duration of a request, to the last byte of the response.",
            LONG_BUCKETS,
        ),
        MetricFamily("http_requests_in_progress", "gauge", (), "Requests in progress."),
        MetricFamily("http_connections", "gauge", (), "Open connections."),
        MetricFamily(
            "http_refused_connections_total",
            "counter",
            ("reason",),
            "Connections that the server refused or closed, by reason.",
        ),
        MetricFamily(
            "jobs_total",
            "counter",
            ("dialect", "model", "outcome"),
            "Finished jobs, by outcome: succeeded, failed, refused or client_disconnected.",
        ),
        MetricFamily("jobs_in_progress", "gauge", ("dialect",), "Running and waiting jobs."),
        MetricFamily(
            "job_seconds",
            "histogram",
            ("dialect", "model"),
            "Duration of a job, including its time in the queue.",
            LONG_BUCKETS,
        ),
        MetricFamily("job_queue_seconds", "histogram", ("dialect",), "Time a job spent queued.", SHORT_BUCKETS),
        MetricFamily(
            "job_first_token_seconds",
            "histogram",
            ("dialect", "model"),
            "Time from the start of a job to its first output.",
            SHORT_BUCKETS,
        ),
        MetricFamily(
            "job_between_tokens_seconds", "histogram", ("model",), "Time between two parts of an answer.", GAP_BUCKETS
        ),
        MetricFamily(
            "jobs_admitted_total", "counter", ("pooled",), "Admitted jobs, by whether an idle CLI process ran them."
        ),
        MetricFamily("job_errors_total", "counter", ("dialect", "kind"), "Failed jobs, by kind of error."),
        MetricFamily("tokens_total", "counter", ("model", "key", "kind"), "Tokens, as the service counted them."),
        MetricFamily("cost_usd_total", "counter", ("model", "key"), "Cost in US dollars, as reported by the CLI."),
        _build_executor_family("executor_up", "gauge", "1: the executor answers and accepts jobs. 0: it does not."),
        _build_executor_family(
            "executor_info", "gauge", "Always 1; the labels describe the executor.", "role", "mode", "cli_version"
        ),
        _build_executor_family("executor_draining", "gauge", "1: the executor is stopping."),
        _build_executor_family("executor_capacity", "gauge", "Maximum number of running jobs."),
        _build_executor_family("executor_queue_capacity", "gauge", "Maximum number of waiting jobs."),
        _build_executor_family("executor_running", "gauge", "Running jobs."),
        _build_executor_family("executor_waiting", "gauge", "Waiting jobs."),
        _build_executor_family("executor_idle_processes", "gauge", "Idle CLI processes in the pool."),
        _build_executor_family("executor_cli_starts_total", "counter", "Started CLI processes."),
        _build_executor_family("executor_cli_ready_total", "counter", "CLI processes that became ready for the pool."),
        _build_executor_family(
            "executor_cli_ready_seconds_total",
            "counter",
            "Total seconds from start to ready of the pool's CLI processes.",
        ),
        _build_executor_family("executor_held_processes", "gauge", "CLI processes that hold a conversation."),
        _build_executor_family("executor_held_capacity", "gauge", "Maximum number of CLI processes that hold one."),
        _build_executor_family(
            "executor_held_bytes", "gauge", "Memory of the held CLI processes, without shared pages."
        ),
        _build_executor_family("executor_held_hits_total", "counter", "Requests that a held CLI process continued."),
        _build_executor_family(
            "executor_held_hit_seconds_total", "counter", "Total seconds that the continued CLI processes were held."
        ),
        _build_executor_family(
            "executor_replays_total", "counter", "Requests that no held CLI process continued, by reason.", "reason"
        ),
        _build_executor_family(
            "executor_held_ended_total", "counter", "Held CLI processes that were ended, by reason.", "reason"
        ),
        _build_executor_family("executor_tool_jobs_total", "counter", "Finished tool jobs."),
        _build_executor_family("executor_tool_refusals_total", "counter", "Refused tool jobs, by reason.", "reason"),
        _build_executor_family(
            "window_utilization_ratio", "gauge", "Used fraction of a usage window, 0 to 1.", "window"
        ),
        _build_executor_family(
            "window_reset_timestamp_seconds", "gauge", "When a usage window resets, in seconds since 1970.", "window"
        ),
    )
}


class Metrics:
    """The metrics of one application. Mutable: the numbers, and the known values of labels."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        self._label_values: dict[str, set[str]] = {}
        ProcessCollector(registry=self._registry)
        for name, family in FAMILIES.items():
            if not family.from_executor:
                options = {"buckets": family.buckets} if family.kind == "histogram" else {}
                self._metrics[name] = METRIC_CLASSES[family.kind](
                    family.exposed_name, family.help, family.labels, registry=self._registry, **options
                )

    def limit_label(self, label: str, value: str) -> str:
        """Returns the value, or `other` if the label has too many values."""
        seen = self._label_values.setdefault(label, set())
        if value not in seen:
            if len(seen) >= MAX_LABEL_VALUES:
                return OTHER
            seen.add(value)
        return value

    def find_label(self, label: str, value: str) -> str:
        """Returns the value if the label had it before, else `other`."""
        return value if value in self._label_values.get(label, ()) else OTHER

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter or a gauge."""
        metric = cast("Counter | Gauge", self._metrics[name])
        (metric.labels(*labels) if labels else metric).inc(by)

    def adjust(self, name: str, by: int, *labels: str) -> None:
        """Add to a gauge, as a callback that is called with the change alone."""
        self.count(name, *labels, by=by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        cast("Histogram", self._metrics[name]).labels(*labels).observe(value)

    def render(self, executor_metrics: Iterable[Metric] = ()) -> bytes:
        """Returns everything in Prometheus' text format. executor_metrics: from the executors' current statuses."""
        families = list(self._registry.collect())
        for family in families:
            # Nobody uses the `_created` series, which double the storage.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
        return generate_latest(_StaticCollector((*families, *executor_metrics)))


class _StaticCollector(Collector):
    """A collector of given families."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
