"""The keys in the database.

Invariants: every change of a key also changes `keys_version`, in the same transaction, so that every process knows that
it must read the keys again.
"""

import uuid
from collections.abc import Callable

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.core.keys import Allowance, Key
from api.database.engine import DatabaseUnavailable, transaction
from api.database.tables import facts, keys

KEYS_VERSION = "keys_version"
PEPPER_CHECK = "pepper_check"


class DuplicateKeyName(Exception):
    """There is a key of this name already."""


def _to_row(key: Key) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(key),
        "scopes": " ".join(key.scopes),
        "models": None if key.models is None else msgspec.json.encode(key.models).decode(),
        "allowance": msgspec.json.encode(key.allowance).decode(),
    }


def _from_row(row: RowMapping) -> Key:
    models = row["models"]
    return msgspec.convert(
        {
            # The names are a subclass of str.
            **{str.__str__(name): value for name, value in row.items()},
            "scopes": tuple(row["scopes"].split()),
            "models": None if models is None else msgspec.json.decode(models),
            "allowance": msgspec.json.decode(row["allowance"], type=Allowance),
        },
        Key,
    )


async def read_keys_version(engine: AsyncEngine) -> str:
    """Returns a value that differs after each change. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        return (await connection.execute(select(facts.c.value).where(facts.c.name == KEYS_VERSION))).scalar() or ""


async def list_keys(engine: AsyncEngine) -> list[Key]:
    """Returns all keys, sorted by name. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(keys).order_by(keys.c.name))).mappings().all()
    return [_from_row(row) for row in rows]


async def find_key(engine: AsyncEngine, name: str) -> Key | None:
    """Returns the key of this name. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        row = (await connection.execute(select(keys).where(keys.c.name == name))).mappings().first()
    return _from_row(row) if row else None


async def add(engine: AsyncEngine, key: Key) -> None:
    """Store a new key. Raises DuplicateKeyName, DatabaseUnavailable."""
    try:
        async with transaction(engine) as connection:
            await _bump_keys_version(connection)
            await connection.execute(insert(keys).values(**_to_row(key)))
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, IntegrityError):
            raise DuplicateKeyName from error
        raise


async def change(engine: AsyncEngine, name: str, changed: Callable[[Key], Key]) -> Key | None:
    """Changes a key; returns the new one, None if there is none. Raises DatabaseUnavailable, and what `changed` raises."""
    async with transaction(engine) as connection:
        await _bump_keys_version(connection)
        row = (await connection.execute(select(keys).where(keys.c.name == name))).mappings().first()
        if row is None:
            return None
        key = changed(_from_row(row))
        await connection.execute(update(keys).where(keys.c.id == key.id).values(**_to_row(key)))
    return key


async def remove(engine: AsyncEngine, name: str) -> bool:
    """Removes a key; returns False if there is none. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        await _bump_keys_version(connection)
        done = await connection.execute(delete(keys).where(keys.c.name == name))
    return bool(done.rowcount)


async def match_pepper(engine: AsyncEngine, check: str) -> bool:
    """Whether the keys were made with this pepper; the first call stores it. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        found = (await connection.execute(select(facts.c.value).where(facts.c.name == PEPPER_CHECK))).scalar()
        if found is None:
            await connection.execute(insert(facts).values(name=PEPPER_CHECK, value=check))
    return found in {None, check}


async def _bump_keys_version(connection: AsyncConnection) -> None:
    """Change the version of the keys. The first statement of a transaction, so that changes wait for each other."""
    version = uuid.uuid4().hex
    done = await connection.execute(update(facts).where(facts.c.name == KEYS_VERSION).values(value=version))
    if not done.rowcount:
        await connection.execute(insert(facts).values(name=KEYS_VERSION, value=version))
