"""The ledger in the database: its records, each key's daily spending, and sums over the records.

Invariants: a record and its spending are written in one transaction, so that `spent` is always the sum of the records; it
outlives them, and a budget needs only a few of its rows.
"""

import importlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import structlog
from msgspec import Struct, structs
from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database.engine import RowRejected, transaction
from api.database.ledger_record import DAY, HOUR, LedgerRecord
from api.database.tables import TOKEN_COLUMNS, ledger
from api.database.tables import daily_spending as spendings

type GroupBy = Literal["key", "model", "dialect", "day", "hour"]

log = structlog.get_logger()

MAX_DAYS_PER_MONTH = 31


class Spending(Struct, frozen=True):
    """A key's usage of its budgets; the fields have the names of the limits."""

    usd_per_day: float = 0
    usd_per_month: float = 0
    tokens_per_day: int = 0
    tokens_per_month: int = 0


class UsageQuery(Struct, frozen=True):
    """Which records to sum, and by what. since, until: seconds since 1970, the latter excluded."""

    by: tuple[GroupBy, ...]
    since: float
    until: float
    key: str | None = None


def _to_row(record: LedgerRecord) -> dict[str, Any]:
    fields = structs.asdict(record)
    return {
        **structs.asdict(fields.pop("usage")),
        **fields,
        "day": int(record.at // DAY),
        "hour": int(record.at // HOUR),
        "dialect": record.dialect[:32],
        # Some databases reject certain characters of clients' texts.
        "model": record.model.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:128],
    }


async def write_records(engine: AsyncEngine, records: Sequence[LedgerRecord]) -> int:
    """Writes records; existing ones stay unchanged. Raises DatabaseUnavailable.

    Returns how many records the database rejected; those do not keep out the others.
    """
    if not records:
        return 0
    try:
        await _write_batch(engine, records)
    except RowRejected as rejected:
        if len(records) == 1:
            log.error("a record of the ledger was rejected", record=records[0], reason=repr(rejected.__cause__))
            return 1
        half = len(records) // 2
        return await write_records(engine, records[:half]) + await write_records(engine, records[half:])
    return 0


async def _write_batch(engine: AsyncEngine, records: Sequence[LedgerRecord]) -> None:
    insert = _get_insert(engine)
    statement = insert(ledger).on_conflict_do_nothing().returning(ledger.c.id)
    async with transaction(engine) as connection:
        # A dead process's record may be written twice, if the first writer died right after it.
        fresh = set((await connection.execute(statement, [_to_row(record) for record in records])).scalars())
        await _add_spending(connection, insert, [record for record in records if record.id in fresh])


async def _add_spending(connection: AsyncConnection, insert: Any, records: Iterable[LedgerRecord]) -> None:
    sums: defaultdict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0])
    for record in records:
        spent = sums[record.key, int(record.at // DAY)]
        spent[0] += record.cost_usd or 0
        spent[1] += record.tokens
    if not sums:
        return
    statement = insert(spendings)
    statement = statement.on_conflict_do_update(
        index_elements=["key", "day"],
        set_={
            "usd": spendings.c.usd + statement.excluded.usd,
            "tokens": spendings.c.tokens + statement.excluded.tokens,
        },
    )
    # Sorted, so that two hosts never deadlock.
    rows = [
        {"key": key, "day": day, "usd": usd, "tokens": tokens} for (key, day), (usd, tokens) in sorted(sums.items())
    ]
    await connection.execute(statement, rows)


def _get_insert(engine: AsyncEngine) -> Any:
    # Only one of the dialects is loaded, to save memory.
    return importlib.import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert


async def delete_expired(engine: AsyncEngine, now: float, retention_days: int) -> None:
    """Remove expired records; spending stays as long as a month's budget needs it. Raises DatabaseUnavailable."""
    today = int(now // DAY)
    async with transaction(engine) as connection:
        await connection.execute(delete(ledger).where(ledger.c.day < today - retention_days))
        spent_until = today - max(retention_days, MAX_DAYS_PER_MONTH)
        await connection.execute(delete(spendings).where(spendings.c.day < spent_until))


async def read_spending(
    engine: AsyncEngine, names: Iterable[str], since: int
) -> dict[str, dict[int, tuple[float, int]]]:
    """Returns the dollars and tokens of these keys for each day from `since` on. Raises DatabaseUnavailable."""
    statement = select(spendings).where(spendings.c.day >= since, spendings.c.key.in_(list(names)))
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement)).all()
    found: defaultdict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
    for row in rows:
        found[row.key][row.day] = float(row.usd), int(row.tokens)
    return dict(found)


async def sum_usage(engine: AsyncEngine, query: UsageQuery) -> list[dict[str, Any]]:
    """Returns the sums of the queried records, ordered by their groups. Raises DatabaseUnavailable."""
    groups = [ledger.c[name] for name in query.by]
    sums: list[ColumnElement[Any]] = [
        func.count().label("jobs"),
        func.sum(case((ledger.c.outcome == "succeeded", 0), else_=1)).label("failed_jobs"),
        *(func.sum(ledger.c[name]).label(name) for name in TOKEN_COLUMNS),
        func.sum(ledger.c.cost_usd).label("cost_usd"),
        func.sum(ledger.c.seconds).label("seconds"),
    ]
    statement = select(*groups, *sums).where(ledger.c.at >= query.since, ledger.c.at < query.until)
    # The day is indexed.
    statement = statement.where(ledger.c.day >= int(query.since // DAY), ledger.c.day <= int(query.until // DAY))
    if query.key is not None:
        statement = statement.where(ledger.c.key == query.key)
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement.group_by(*groups).order_by(*groups))).mappings().all()
    # The names are a subclass of str.
    return [{str.__str__(name): value for name, value in row.items()} for row in rows]
