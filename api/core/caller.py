"""Who asks for a job, through which door: what every job carries beside what is to be done."""

import asyncio
from typing import Any

from litestar import Request
from litestar.types import Scope
from msgspec import Struct, field

from api.core.dialect_names import find_dialect
from api.core.keys import OWNER, Principal
from api.core.request_state import PRINCIPAL, REQUEST_ADMISSION, REQUEST_ID_KEY, TRACEPARENT, TRACESTATE
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE


class RequestAdmission:
    """What is shared by all jobs of one request. Mutable: whether its key's limits of a minute have let it in.

    admission: held while that is decided, so that it is decided once. counted: it counts as a request already, and so
    does its first job. place: the lease of a place among its key's jobs, which its jobs use one after the other.
    in_use: one of them does. over: the request has ended.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.is_admitted = False
        self.is_counted = False
        self.job_lease: str | None = None
        self.lease_in_use = False
        self.is_finished = False


class Caller(Struct, frozen=True):
    """request_id: as in the logs. key: the name of the key that asks; holder: its id, which no other key ever has.

    dialect: the door, as in `api.core.dialect_names`. traceparent, tracestate: the caller's trace. within: it is asked for by a job
    that is under way. digest: of the key as it was sent. scopes: those that the job needs.
    """

    request_id: str
    key_name: str = OWNER
    dialect: str = ""
    traceparent: str = ""
    key_id: str = OWNER
    is_nested: bool = False
    tracestate: str = ""
    admission: RequestAdmission = field(default_factory=RequestAdmission)
    key_digest: str | None = None
    required_scopes: tuple[str, ...] = ()


def get_caller(request: Request[Any, Any, Any]) -> Caller:
    """Who asks by this request."""
    return get_caller_from_scope(request.scope)


def get_caller_from_scope(scope: Scope) -> Caller:
    """Who asks by the request of this scope."""
    state = scope["state"]
    principal: Principal = state[PRINCIPAL]
    handler: Any = scope.get("route_handler")
    needed = handler.opt.get(REQUIRED_SCOPE) if handler else None
    return Caller(
        state[REQUEST_ID_KEY],
        principal.name,
        find_dialect(scope["path"]),
        state.get(TRACEPARENT, ""),
        principal.id,
        tracestate=state.get(TRACESTATE, ""),
        admission=state.get(REQUEST_ADMISSION) or RequestAdmission(),
        key_digest=principal.key.digest if principal.key else None,
        required_scopes=(needed,) if needed and needed != ANY_SCOPE else (),
    )
