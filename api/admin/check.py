"""The report of `--check`: whether the settings, the database and Redis can be used.

Invariants: nothing is created, changed or locked: the database file is read without SQLite's other files, and Redis gets
a ping. No sentence holds an address.
"""

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from api.accounting.rate_limits import LIMITS_NOT_SHARED, REDIS_CONNECT_TIMEOUT
from api.accounting.redis_limits import RedisLimits
from api.database.engine import (
    DATABASE_DAMAGED,
    DATABASE_FILE,
    DatabaseUnavailable,
    build_engine,
    check_version,
    read_version,
)
from api.database.folder import find_folder_problem
from api.settings import Settings
from shared.checks import ApiCheck

# The first bytes of each SQLite file (https://sqlite.org/fileformat.html).
SQLITE_MAGIC = b"SQLite format 3\0"


async def run_check(settings: Settings) -> ApiCheck:
    """Returns the problems that a start would have."""
    folder = settings.data_dir.absolute()
    data = find_folder_problem(folder, with_pepper=settings.key_pepper is None)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    limits = settings.rate_limit_url.get_secret_value() if settings.rate_limit_url else None
    # A problem of the folder is a problem of the file in it.
    checked = asyncio.create_task(_check_limits(limits))
    found, database = ("", "") if data and url is None else await _check_database(url, folder)
    unshared = await checked
    return ApiCheck(
        data_problem=data,
        data_dir_exists=folder.is_dir(),
        has_database_url=url is not None,
        schema_version=found,
        database_problem=database,
        has_rate_limit_url=limits is not None,
        rate_limit_problem=unshared,
    )


async def _check_database(url: str | None, folder: Path) -> tuple[str, str]:
    """Returns the version of the tables, empty if there are none yet, and the problem."""
    try:
        engine = build_engine(url, folder) if url else _build_readonly_engine(folder / DATABASE_FILE)
        if engine is None:
            return "", ""
        try:
            found = await read_version(engine)
        finally:
            await engine.dispose()
        check_version(found)
    except DatabaseUnavailable as problem:
        return "", str(problem)
    return found or "", ""


def _build_readonly_engine(file: Path) -> AsyncEngine | None:
    """Returns an engine that only reads the file; None if there is nothing to read. Raises DatabaseUnavailable."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseUnavailable(
            f"The database's file can't be read ({error.strerror}). Give the server's user the right to write DATA_DIR."
        ) from error
    if magic and magic != SQLITE_MAGIC:
        raise DatabaseUnavailable(DATABASE_DAMAGED)
    # During a write, the file may be inconsistent.
    if not magic or Path(f"{file}-wal").exists():
        return None
    query = {"immutable": "1", "uri": "true"}
    return create_async_engine(URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query=query))


async def _check_limits(url: str | None) -> str:
    """Returns the problem of the shared rate limits."""
    if url is None:
        return ""
    shared = RedisLimits(url, "doctor")
    try:
        async with asyncio.timeout(REDIS_CONNECT_TIMEOUT):
            await shared.ping()
    except Exception:  # noqa: BLE001 # the driver raises many kinds of errors, which mean the same
        return LIMITS_NOT_SHARED
    finally:
        with contextlib.suppress(Exception):
            await shared.close()
    return ""
