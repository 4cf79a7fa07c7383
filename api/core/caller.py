"""The caller of a job: whose key it is, which dialect and which trace the request belongs to."""

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
    """The admission of one request, shared by all its jobs. Mutable: whether the key's rate limits have admitted it.

    lock: held during the decision, so that it is made once. is_counted: the request, and with it its first job, is
    counted already. job_lease: a lease among the key's concurrent jobs, which the request's jobs use one after another.
    lease_in_use: one of them uses it now. is_finished: the request has ended.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.is_admitted = False
        self.is_counted = False
        self.job_lease: str | None = None
        self.lease_in_use = False
        self.is_finished = False


class Caller(Struct, frozen=True):
    """request_id: as in the logs. key_name: the key's name; key_id: its id, which no other key ever has.

    dialect: as in `api.core.dialect_names`. traceparent, tracestate: the caller's trace. is_nested: a running job
    requests this one. key_digest: of the key as it was sent. required_scopes: the scopes that the job needs.
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
    """Returns the caller of a request."""
    return get_caller_from_scope(request.scope)


def get_caller_from_scope(scope: Scope) -> Caller:
    """Returns the caller of the request with this ASGI scope."""
    state = scope["state"]
    principal: Principal = state[PRINCIPAL]
    handler: Any = scope.get("route_handler")
    required = handler.opt.get(REQUIRED_SCOPE) if handler else None
    return Caller(
        state[REQUEST_ID_KEY],
        principal.name,
        find_dialect(scope["path"]),
        state.get(TRACEPARENT, ""),
        principal.id,
        tracestate=state.get(TRACESTATE, ""),
        admission=state.get(REQUEST_ADMISSION) or RequestAdmission(),
        key_digest=principal.key.digest if principal.key else None,
        required_scopes=(required,) if required and required != ANY_SCOPE else (),
    )
