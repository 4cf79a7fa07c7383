"""Who asks for a job, through which door: what every job carries beside what is to be done."""

import asyncio
from typing import Any

from litestar import Request
from litestar.types import Scope
from msgspec import Struct, field

from api.auth.middleware import PRINCIPAL
from api.core.dialect_names import dialect_of
from api.core.keys import OWNER, Principal
from api.core.scopes import ANY, SCOPE
from api.http.request_context import STATE_KEY
from api.observability.http_trace import TRACEPARENT, TRACESTATE

VISIT = "visit"


class Visit:
    """What is shared by all jobs of one request. Mutable: whether its key's limits of a minute have let it in.

    admission: held while that is decided, so that it is decided once. counted: it counts as a request already, and so
    does its first job. place: the lease of a place among its key's jobs, which its jobs use one after the other.
    in_use: one of them does. over: the request has ended.
    """

    def __init__(self) -> None:
        self.admission = asyncio.Lock()
        self.let_in = False
        self.counted = False
        self.place: str | None = None
        self.in_use = False
        self.over = False


class Asking(Struct, frozen=True):
    """request_id: as in the logs. key: the name of the key that asks; holder: its id, which no other key ever has.

    dialect: the door, as in `api.core.dialect_names`. traceparent, tracestate: the caller's trace. within: it is asked for by a job
    that is under way. digest: of the key as it was sent. scopes: those that the job needs.
    """

    request_id: str
    key: str = OWNER
    dialect: str = ""
    traceparent: str = ""
    holder: str = OWNER
    within: bool = False
    tracestate: str = ""
    visit: Visit = field(default_factory=Visit)
    digest: str | None = None
    scopes: tuple[str, ...] = ()


def asking(request: Request[Any, Any, Any]) -> Asking:
    """Who asks by this request."""
    return asking_in(request.scope)


def asking_in(scope: Scope) -> Asking:
    """Who asks by the request of this scope."""
    state = scope["state"]
    principal: Principal = state[PRINCIPAL]
    handler: Any = scope.get("route_handler")
    needed = handler.opt.get(SCOPE) if handler else None
    return Asking(
        state[STATE_KEY],
        principal.name,
        dialect_of(scope["path"]),
        state.get(TRACEPARENT, ""),
        principal.id,
        tracestate=state.get(TRACESTATE, ""),
        visit=state.get(VISIT) or Visit(),
        digest=principal.key.digest if principal.key else None,
        scopes=(needed,) if needed and needed != ANY else (),
    )
