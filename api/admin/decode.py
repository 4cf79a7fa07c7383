"""Decodes and checks requests about keys and usage. Pure.

Invariants: an error names the field, its fault and the valid values.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec import structs

from api.admin.models import MAX_MODELS, KeyFields
from api.conversation.fields import decode_json
from api.core.keys import OWNER, Allowance, Key
from api.core.problems import Problem, invalid_problem
from api.core.scopes import SCOPES
from api.database.usage import GroupBy, UsageQuery

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GROUPS: tuple[GroupBy, ...] = ("key", "model", "dialect", "day", "hour")
DEFAULT_DAYS = 30
# It is decoded on the event loop.
MAX_KEY_BODY_BYTES = 64 * 1024
# The latest time that can be written.
MAX_TIMESTAMP = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
QUERY_PARAMETERS = ("by", "since", "until", "key", "format")
UP_TO = "to 2^53, or null for no limit"
VALID_TIME = "a date or a time from 1970 on, such as 2027-01-31 or 2027-01-31T12:00:00Z"
# The valid values of each field, for the errors.
EXPECTED = {
    "name": "1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit",
    "scopes": f"a list of one or more of: {', '.join(SCOPES)}",
    "models": f"null, for every model, or 1 to {MAX_MODELS} names of models",
    "expires_at": f"null, for never, or {VALID_TIME}",
    "disabled": "true or false",
    **dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent_jobs"), f"an integer from 1 {UP_TO}"),
    **dict.fromkeys(("tokens_per_day", "tokens_per_month"), f"an integer from 0 {UP_TO}"),
    **dict.fromkeys(("usd_per_day", "usd_per_month"), f"a number from 0 {UP_TO}"),
}
_object_decoder = msgspec.json.Decoder(dict[str, Any])


def parse_fields(body: bytes, *, name: bool) -> dict[str, Any]:
    """Returns the fields that a body has. name: whether the name may be set. Raises Problem."""
    if len(body) > MAX_KEY_BODY_BYTES:
        raise Problem(413, "request_too_large", f"The body of a key may have {MAX_KEY_BODY_BYTES} bytes at most.")
    found = decode_json(body, _object_decoder)
    known = [field for field in KeyFields.__struct_fields__ if field != "name" or name]
    for field in found:
        if field not in known:
            why = "can't be changed; make another key" if field == "name" else "is unknown"
            raise invalid_problem(f"`{field}` {why}. Known fields: {', '.join(known)}.", field)
    try:
        fields = structs.asdict(msgspec.convert(found, KeyFields))
    except msgspec.ValidationError as error:
        # msgspec's message ends in the place, such as `$.scopes[1]`.
        field = re.findall(r"\$\.(\w+)", str(error))[-1]
        raise invalid_problem(f"`{field}` must be {EXPECTED[field]}.", field) from error
    return {field: fields[field] for field in found}


def apply_changes(key: Key, values: Mapping[str, Any], now: float) -> Key:
    """Returns a key with changed fields. Raises Problem."""
    changes = {name: values[name] for name in ("name", "disabled") if name in values}
    if "name" in values:
        _check_new_name(values["name"])
    if "scopes" in values:
        changes["scopes"] = tuple(dict.fromkeys(values["scopes"]))
    if "models" in values:
        changes["models"] = values["models"] and tuple(dict.fromkeys(values["models"]))
    if "expires_at" in values:
        at = None if values["expires_at"] is None else parse_time(values["expires_at"], "expires_at")
        changes["expires"] = at
        if at is not None and at <= now:
            raise invalid_problem("`expires_at` is in the past; give a future time, or null for never.", "expires_at")
    limits = {name: values[name] for name in Allowance.__struct_fields__ if name in values}
    return structs.replace(key, **changes, allowance=structs.replace(key.allowance, **limits))


def build_key(values: Mapping[str, Any], now: float) -> Key:
    """Returns a new key, still without its digest. Raises Problem."""
    for name in ("name", "scopes"):
        if name not in values:
            raise invalid_problem(f"`{name}` is missing.", name)
    return apply_changes(Key("", "", "", (), created=now), values, now)


def _check_new_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise invalid_problem(f"`name` must be {EXPECTED['name']}.", "name")
    if name.casefold() == OWNER:
        raise invalid_problem(
            f"`name` can't be `{OWNER}`, in capitals or not: the ledger calls API_SECRET_TOKEN so.", "name"
        )


def parse_time(value: str, name: str) -> float:
    """Parses a time; returns seconds since 1970. Raises Problem."""
    try:
        at = datetime.fromisoformat(value)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if not 0 <= seconds <= MAX_TIMESTAMP:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise invalid_problem(f"`{name}` must be {VALID_TIME}.", name) from error
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
