"""The keys in the database.

Law: whatever changes a key raises `keys_version` in the same transaction, by which every process sees that it must read
them anew.
"""

import uuid
from collections.abc import Callable

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.core.keys import Allowance, Key
from api.database.engine import Unavailable, transaction
from api.database.tables import facts, keys

CHANGES = "keys_version"
PEPPER = "pepper_check"


class NameTaken(Exception):
    """There is a key of this name already."""


def _row(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "digest": key.digest,
        "scopes": " ".join(key.scopes),
        "models": None if key.models is None else msgspec.json.encode(key.models).decode(),
        "created": key.created,
        "expires": key.expires,
        "disabled": key.disabled,
        "allowance": msgspec.json.encode(key.allowance).decode(),
    }


def _key(row: RowMapping) -> Key:
    models = row["models"]
    return msgspec.convert(
        {
            # Its names are more than texts.
            **{str.__str__(name): value for name, value in row.items()},
            "scopes": tuple(row["scopes"].split()),
            "models": None if models is None else msgspec.json.decode(models),
            "allowance": msgspec.json.decode(row["allowance"], type=Allowance),
        },
        Key,
    )


async def changes(engine: AsyncEngine) -> str:
    """A word that is another one after each change. Raises Unavailable."""
    async with transaction(engine) as connection:
        return (await connection.execute(select(facts.c.value).where(facts.c.name == CHANGES))).scalar() or ""


async def everyone(engine: AsyncEngine) -> list[Key]:
    """All keys, by name. Raises Unavailable."""
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(keys).order_by(keys.c.name))).mappings().all()
    return [_key(row) for row in rows]


async def one(engine: AsyncEngine, name: str) -> Key | None:
    """The key of this name. Raises Unavailable."""
    async with transaction(engine) as connection:
        row = (await connection.execute(select(keys).where(keys.c.name == name))).mappings().first()
    return _key(row) if row else None


async def add(engine: AsyncEngine, key: Key) -> None:
    """Keep a new key. Raises NameTaken, Unavailable."""
    try:
        async with transaction(engine) as connection:
            await _changed(connection)
            await connection.execute(insert(keys).values(**_row(key)))
    except Unavailable as error:
        if isinstance(error.__cause__, IntegrityError):
            raise NameTaken from error
        raise


async def change(engine: AsyncEngine, name: str, changed: Callable[[Key], Key]) -> Key | None:
    """Change a key; what it is now, None if there is none. Raises Unavailable, and what `changed` raises."""
    async with transaction(engine) as connection:
        await _changed(connection)
        row = (await connection.execute(select(keys).where(keys.c.name == name))).mappings().first()
        if row is None:
            return None
        key = changed(_key(row))
        await connection.execute(update(keys).where(keys.c.id == key.id).values(**_row(key)))
    return key


async def remove(engine: AsyncEngine, name: str) -> bool:
    """Remove a key; False if there is none. Raises Unavailable."""
    async with transaction(engine) as connection:
        await _changed(connection)
        done = await connection.execute(delete(keys).where(keys.c.name == name))
    return bool(done.rowcount)


async def same_pepper(engine: AsyncEngine, check: str) -> bool:
    """Whether the keys there were made with this pepper; the first to ask decides. Raises Unavailable."""
    async with transaction(engine) as connection:
        found = (await connection.execute(select(facts.c.value).where(facts.c.name == PEPPER))).scalar()
        if found is None:
            await connection.execute(insert(facts).values(name=PEPPER, value=check))
    return found in {None, check}


async def _changed(connection: AsyncConnection) -> None:
    """Say that a key changes. The first thing in its transaction, so that changes wait for each other."""
    mark = uuid.uuid4().hex
    done = await connection.execute(update(facts).where(facts.c.name == CHANGES).values(value=mark))
    if not done.rowcount:
        await connection.execute(insert(facts).values(name=CHANGES, value=mark))
