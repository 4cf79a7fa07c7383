"""Who asks for a job, through which door: what every job carries beside what is to be done."""

import asyncio
from typing import Any

from litestar import Request
from msgspec import Struct, field

from api.auth import principal_of
from api.dialects import dialect_of
from api.http_trace import TRACEPARENT, TRACESTATE
from api.keys import OWNER
from api.request_context import STATE_KEY


class Visit:
    """What is shared by all jobs of one request. Mutable: whether its key's limits of a minute have let it in.

    admission: held while that is decided, so that it is decided once.
    """

    def __init__(self) -> None:
        self.admission = asyncio.Lock()
        self.let_in = False


class Asking(Struct, frozen=True):
    """request_id: as in the logs. key: the name of the key that asks; holder: its id, which no other key ever has.

    dialect: the door, as in `api.dialects`. traceparent, tracestate: the caller's trace. within: it is asked for by a job
    that is under way.
    """

    request_id: str
    key: str = OWNER
    dialect: str = ""
    traceparent: str = ""
    holder: str = OWNER
    within: bool = False
    tracestate: str = ""
    visit: Visit = field(default_factory=Visit)


def asking(request: Request[Any, Any, Any]) -> Asking:
    """Who asks by this request."""
    state = request.scope["state"]
    principal = principal_of(request)
    dialect = dialect_of(request.scope["path"])
    trace = {"traceparent": state.get(TRACEPARENT, ""), "tracestate": state.get(TRACESTATE, "")}
    return Asking(state[STATE_KEY], principal.name, dialect, holder=principal.id, **trace)
