"""Admission of requests: checks key, budget, concurrency and rate limits before a byte of the body is read.

Invariants: a request over a limit causes no work: nothing is read, decoded, counted or fetched for it. A route that
needs admission is declared with `post_job`.
"""

from contextlib import AsyncExitStack

import structlog
from litestar import post
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from api.accounting.meter import Meter
from api.auth.revocation import AdmissionDenied
from api.core.caller import RequestAdmission, get_caller_from_scope
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import problem_from_failure
from api.core.request_state import PRINCIPAL, REQUEST_ADMISSION
from api.core.scopes import REQUIRED_SCOPE

REQUIRES_ADMISSION = "admission"

log = structlog.get_logger()


def post_job(path: str, scope: str, endpoint: Endpoint) -> post:
    """Declares the handler of a request that needs admission. scope: the one that its key needs."""
    return post(path, status_code=200, opt={ENDPOINT: endpoint, REQUIRED_SCOPE: scope, REQUIRES_ADMISSION: True})


class AdmissionMiddleware:
    """ASGI middleware, inside the authentication."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        async with AsyncExitStack() as stack:
            if handler.opt.get(REQUIRES_ADMISSION):
                scope["state"][REQUEST_ADMISSION] = RequestAdmission()
                try:
                    await stack.enter_async_context(self._meter.admit_request(get_caller_from_scope(scope)))
                except AdmissionDenied as denied:
                    log.warning("request denied", kind=denied.failed.kind.value)
                    problem = problem_from_failure(denied.failed)
                    if key := scope["state"][PRINCIPAL].key:
                        problem.extra_headers.update(self._meter.build_rate_limit_headers(key, scope["path"]))
                    raise problem from None
            await self._app(scope, receive, send)
