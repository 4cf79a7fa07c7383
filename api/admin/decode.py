"""What is said of keys and asked of usage, checked. Pure.

Law: a refusal names the field, what is wrong with it and what it may be.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec import structs

from api.accounting.ledger_record import DAY, HOUR
from api.admin.models import KeyFields
from api.core.keys import OWNER, Allowance, Key
from api.core.problems import Problem, invalid
from api.core.scopes import SCOPES, Scope
from api.database.usage import Asked, By

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GROUPS: tuple[By, ...] = ("key", "model", "dialect", "day", "hour")
USUAL = 30
LARGEST = 2**53
# It is read on the event loop.
LONGEST_BODY = 64 * 1024
# What can be written as a time.
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
QUERY = ("by", "since", "until", "key", "format")


def fields(body: bytes, *, name: bool) -> dict[str, Any]:
    """The fields of a body; each is one that there is. Raises Problem."""
    if len(body) > LONGEST_BODY:
        raise Problem(413, "request_too_large", f"What is said of a key has {LONGEST_BODY} bytes at most.")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", "The body is not valid JSON in UTF-8.") from error
    if not isinstance(found, dict):
        raise invalid("The body must be a JSON object.")
    known = [field for field in KeyFields.__struct_fields__ if field != "name" or name]
    for field in cast("dict[str, Any]", found):
        if field not in known:
            why = "can't be changed; make another key" if field == "name" else "is not known here"
            raise invalid(f"`{field}` {why}. There are: {', '.join(known)}.", field)
    return cast("dict[str, Any]", found)


def changed(key: Key, said: Mapping[str, Any], now: float) -> Key:
    """A key as it is after what was said. Raises Problem."""
    changes: dict[str, Any] = {}
    if "name" in said:
        changes["name"] = _name(said["name"])
    if "scopes" in said:
        changes["scopes"] = _scopes(said["scopes"])
    if "models" in said:
        changes["models"] = _models(said["models"])
    if "expires_at" in said:
        changes["expires"] = None if said["expires_at"] is None else _later(said["expires_at"], now)
    if "disabled" in said:
        if not isinstance(said["disabled"], bool):
            raise invalid("`disabled` must be true or false.", "disabled")
        changes["disabled"] = said["disabled"]
    limits = {name: _limit(name, said[name]) for name in Allowance.__struct_fields__ if name in said}
    return structs.replace(key, **changes, allowance=structs.replace(key.allowance, **limits))


def new(said: Mapping[str, Any], now: float) -> Key:
    """A new key's record, still without its digest. Raises Problem."""
    for name in ("name", "scopes"):
        if name not in said:
            raise invalid(f"`{name}` is missing.", name)
    return changed(Key("", "", "", (), created=now), said, now)


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise invalid("`name` must be 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit.", "name")
    if value.casefold() == OWNER:
        raise invalid(f"`name` can't be `{OWNER}`, in capitals or not: the ledger calls API_SECRET_TOKEN so.", "name")
    return value


def _texts(value: object, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in cast("list[object]", value)):
        raise invalid(f"`{name}` must be a list of texts.", name)
    return list(dict.fromkeys(cast("list[str]", value)))


def _scopes(value: object) -> tuple[Scope, ...]:
    for scope in (texts := _texts(value, "scopes")):
        if scope not in SCOPES:
            raise invalid(f"`scopes`: there is no scope `{scope[:64]}`. There are: {', '.join(SCOPES)}.", "scopes")
    if not texts:
        raise invalid(f"`scopes` is empty; a key needs one or more of: {', '.join(SCOPES)}.", "scopes")
    return tuple(cast("list[Scope]", texts))


def _models(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = _texts(value, "models")
    if not texts or not all(0 < len(text) <= 128 for text in texts) or len(texts) > 100:
        raise invalid("`models` must be null, for every model, or 1 to 100 names of models.", "models")
    return tuple(texts)


def _limit(name: str, value: object) -> float | int | None:
    whole = not name.startswith("usd")
    kind = "a whole number" if whole else "a number"
    allowed = isinstance(value, int) or (isinstance(value, float) and not whole)
    if value is None:
        return None
    if isinstance(value, bool) or not allowed:
        raise invalid(f"`{name}` must be {kind} of 0 or more, or null for no limit.", name)
    number = cast("float", value)
    lowest = 1 if name.endswith("minute") or name == "concurrent_jobs" else 0
    # No number that is none fits between two others; a whole number may have any length.
    if not lowest <= number <= LARGEST:
        raise invalid(f"`{name}` must be {kind} from {lowest} to 2^53, or null for no limit.", name)
    return number


def _later(value: object, now: float) -> float:
    at = moment(value, "expires_at")
    if at <= now:
        raise invalid("`expires_at` is in the past; give a time to come, or null for never.", "expires_at")
    return at


def moment(value: object, name: str) -> float:
    """A time, in seconds since 1970. Raises Problem."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is None:
            raise ValueError
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if not 0 <= seconds <= LATEST:
            raise ValueError
    except (ValueError, OverflowError) as error:
        example = "2027-01-31 or 2027-01-31T12:00:00Z"
        raise invalid(f"`{name}` must be a date or a time from 1970 on, such as {example}.", name) from error
    return seconds


def named(name: str) -> str:
    """A name that a key may have, in an address. Raises Problem (404)."""
    if not NAME.fullmatch(name):
        raise missing(name)
    return name


def missing(name: str) -> Problem:
    """There is no such key."""
    return Problem(404, "key_not_found", f"There is no key `{name[:64]}`. GET /api/admin/keys lists them.")


def once(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A query, each name of it once; `by` may be said several times. Raises Problem."""
    found: dict[str, str] = {}
    for name, value in query:
        if name in found and name != "by":
            raise invalid(f"`{name}` is there twice. Say it once.", name)
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def asked(query: Mapping[str, str], now: float) -> Asked:
    """What is asked of usage. Raises Problem."""
    for name in query:
        if name not in QUERY:
            raise invalid(f"`{name}` is not known here. There are: {', '.join(QUERY)}.", name)
    if query.get("format", "json") not in {"json", "csv"}:
        raise invalid("`format` must be json or csv.", "format")
    by = tuple(dict.fromkeys(name.strip() for name in query.get("by", "key").split(",")))
    for name in by:
        if name not in GROUPS:
            raise invalid(f"`by`: usage is not kept by `{name[:64]}`. There are: {', '.join(GROUPS)}.", "by")
    until = moment(query["until"], "until") if "until" in query else now + 1
    since = moment(query["since"], "since") if "since" in query else until - timedelta(days=USUAL).total_seconds()
    if since >= until:
        raise invalid("`since` must be before `until`.", "since")
    if (key := query.get("key")) is not None and not NAME.fullmatch(key):
        raise invalid("`key` is no name of a key. GET /api/admin/keys lists them.", "key")
    return Asked(cast("tuple[By, ...]", by), max(0.0, since), until, key)


def wants_csv(query: Mapping[str, str], accept: str) -> bool:
    """Whether a table is wanted."""
    return query.get("format") == "csv" or (
        "format" not in query and accept.split(",", maxsplit=1)[0].startswith("text/csv")
    )


def at(seconds: float) -> str:
    """A time as it is written."""
    return datetime.fromtimestamp(min(seconds, LATEST), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day(number: int) -> str:
    """A day as it is written."""
    return at(number * DAY)[:10]


def hour(number: int) -> str:
    """An hour as it is written."""
    return at(number * HOUR)
