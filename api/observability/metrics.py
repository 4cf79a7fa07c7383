"""What is counted and measured, for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/).

Law: `FAMILIES` is the whole list. No label's value is a client's to choose: routes are templates, models are those that
have answered, keys have names, and each label has at most `MOST_VALUES` values; what is beyond is `other`. No words of a
conversation, no key and no path are among them.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PREFIX = "claude_api_"
OTHER = "other"
MOST_VALUES = 100

SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LONG = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
GAPS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

type Kind = Literal["counter", "gauge", "histogram"]


class Family(Struct, frozen=True):
    """A metric. name: without `PREFIX`, and as it is exposed; told: by an executor, over its socket, at each scrape."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    told: bool = False

    @property
    def exposed(self) -> str:
        return PREFIX + self.name


def _told(name: str, kind: Kind, words: str, *labels: str) -> Family:
    return Family(name, kind, ("executor", *labels), words, told=True)


FAMILIES = {
    family.name: family
    for family in (
        Family("http_requests_total", "counter", ("method", "route", "dialect", "status"), "Requests answered."),
        Family("http_request_seconds", "histogram", ("route", "dialect"), "From a request to its last byte.", LONG),
        Family("http_requests_in_progress", "gauge", (), "Requests under way."),
        Family("http_connections", "gauge", (), "Connections that are open."),
        Family("http_refused_connections_total", "counter", ("reason",), "Connections refused or ended, by reason."),
        Family(
            "jobs_total",
            "counter",
            ("dialect", "model", "outcome"),
            "Jobs ended: succeeded, failed, refused or client_disconnected.",
        ),
        Family("jobs_in_progress", "gauge", ("dialect",), "Jobs under way, waiting ones included."),
        Family("job_seconds", "histogram", ("dialect", "model"), "A whole job, waiting included.", LONG),
        Family("job_queue_seconds", "histogram", ("dialect",), "From a job's begin to its place.", SHORT),
        Family("job_first_token_seconds", "histogram", ("dialect", "model"), "To a job's first words.", SHORT),
        Family("job_between_tokens_seconds", "histogram", ("model",), "Between pieces of an answer.", GAPS),
        Family(
            "jobs_admitted_total", "counter", ("pooled",), "Jobs admitted, by whether an idle CLI process took them."
        ),
        Family("job_errors_total", "counter", ("dialect", "kind"), "Jobs that failed, by kind of error."),
        Family("tokens_total", "counter", ("model", "key", "kind"), "Tokens, as the service counted them."),
        Family("cost_usd_total", "counter", ("model", "key"), "What the CLI says that it cost, in US dollars."),
        _told("executor_up", "gauge", "1: it answers, and can serve. 0: it can't."),
        _told("executor_info", "gauge", "Always 1; its labels tell of the executor.", "role", "mode", "cli_version"),
        _told("executor_draining", "gauge", "1: it is ending."),
        _told("executor_capacity", "gauge", "Jobs it takes at the same time."),
        _told("executor_queue_capacity", "gauge", "Jobs that may wait at it."),
        _told("executor_running", "gauge", "Jobs it runs."),
        _told("executor_waiting", "gauge", "Jobs that wait at it."),
        _told("executor_idle_processes", "gauge", "Idle CLI processes in the pool."),
        _told("executor_cli_starts_total", "counter", "CLI processes started."),
        _told("executor_cli_ready_total", "counter", "CLI processes that became ready for the pool."),
        _told("executor_cli_ready_seconds_total", "counter", "The seconds that those took from start to ready."),
        _told("executor_tool_jobs_total", "counter", "Tool jobs done."),
        _told("executor_tool_refusals_total", "counter", "Tool jobs refused, by reason.", "reason"),
        _told("window_utilization_ratio", "gauge", "How much of a usage window is used, 0 to 1.", "window"),
        _told("window_reset_timestamp_seconds", "gauge", "When a usage window begins anew.", "window"),
    )
}


class Metrics:
    """One application's numbers. Mutable: the numbers, and the values that labels had."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._seen: dict[str, set[str]] = {}
        ProcessCollector(registry=self._registry)
        for name, family in FAMILIES.items():
            if not family.told:
                self._make(name, family)

    def _make(self, name: str, family: Family) -> None:
        labels, registry = family.labels, self._registry
        match family.kind:
            case "counter":
                self._counters[name] = Counter(family.exposed, family.help, labels, registry=registry)
            case "gauge":
                self._gauges[name] = Gauge(family.exposed, family.help, labels, registry=registry)
            case "histogram":
                made = Histogram(family.exposed, family.help, labels, registry=registry, buckets=family.buckets)
                self._histograms[name] = made

    def bounded(self, label: str, value: str) -> str:
        """The value, or `other` when the label has had its share of values."""
        seen = self._seen.setdefault(label, set())
        if value not in seen:
            if len(seen) >= MOST_VALUES:
                return OTHER
            seen.add(value)
        return value

    def known(self, label: str, value: str) -> str:
        """The value if the label had it before, else `other`."""
        return value if value in self._seen.get(label, ()) else OTHER

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def shift(self, name: str, by: int, *labels: str) -> None:
        """Move a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).inc(by)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """A histogram's series, to observe with."""
        return self._histograms[name].labels(*labels)

    def exposition(self, told: Iterable[Metric] = ()) -> bytes:
        """Everything, in Prometheus' text format; `told` is what the executors said just now."""
        whole = CollectorRegistry()
        whole.register(_Given((*_without_birthdays(self._registry.collect()), *told)))
        return generate_latest(whole)


class _Given(Collector):
    """Families that are there already."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _without_birthdays(families: Iterable[Metric]) -> Iterator[Metric]:
    """Leave out the `_created` series: each would double what is stored, and nobody asks for them."""
    for family in families:
        family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
        yield family
