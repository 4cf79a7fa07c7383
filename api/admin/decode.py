"""Decodes and checks requests about keys and usage. Pure.

Invariants: an error names the field, its fault and the valid values.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec import structs

from api.admin.models import KeyFields
from api.core.keys import OWNER, Allowance, Key
from api.core.problems import Problem, invalid_problem
from api.core.scopes import SCOPES, KeyScope
from api.database.ledger_record import DAY, HOUR
from api.database.usage import GroupBy, UsageQuery

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GROUPS: tuple[GroupBy, ...] = ("key", "model", "dialect", "day", "hour")
DEFAULT_DAYS = 30
MAX_LIMIT = 2**53
# It is decoded on the event loop.
MAX_KEY_BODY_BYTES = 64 * 1024
# The latest time that can be written.
MAX_TIMESTAMP = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
QUERY_PARAMETERS = ("by", "since", "until", "key", "format")


def parse_fields(body: bytes, *, name: bool) -> dict[str, Any]:
    """Returns the fields of a body; all are known. Raises Problem."""
    if len(body) > MAX_KEY_BODY_BYTES:
        raise Problem(413, "request_too_large", f"The body of a key may have {MAX_KEY_BODY_BYTES} bytes at most.")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", "The body is not valid JSON in UTF-8.") from error
    if not isinstance(found, dict):
        raise invalid_problem("The body must be a JSON object.")
    known = [field for field in KeyFields.__struct_fields__ if field != "name" or name]
    for field in cast("dict[str, Any]", found):
        if field not in known:
            why = "can't be changed; make another key" if field == "name" else "is unknown"
            raise invalid_problem(f"`{field}` {why}. Known fields: {', '.join(known)}.", field)
    return cast("dict[str, Any]", found)


def apply_changes(key: Key, values: Mapping[str, Any], now: float) -> Key:
    """Returns a key with changed fields. Raises Problem."""
    changes: dict[str, Any] = {}
    if "name" in values:
        changes["name"] = _parse_name(values["name"])
    if "scopes" in values:
        changes["scopes"] = _parse_scopes(values["scopes"])
    if "models" in values:
        changes["models"] = _parse_models(values["models"])
    if "expires_at" in values:
        changes["expires"] = None if values["expires_at"] is None else _parse_future_time(values["expires_at"], now)
    if "disabled" in values:
        if not isinstance(values["disabled"], bool):
            raise invalid_problem("`disabled` must be true or false.", "disabled")
        changes["disabled"] = values["disabled"]
    limits = {name: _parse_limit(name, values[name]) for name in Allowance.__struct_fields__ if name in values}
    return structs.replace(key, **changes, allowance=structs.replace(key.allowance, **limits))


def build_key(values: Mapping[str, Any], now: float) -> Key:
    """Returns a new key, still without its digest. Raises Problem."""
    for name in ("name", "scopes"):
        if name not in values:
            raise invalid_problem(f"`{name}` is missing.", name)
    return apply_changes(Key("", "", "", (), created=now), values, now)


def _parse_name(value: object) -> str:
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise invalid_problem(
            "`name` must be 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit.", "name"
        )
    if value.casefold() == OWNER:
        raise invalid_problem(
            f"`name` can't be `{OWNER}`, in capitals or not: the ledger calls API_SECRET_TOKEN so.", "name"
        )
    return value


def _parse_texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise invalid_problem(f"`{name}` must be a list of strings.", name)
    return list(dict.fromkeys(cast("list[str]", value)))


def _parse_scopes(value: object) -> tuple[KeyScope, ...]:
    for scope in (texts := _parse_texts(value, "scopes")):
        if scope not in SCOPES:
            raise invalid_problem(
                f"`scopes`: unknown scope `{scope[:64]}`. Known scopes: {', '.join(SCOPES)}.", "scopes"
            )
    if not texts:
        raise invalid_problem(f"`scopes` is empty; a key needs one or more of: {', '.join(SCOPES)}.", "scopes")
    return tuple(cast("list[KeyScope]", texts))


def _parse_models(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = _parse_texts(value, "models")
    if not texts or not all(0 < len(text) <= 128 for text in texts) or len(texts) > 100:
        raise invalid_problem("`models` must be null, for every model, or 1 to 100 names of models.", "models")
    return tuple(texts)


def _parse_limit(name: str, value: object) -> float | int | None:
    is_integer = not name.startswith("usd")
    kind = "an integer" if is_integer else "a number"
    allowed = isinstance(value, int) or (isinstance(value, float) and not is_integer)
    if value is None:
        return None
    if isinstance(value, bool) or not allowed:
        raise invalid_problem(f"`{name}` must be {kind} of 0 or more, or null for no limit.", name)
    number = cast("float", value)
    lowest = 1 if name.endswith("minute") or name == "concurrent_jobs" else 0
    # The comparison also refuses NaN; an integer may have any length.
    if not lowest <= number <= MAX_LIMIT:
        raise invalid_problem(f"`{name}` must be {kind} from {lowest} to 2^53, or null for no limit.", name)
    return number


def _parse_future_time(value: object, now: float) -> float:
    at = parse_time(value, "expires_at")
    if at <= now:
        raise invalid_problem("`expires_at` is in the past; give a future time, or null for never.", "expires_at")
    return at


def parse_time(value: object, name: str) -> float:
    """Parses a time; returns seconds since 1970. Raises Problem."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is None:
            raise ValueError
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if not 0 <= seconds <= MAX_TIMESTAMP:
            raise ValueError
    except (ValueError, OverflowError) as error:
        example = "2027-01-31 or 2027-01-31T12:00:00Z"
        raise invalid_problem(f"`{name}` must be a date or a time from 1970 on, such as {example}.", name) from error
    return seconds


def check_name(name: str) -> str:
    """Returns a key's name from an address. Raises Problem (404) for an impossible one."""
    if not NAME_PATTERN.fullmatch(name):
        raise missing_key_problem(name)
    return name


def missing_key_problem(name: str) -> Problem:
    """Returns the error for an unknown key."""
    return Problem(404, "key_not_found", f"There is no key `{name[:64]}`. GET /api/admin/keys lists them.")


def merge_query(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns a query with each name once; `by` may be repeated. Raises Problem."""
    found: dict[str, str] = {}
    for name, value in query:
        if name in found and name != "by":
            raise invalid_problem(f"`{name}` is repeated. Send it once.", name)
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def parse_usage_query(query: Mapping[str, str], now: float) -> UsageQuery:
    """Parses a query of usage. Raises Problem."""
    for name in query:
        if name not in QUERY_PARAMETERS:
            raise invalid_problem(f"`{name}` is unknown. Known parameters: {', '.join(QUERY_PARAMETERS)}.", name)
    if query.get("format", "json") not in {"json", "csv"}:
        raise invalid_problem("`format` must be json or csv.", "format")
    by = tuple(dict.fromkeys(name.strip() for name in query.get("by", "key").split(",")))
    for name in by:
        if name not in GROUPS:
            raise invalid_problem(f"`by`: unknown group `{name[:64]}`. Known groups: {', '.join(GROUPS)}.", "by")
    until = parse_time(query["until"], "until") if "until" in query else now + 1
    since = (
        parse_time(query["since"], "since")
        if "since" in query
        else until - timedelta(days=DEFAULT_DAYS).total_seconds()
    )
    if since >= until:
        raise invalid_problem("`since` must be before `until`.", "since")
    if (key := query.get("key")) is not None and not NAME_PATTERN.fullmatch(key):
        raise invalid_problem("`key` is not a valid key name. GET /api/admin/keys lists them.", "key")
    return UsageQuery(cast("tuple[GroupBy, ...]", by), max(0.0, since), until, key)


def wants_csv(query: Mapping[str, str], accept: str) -> bool:
    """Whether the client wants CSV."""
    return query.get("format") == "csv" or (
        "format" not in query and accept.split(",", maxsplit=1)[0].startswith("text/csv")
    )


def format_time(seconds: float) -> str:
    """Renders a time in RFC 3339."""
    return datetime.fromtimestamp(min(seconds, MAX_TIMESTAMP), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def format_day(number: int) -> str:
    """Renders a day."""
    return format_time(number * DAY)[:10]


def format_hour(number: int) -> str:
    """Renders an hour."""
    return format_time(number * HOUR)
