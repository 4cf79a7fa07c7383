"""What the executors say of themselves, as metrics. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.observability.metrics import FAMILIES, MOST_VALUES, OTHER
from shared.tool_jobs import ToolsStatus
from shared.wire import Status

type Said = Status | ToolsStatus | None
type Sample = tuple[str, tuple[str, ...], float]


def told(said: Mapping[str, Said]) -> list[Metric]:
    """Every family that the executors tell of; said: by the executor's name."""
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, family in FAMILIES.items():
        if family.told:
            made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            families[name] = made(family.exposed, family.help, labels=list(family.labels))
    for executor, status in said.items():
        for name, labels, value in samples(status):
            families[name].add_metric([executor, *labels], value)
    return [*families.values()]


def samples(status: Said) -> Iterator[Sample]:
    """One executor's numbers: the family, its labels after the executor's name, the value."""
    match status:
        case None:
            yield "executor_up", (), 0
        case Status():
            yield "executor_up", (), bool(status.cli_version) and not status.draining
            yield "executor_info", ("claude", status.mode, status.cli_version), 1
            yield from _load(status)
            yield "executor_idle_processes", (), status.parked
            yield "executor_cli_starts_total", (), status.cli_starts
            yield "executor_cli_ready_total", (), status.cli_ready
            yield "executor_cli_ready_seconds_total", (), status.cli_ready_seconds
            yield from _windows(status)
        case ToolsStatus():
            yield "executor_up", (), not status.problem and not status.draining
            yield "executor_info", ("tools", "", ""), 1
            yield from _load(status)
            yield "executor_tool_jobs_total", (), status.jobs_done
            for reason, count in _bounded(status.refusals.items()):
                yield "executor_tool_refusals_total", (reason,), count


def _load(status: Status | ToolsStatus) -> Iterator[Sample]:
    yield "executor_draining", (), status.draining
    yield "executor_capacity", (), status.max_concurrent
    yield "executor_queue_capacity", (), status.max_queue
    yield "executor_running", (), status.running
    yield "executor_waiting", (), status.waiting


def _windows(status: Status) -> Iterator[Sample]:
    windows = status.windows.windows if status.windows else ()
    for window in windows[:MOST_VALUES]:
        if window.utilization is not None:
            yield "window_utilization_ratio", (window.name,), window.utilization
        if window.resets_at is not None:
            yield "window_reset_timestamp_seconds", (window.name,), window.resets_at


def _bounded(counts: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    rest = 0
    for number, (reason, count) in enumerate(sorted(counts)):
        if number < MOST_VALUES:
            yield reason, count
        else:
            rest += count
    if rest:
        yield OTHER, rest
