"""Encodes keys and usage: records, reports, CSV. Pure."""

import csv
import io
import time
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType, convert, structs

from api.accounting.calendar import find_reset
from api.accounting.rate_limits import RateLimitStatus
from api.admin.decode import format_time
from api.admin.models import KeyLimit, KeyRecord, OwnUsage, UsageReport, UsageRow
from api.core.keys import Key, Principal
from api.database.ledger_record import DAY, HOUR
from api.database.tables import TOKEN_COLUMNS
from api.database.usage import UsageQuery

FORMULA_PREFIXES = ("=", "+", "-", "@", "\N{MINUS SIGN}")
# Some programs skip these before a formula: white space, controls, zero-width characters.
SKIPPED_CHARACTERS = "".join(map(chr, range(33))) + "\x7f\xa0\u200b\u200c\u200d\u2060\ufeff"
SUM_COLUMNS = ("jobs", "failed_jobs", *TOKEN_COLUMNS, "cost_usd", "seconds")


def build_record(key: Key, secret: str | UnsetType = UNSET) -> KeyRecord:
    """Returns the record of a key. secret: the key itself, shown once."""
    return KeyRecord(
        key.id,
        key.name,
        list(key.scopes),
        None if key.models is None else list(key.models),
        format_time(key.created),
        None if key.expires is None else format_time(key.expires),
        key.disabled,
        **structs.asdict(key.allowance),
        key=secret,
    )


def build_report(query: UsageQuery, rows: Sequence[Mapping[str, Any]]) -> UsageReport:
    """Returns the sums with their totals."""
    totals = _build_row({name: sum(row[name] or 0 for row in rows) for name in SUM_COLUMNS})
    return UsageReport(
        format_time(query.since), format_time(query.until), list(query.by), [_build_row(row) for row in rows], totals
    )


def _build_row(row: Mapping[str, Any]) -> UsageRow:
    groups = {name: row[name] for name in row if name not in SUM_COLUMNS}
    if "day" in groups:
        groups["day"] = format_time(groups["day"] * DAY)[:10]
    if "hour" in groups:
        groups["hour"] = format_time(groups["hour"] * HOUR)
    counts = {name: int(row[name] or 0) for name in SUM_COLUMNS[:-2]}
    sums = {"cost_usd": round(float(row["cost_usd"] or 0), 6), "seconds": round(float(row["seconds"] or 0), 3)}
    return convert({**groups, **counts, **sums}, UsageRow)


def render_csv(report: UsageReport) -> str:
    """Renders the rows as CSV (RFC 4180), without the totals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    names = (*report.by, *SUM_COLUMNS)
    writer.writerow(names)
    writer.writerows([_escape_formula(getattr(row, name)) for name in names] for row in report.rows)
    return text.getvalue()


def _escape_formula(value: object) -> object:
    """Prefixes a text that a spreadsheet would treat as a formula.

    Full-width signs count as plain ones, and blanks before a sign do not hide it.
    """
    if not isinstance(value, str):
        return value
    plain = unicodedata.normalize("NFKC", value)
    is_formula = plain.lstrip(SKIPPED_CHARACTERS)[:1] in FORMULA_PREFIXES or (
        plain != "" and plain[0] in SKIPPED_CHARACTERS
    )
    return f"'{value}" if is_formula else value


def build_own_usage(
    principal: Principal, used: Mapping[str, float], remaining: Mapping[str, RateLimitStatus]
) -> OwnUsage:
    """Returns what the caller has left."""
    key = principal.key
    if key is None:
        return OwnUsage(principal.name, list(principal.scopes), None, None, [])
    now = time.time()
    limits: list[KeyLimit] = []
    for name, limit in structs.asdict(key.allowance).items():
        if limit is None:
            continue
        if name in used:
            ends = find_reset(name, now)
            spent = round(used[name], 6)
            limits.append(KeyLimit(name, limit, spent, round(max(0, limit - spent), 6), format_time(ends)))
        elif what := remaining.get(name.split("_")[0]):
            limits.append(KeyLimit(name, limit, limit - what.remaining, what.remaining, format_time(what.reset)))
        else:
            limits.append(KeyLimit(name, limit))
    record = build_record(key)
    return OwnUsage(key.name, record.scopes, record.models, record.expires_at, limits)
