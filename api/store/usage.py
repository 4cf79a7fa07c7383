"""The ledger in the database: lines written once each, and sums over them."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.dialects.postgresql import insert as insert_in_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_in_sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from api.line import DAY, HOUR, Line
from api.store.engine import transaction
from api.store.tables import ledger

type By = Literal["key", "model", "dialect", "day", "hour"]

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_tokens = ledger.c.input_tokens + ledger.c.output_tokens + ledger.c.cache_read_tokens + ledger.c.cache_write_tokens


class Spent(Struct, frozen=True):
    """What a key used of its budgets."""

    usd_day: float = 0
    usd_month: float = 0
    tokens_day: int = 0
    tokens_month: int = 0


class Asked(Struct, frozen=True):
    """Which lines, and by what they are summed. since, until: seconds since 1970, the latter excluded."""

    by: tuple[By, ...]
    since: float
    until: float
    key: str | None = None


def _row(line: Line) -> dict[str, Any]:
    counts = {name: getattr(line.usage, name) for name in COUNTS}
    return {
        "id": line.id,
        "at": line.at,
        "day": int(line.at // DAY),
        "hour": int(line.at // HOUR),
        "key": line.key,
        "dialect": line.dialect[:32],
        "model": line.model[:128],
        **counts,
        "cost_usd": line.cost_usd,
        "seconds": line.seconds,
        "outcome": line.outcome,
    }


async def write(engine: AsyncEngine, lines: Sequence[Line]) -> None:
    """Keep these lines; one that is there already stays as it is. Raises Unavailable."""
    if not lines:
        return
    insert = insert_in_postgresql if engine.dialect.name == "postgresql" else insert_in_sqlite
    async with transaction(engine) as connection:
        await connection.execute(insert(ledger).on_conflict_do_nothing(), [_row(line) for line in lines])


async def forget(engine: AsyncEngine, before: float) -> None:
    """Remove the lines of the days before this moment. Raises Unavailable."""
    async with transaction(engine) as connection:
        await connection.execute(delete(ledger).where(ledger.c.day < int(before // DAY)))


async def spent(engine: AsyncEngine, names: Iterable[str], today: int, month: int) -> dict[str, Spent]:
    """What these keys used, today and since the day on which the month began. Raises Unavailable."""
    is_today = ledger.c.day == today
    statement = (
        select(
            ledger.c.key,
            func.sum(case((is_today, ledger.c.cost_usd), else_=0.0)),
            func.sum(ledger.c.cost_usd),
            func.sum(case((is_today, _tokens), else_=0)),
            func.sum(_tokens),
        )
        .where(ledger.c.day >= month, ledger.c.key.in_(list(names)))
        .group_by(ledger.c.key)
    )
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement)).all()
    return {
        key: Spent(float(usd_day or 0), float(usd or 0), int(tokens_day or 0), int(tokens or 0))
        for key, usd_day, usd, tokens_day, tokens in rows
    }


async def summed(engine: AsyncEngine, asked: Asked) -> list[dict[str, Any]]:
    """The sums of the lines that were asked for, in the order of what they are by. Raises Unavailable."""
    groups = [ledger.c[name] for name in asked.by]
    sums: list[ColumnElement[Any]] = [
        func.count().label("jobs"),
        func.sum(case((ledger.c.outcome == "ok", 0), else_=1)).label("not_ok"),
        *(func.sum(ledger.c[name]).label(name) for name in COUNTS),
        func.sum(ledger.c.cost_usd).label("cost_usd"),
        func.sum(ledger.c.seconds).label("seconds"),
    ]
    statement = select(*groups, *sums).where(ledger.c.at >= asked.since, ledger.c.at < asked.until)
    # The day has an index.
    statement = statement.where(ledger.c.day >= int(asked.since // DAY), ledger.c.day <= int(asked.until // DAY))
    if asked.key is not None:
        statement = statement.where(ledger.c.key == asked.key)
    async with transaction(engine) as connection:
        rows = (await connection.execute(statement.group_by(*groups).order_by(*groups))).mappings().all()
    # The names are more than texts.
    return [{str.__str__(name): value for name, value in row.items()} for row in rows]
