"""GET /metrics: for Prometheus, which asks every few seconds.

Law: the executors are asked at each scrape, so that one that is lost is seen as lost; one that does not answer costs its
timeout at most.
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
    metrics: NamedDependency[Metrics], executors: NamedDependency[ExecutorPool], tools: NamedDependency[ExecutorPool]
) -> Response[bytes]:
    """Report every metric.

    For Prometheus, in its text format. Hosts in METRICS_ALLOW need no key.
    """
    claude, hands = await asyncio.gather(executors.fetch_answers(), tools.fetch_answers())
    return Response(metrics.render(build_executor_metrics({**claude, **hands})), headers={"content-type": CONTENT_TYPE})


router = Router("/", tags=["Health"], route_handlers=[get_metrics])
