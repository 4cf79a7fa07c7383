"""What `--check` tells of the API: its settings, and whether what keys, limits and the ledger are kept in can be used.

Law: nothing is made, changed or locked, whoever looks: the database's file is read as it lies there, without what SQLite
keeps beside it, and Redis is only greeted. No address is in a sentence.
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

# How each file of SQLite's begins (https://sqlite.org/fileformat.html).
SQLITE_MAGIC = b"SQLite format 3\0"


async def run_check(settings: Settings) -> ApiCheck:
    """What would be so at a start."""
    folder = settings.data_dir.absolute()
    data = find_folder_problem(folder, with_pepper=settings.key_pepper is None)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    limits = settings.rate_limit_url.get_secret_value() if settings.rate_limit_url else None
    # What is wrong with the folder is wrong with a file in it.
    asked = _skip_database() if data and url is None else _check_database(url, folder)
    (found, database), unshared = await asyncio.gather(asked, _check_limits(limits))
    return ApiCheck(
        data_problem=data,
        data_dir_exists=folder.is_dir(),
        has_database_url=url is not None,
        schema_version=found,
        database_problem=database,
        has_rate_limit_url=limits is not None,
        rate_limit_problem=unshared,
    )


async def _skip_database() -> tuple[str, str]:
    return "", ""


async def _check_database(url: str | None, folder: Path) -> tuple[str, str]:
    """The version of its tables, empty if there are none yet, and what is wrong."""
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
    """An engine that reads the file and nothing else; None if there is nothing to be read. Raises Unavailable."""
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseUnavailable(
            f"The database's file can't be read ({error.strerror}). Give the server's user the right to write DATA_DIR."
        ) from error
    if begin and begin != SQLITE_MAGIC:
        raise DatabaseUnavailable(DATABASE_DAMAGED)
    # While somebody writes, what lies there may be between two states.
    if not begin or Path(f"{file}-wal").exists():
        return None
    query = {"immutable": "1", "uri": "true"}
    return create_async_engine(URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query=query))


async def _check_limits(url: str | None) -> str:
    """What is wrong with what counts for several hosts."""
    if url is None:
        return ""
    shared = RedisLimits(url, "doctor")
    try:
        async with asyncio.timeout(REDIS_CONNECT_TIMEOUT):
            await shared.ping()
    except Exception:  # noqa: BLE001 # the driver's faults are of many kinds, and mean the same
        return LIMITS_NOT_SHARED
    finally:
        with contextlib.suppress(Exception):
            await shared.close()
    return ""
