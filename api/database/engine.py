"""The database: its engine, its version, and its errors with their fixes.

Invariants: no driver's exception leaves this package. No sentence holds an address, a user or a password.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, inspect, select, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from api.database.tables import SCHEMA_VERSION, VERSION_TABLE, metadata

DATABASE_TIMEOUT = 5.0
DATABASE_FILE = "server.db"
DATABASE_DAMAGED = "The database's file is damaged or not a database. Put a backup in its place, or move it away."
# Parts of drivers' messages, in the order in which they count, with what they mean.
KNOWN_ERRORS = (
    (("locked",), "The database is locked by another program. End that program; the server retries."),
    (("is full", "no space", "disk_full"), "The disk of the database is full. Free disk space; the server retries."),
    (("readonly",), "The database can't be written. Give the server's user the right to write DATA_DIR."),
    (("unable to open",), "The database's file can't be opened. Give the server's user the right to write DATA_DIR."),
    (("permission",), "The database refuses this user. Fix its rights, or DATABASE_URL."),
    (("not a database",), DATABASE_DAMAGED),
    (("malformed",), "The database's file is damaged. Put a backup in its place, or move it away."),
    (("relation", "no such table"), "The database lacks its tables. Run `claude-api-server db upgrade`."),
    (("does not exist",), "There is no such database or role. Create it (`createdb`), or fix DATABASE_URL."),
    (("password",), "The database refuses the password. Fix DATABASE_URL."),
)
# A random number, for pg_advisory_xact_lock during upgrades.
UPGRADE_LOCK_ID = 7_406_113_902_551

# It logs every call twice.
logging.getLogger("aiosqlite").setLevel(logging.WARNING)


class DatabaseUnavailable(Exception):
    """The database can't be used now; the message says why and what to do."""


class RowRejected(DatabaseUnavailable):
    """The database works, but rejects this row."""


def build_engine(url: str | None, folder: Path) -> AsyncEngine:
    """Returns an engine; nothing is opened yet."""
    if url is None:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{folder / DATABASE_FILE}",
            connect_args={"timeout": DATABASE_TIMEOUT},
            pool_size=2,
            max_overflow=2,
        )
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        return engine
    location = make_url(url).set(drivername="postgresql+asyncpg")
    arguments = {"timeout": DATABASE_TIMEOUT, "command_timeout": DATABASE_TIMEOUT}
    return create_async_engine(location, connect_args=arguments, pool_size=2, max_overflow=2, pool_pre_ping=True)


def _configure_sqlite(connection: Any, _record: object) -> None:
    """SQLite for several processes: readers never wait for a writer (https://sqlite.org/wal.html)."""
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()
    except BaseException:
        # The pool does not know it yet, so its thread would stay.
        connection.close()
        raise


@contextlib.asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Runs a transaction. Raises DatabaseUnavailable."""
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise (RowRejected if is_row_rejected(error) else DatabaseUnavailable)(describe_error(error)) from error


def is_row_rejected(error: BaseException) -> bool:
    """Whether the written row is at fault, so that a retry would fail too.

    PostgreSQL reports it by the error classes 22 and 23 (https://www.postgresql.org/docs/current/errcodes-appendix.html).
    """
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return isinstance(error, DataError | IntegrityError) or state[:2] in {"22", "23"}


def describe_error(error: BaseException) -> str:
    """Returns the database's problem and its fix."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    words = str(original).lower()
    for signs, meaning in KNOWN_ERRORS:
        if any(sign in words for sign in signs):
            return meaning
    if isinstance(original, OSError | TimeoutError):
        return "The database does not answer. Start it, or fix DATABASE_URL; the server retries."
    return f"The database can't be used ({type(original).__name__}). The API's log says more."


async def read_version(engine: AsyncEngine) -> str | None:
    """Returns the version of the tables; None if there are none. Raises DatabaseUnavailable."""
    async with transaction(engine) as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table(VERSION_TABLE.name)):
            return None
        return (await connection.execute(select(VERSION_TABLE.c.version_num))).scalar()


def check_version(found: str | None) -> None:
    """Raises DatabaseUnavailable for tables of a newer version than this program knows."""
    if found is not None and found > SCHEMA_VERSION:
        raise DatabaseUnavailable(
            f"The database is of version {found}, and this program knows {SCHEMA_VERSION} at most: it was upgraded by a newer "
            "one. Run that one, or give this one another DATA_DIR or DATABASE_URL."
        )


async def upgrade(engine: AsyncEngine, folder: Path) -> str:
    """Upgrades the tables to this version; returns the version before. Raises DatabaseUnavailable."""
    found = await read_version(engine)
    if found == SCHEMA_VERSION:
        return found
    check_version(found)
    with _hold_upgrade_lock(folder):
        async with transaction(engine) as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(select(text(f"pg_advisory_xact_lock({UPGRADE_LOCK_ID})")))
            await connection.run_sync(_run_migrations)
    return found or "none"


def _run_migrations(connection: Connection) -> None:
    VERSION_TABLE.create(connection, checkfirst=True)
    # Another process may have upgraded them meanwhile.
    found = connection.execute(select(VERSION_TABLE.c.version_num)).scalar()
    if found is None:
        # The same tables as the migrations create; a test compares them.
        metadata.create_all(connection)
        connection.execute(insert(VERSION_TABLE).values(version_num=SCHEMA_VERSION))
    if found in {None, SCHEMA_VERSION}:
        return
    # Alembic takes 30 MB that are never released, so it is loaded only for an upgrade.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseUnavailable(
            f"The database says that it is of version {found}, which no version of this program made. Put a backup in its "
            "place, or give this program another DATA_DIR or DATABASE_URL."
        ) from error


@contextlib.contextmanager
def _hold_upgrade_lock(folder: Path):  # noqa: ANN202 # a context manager without a value
    """Allows one upgrade at a time on this host."""
    descriptor = os.open(folder / "upgrade.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
