"""Admission of requests that cause work: key, budget, place and limits are checked before a byte of the body is read.

Law: who is over a limit causes no work: nothing is read, decoded, counted or fetched for it. A route that causes work
says so (`opt={WORK: True}`).
"""

from contextlib import AsyncExitStack

import structlog
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from api.accounting.meter import Books, Denied
from api.auth.middleware import PRINCIPAL
from api.core.caller import VISIT, Visit, asking_in
from api.core.problems import of_failure

WORK = "work"

log = structlog.get_logger()


class RequestAdmission:
    """ASGI middleware, behind the one that finds the key."""

    def __init__(self, app: ASGIApp, books: Books) -> None:
        self._app = app
        self._books = books

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        async with AsyncExitStack() as stack:
            if handler.opt.get(WORK):
                scope["state"][VISIT] = Visit()
                try:
                    await stack.enter_async_context(self._books.request(asking_in(scope)))
                except Denied as denied:
                    log.warning("no answer", kind=denied.failed.kind.value)
                    problem = of_failure(denied.failed)
                    if key := scope["state"][PRINCIPAL].key:
                        problem.more_headers.update(self._books.headers(key, scope["path"]))
                    raise problem from None
            await self._app(scope, receive, send)
