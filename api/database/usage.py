"""The ledger in the database: lines written once each, what each key spent by day, and sums over the lines.

Law: a line and what it spent are written in one transaction, so that `spent` is always the sum of its lines; it outlives
them, and makes a budget a question of a few rows.
"""

import importlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import structlog
from msgspec import Struct
from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database.engine import RowRejected, transaction
from api.database.ledger_record import DAY, HOUR, LedgerRecord
from api.database.tables import daily_spending as spendings
from api.database.tables import ledger

type GroupBy = Literal["key", "model", "dialect", "day", "hour"]

log = structlog.get_logger()

MAX_DAYS_PER_MONTH = 31
TOKEN_COLUMNS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class Spending(Struct, frozen=True):
    """What a key used of its budgets; the fields are named as the limits are."""

    usd_per_day: float = 0
    usd_per_month: float = 0
    tokens_per_day: int = 0
    tokens_per_month: int = 0


class UsageQuery(Struct, frozen=True):
    """Which lines, and by what they are summed. since, until: seconds since 1970, the latter excluded."""

    by: tuple[GroupBy, ...]
    since: float
    until: float
    key: str | None = None


def _to_row(line: LedgerRecord) -> dict[str, Any]:
    counts = {name: getattr(line.usage, name) for name in TOKEN_COLUMNS}
    return {
        "id": line.id,
        "at": line.at,
        "day": int(line.at // DAY),
        "hour": int(line.at // HOUR),
        "key": line.key,
        "dialect": line.dialect[:32],
        "model": _clean(line.model)[:128],
        **counts,
        "cost_usd": line.cost_usd,
        "seconds": line.seconds,
        "outcome": line.outcome,
    }


def _clean(text: str) -> str:
    """A text that every database takes: what a client says may have characters that some do not."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def write_records(engine: AsyncEngine, lines: Sequence[LedgerRecord]) -> int:
    """Keep these lines; one that is there already stays as it is. Raises Unavailable.

    One that the database does not take must not keep the others out: how many those are.
    """
    if not lines:
        return 0
    try:
        await _write_batch(engine, lines)
    except RowRejected as refused:
        if len(lines) == 1:
            log.error("a line of the ledger is not taken", line=lines[0], reason=repr(refused.__cause__))
            return 1
        half = len(lines) // 2
        return await write_records(engine, lines[:half]) + await write_records(engine, lines[half:])
    return 0


async def _write_batch(engine: AsyncEngine, lines: Sequence[LedgerRecord]) -> None:
    insert = _get_insert(engine)
    statement = insert(ledger).on_conflict_do_nothing().returning(ledger.c.id)
    async with transaction(engine) as connection:
        # A dead process's line may be written twice, if the first writer died right after it.
        fresh = set((await connection.execute(statement, [_to_row(line) for line in lines])).scalars())
        await _add_spending(connection, insert, [line for line in lines if line.id in fresh])


async def _add_spending(connection: AsyncConnection, insert: Any, lines: Iterable[LedgerRecord]) -> None:
    sums: defaultdict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0])
    for line in lines:
        spent = sums[line.key, int(line.at // DAY)]
        spent[0] += line.cost_usd or 0
        spent[1] += line.tokens
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
    # In order, so that two hosts never wait for each other.
    rows = [
        {"key": key, "day": day, "usd": usd, "tokens": tokens} for (key, day), (usd, tokens) in sorted(sums.items())
    ]
    await connection.execute(statement, rows)


def _get_insert(engine: AsyncEngine) -> Any:
    # Each takes memory, and only one is needed.
    return importlib.import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert


async def delete_expired(engine: AsyncEngine, now: float, retention_days: int) -> None:
    """Remove the lines of days long past; what was spent stays as long as a month's budget needs it. Raises Unavailable."""
    today = int(now // DAY)
    async with transaction(engine) as connection:
        await connection.execute(delete(ledger).where(ledger.c.day < today - retention_days))
        spent_until = today - max(retention_days, MAX_DAYS_PER_MONTH)
        await connection.execute(delete(spendings).where(spendings.c.day < spent_until))


async def read_spending(
    engine: AsyncEngine, names: Iterable[str], since: int
) -> dict[str, dict[int, tuple[float, int]]]:
    """What these keys used on each day from `since` on: dollars and tokens. Raises Unavailable."""
    table = spendings
    statement = select(table).where(table.c.day >= since, table.c.key.in_(list(names)))
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement)).all()
    found: defaultdict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
    for row in rows:
        found[row.key][row.day] = float(row.usd), int(row.tokens)
    return dict(found)


async def sum_usage(engine: AsyncEngine, query: UsageQuery) -> list[dict[str, Any]]:
    """The sums of the lines that were asked for, in the order of what they are by. Raises Unavailable."""
    groups = [ledger.c[name] for name in query.by]
    sums: list[ColumnElement[Any]] = [
        func.count().label("jobs"),
        func.sum(case((ledger.c.outcome == "succeeded", 0), else_=1)).label("failed_jobs"),
        *(func.sum(ledger.c[name]).label(name) for name in TOKEN_COLUMNS),
        func.sum(ledger.c.cost_usd).label("cost_usd"),
        func.sum(ledger.c.seconds).label("seconds"),
    ]
    statement = select(*groups, *sums).where(ledger.c.at >= query.since, ledger.c.at < query.until)
    # The day has an index.
    statement = statement.where(ledger.c.day >= int(query.since // DAY), ledger.c.day <= int(query.until // DAY))
    if query.key is not None:
        statement = statement.where(ledger.c.key == query.key)
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement.group_by(*groups).order_by(*groups))).mappings().all()
    # The names are more than texts.
    return [{str.__str__(name): value for name, value in row.items()} for row in rows]
