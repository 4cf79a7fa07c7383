"""GET /metrics, for Prometheus: the metrics of this process, and the executors' statuses as metrics.

Invariants: each scrape queries the executors, so that a lost one is seen; one that does not answer delays the scrape by
its timeout at most.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from litestar import Response, Router, get
from litestar.di import NamedDependency
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.auth.middleware import BY_ADDRESS
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.scopes import REQUIRED_SCOPE
from api.executors.pool import ExecutorPool
from api.observability.metrics import CONTENT_TYPE, FAMILIES, MAX_LABEL_VALUES, OTHER, Metrics
from shared.claude_status import ClaudeStatus, HeldStatus
from shared.tool_jobs import ToolsStatus

type ExecutorStatus = ClaudeStatus | ToolsStatus | None
type Sample = tuple[str, tuple[str, ...], float]


@get("/metrics", opt={ENDPOINT: Endpoint("text/plain", errors=(421,)), REQUIRED_SCOPE: "metrics", BY_ADDRESS: True})
async def get_metrics(
    metrics: NamedDependency[Metrics],
    claude_executors: NamedDependency[ExecutorPool],
    tools_executors: NamedDependency[ExecutorPool],
) -> Response[bytes]:
    """Report every metric.

    For Prometheus, in its text format. Hosts in METRICS_ALLOW need no key.
    """
    claude, tools = await asyncio.gather(claude_executors.fetch_answers(), tools_executors.fetch_answers())
    return Response(metrics.render(build_executor_metrics({**claude, **tools})), headers={"content-type": CONTENT_TYPE})


def build_executor_metrics(statuses: Mapping[str, ExecutorStatus]) -> list[Metric]:
    """Returns every metric family of executors. statuses: by the executor's name."""
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, family in FAMILIES.items():
        if family.from_executor:
            build = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            families[name] = build(family.exposed_name, family.help, labels=list(family.labels))
    for executor, status in statuses.items():
        for name, labels, value in list_samples(status):
            families[name].add_metric([executor, *labels], value)
    return [*families.values()]


def list_samples(status: ExecutorStatus) -> Iterator[Sample]:
    """Yields an executor's samples: the family, the labels after the executor's name, the value."""
    match status:
        case None:
            yield "executor_up", (), 0
        case ClaudeStatus():
            yield "executor_up", (), bool(status.cli_version) and not status.draining
            yield "executor_info", ("claude", status.mode, status.cli_version), 1
            yield from _list_load(status)
            yield "executor_idle_processes", (), status.idle_processes
            yield "executor_cli_starts_total", (), status.cli_starts
            yield "executor_cli_ready_total", (), status.cli_ready
            yield "executor_cli_ready_seconds_total", (), status.cli_ready_seconds
            yield from _list_held(status.conversations)
            yield from _list_windows(status)
        case ToolsStatus():
            yield "executor_up", (), not status.problem and not status.draining
            yield "executor_info", ("tools", "", ""), 1
            yield from _list_load(status)
            yield "executor_tool_jobs_total", (), status.jobs_done
            for reason, count in _limit_reasons(status.refusals.items()):
                yield "executor_tool_refusals_total", (reason,), count


def _list_load(status: ClaudeStatus | ToolsStatus) -> Iterator[Sample]:
    yield "executor_draining", (), status.draining
    yield "executor_capacity", (), status.max_concurrent
    yield "executor_queue_capacity", (), status.max_queue
    yield "executor_running", (), status.running
    yield "executor_waiting", (), status.waiting


def _list_held(held: HeldStatus) -> Iterator[Sample]:
    yield "executor_held_processes", (), held.held
    yield "executor_held_capacity", (), held.max_held
    yield "executor_held_bytes", (), held.bytes
    yield "executor_held_hits_total", (), held.hits
    yield "executor_held_hit_seconds_total", (), held.hit_seconds
    for reason, count in held.replays.items():
        yield "executor_replays_total", (reason,), count
    for reason, count in held.ended.items():
        yield "executor_held_ended_total", (reason,), count


def _list_windows(status: ClaudeStatus) -> Iterator[Sample]:
    windows = status.windows.windows if status.windows else ()
    for window in windows[:MAX_LABEL_VALUES]:
        if window.utilization is not None:
            yield "window_utilization_ratio", (window.name,), window.utilization
        if window.resets_at is not None:
            yield "window_reset_timestamp_seconds", (window.name,), window.resets_at


def _limit_reasons(counts: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    rest = 0
    for number, (reason, count) in enumerate(sorted(counts)):
        if number < MAX_LABEL_VALUES:
            yield reason, count
        else:
            rest += count
    if rest:
        yield OTHER, rest


router = Router("/", tags=["Health"], route_handlers=[get_metrics])
