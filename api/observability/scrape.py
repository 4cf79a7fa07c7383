"""GET /metrics, for Prometheus.

Invariants: each scrape queries the executors, so that a lost one is seen; one that does not answer delays the scrape by
its timeout at most.
"""

import asyncio

from litestar import Response, Router, get
from litestar.di import NamedDependency

from api.auth.middleware import BY_ADDRESS
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.scopes import REQUIRED_SCOPE
from api.executors.pool import ExecutorPool
from api.observability.executor_metrics import build_executor_metrics
from api.observability.metrics import CONTENT_TYPE, Metrics


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


router = Router("/", tags=["Health"], route_handlers=[get_metrics])
