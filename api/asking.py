"""Who asks for a job, through which door: what every job carries beside what is to be done."""

from typing import Any

from litestar import Request
from msgspec import Struct

from api.auth import principal_of
from api.request_context import STATE_KEY


class Asking(Struct, frozen=True):
    """request_id: as in the logs. key: the name of the key that asks. dialect: the door. traceparent: the caller's trace."""

    request_id: str
    key: str = "owner"
    dialect: str = ""
    traceparent: str = ""


def asking(request: Request[Any, Any, Any], dialect: str) -> Asking:
    """Who asks by this request."""
    return Asking(request.scope["state"][STATE_KEY], principal_of(request).name, dialect)
