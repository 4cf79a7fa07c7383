"""The CLI's lines as it writes them, with the fields that are used; `protocol` turns them into values.

Invariants: the default of an optional field is what its absence means; unknown fields are ignored.
"""

import msgspec
from msgspec import Struct


class RawHead(Struct, frozen=True):
    type: str
    subtype: str | None = None


class RawResponseBody(Struct, frozen=True):
    subtype: str
    request_id: str
    error: str | None = None
    response: msgspec.Raw = msgspec.Raw(b"null")


class RawControlResponse(Struct, frozen=True):
    response: RawResponseBody


class RawRequestBody(Struct, frozen=True):
    subtype: str
    message: dict[str, object] | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class RawControlRequest(Struct, frozen=True):
    request_id: str
    request: RawRequestBody


class RawBlock(Struct, frozen=True):
    type: str = ""
    text: str = ""


class RawAssistantMessage(Struct, frozen=True):
    content: list[RawBlock] = []


class RawAssistant(Struct, frozen=True):
    message: RawAssistantMessage
    error: str | None = None
    api_error_status: int | None = None


class RawResult(Struct, frozen=True):
    subtype: str = ""
    is_error: bool = False
    num_turns: int = 0
    api_error_status: int | None = None
    result: str | None = None
    structured_output: msgspec.Raw = msgspec.Raw(b"null")
    total_cost_usd: float | None = None
    api_error: str | None = None
    terminal_reason: str | None = None


class RawInit(Struct, frozen=True):
    tools: tuple[str, ...] = ()
    model: str = ""


class RawApiRetry(Struct, frozen=True):
    error: str = ""
    error_status: int | None = None
    retry_delay_ms: float = 0


class RawWindow(Struct, frozen=True, rename="camel"):
    utilization: float | None = None
    resets_at: float | None = None


class RawRateLimitInfo(Struct, frozen=True, rename="camel"):
    status: str = ""
    resets_at: float | None = None
    rate_limit_type: str | None = None
    utilization: float | None = None
    unified_windows: dict[str, RawWindow] = {}
    is_using_overage: bool = False


class RawRateLimit(Struct, frozen=True):
    rate_limit_info: RawRateLimitInfo
