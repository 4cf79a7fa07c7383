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

from api.accounting.rate_limits import NOT_SHARED, OPEN_TIMEOUT
from api.accounting.redis_limits import SharedLimits
from api.database.engine import DAMAGED, FILE, Unavailable, engine_for, usable, version
from api.database.folder import looked_at
from api.settings import Settings
from shared.checks import ApiCheck

# How each file of SQLite's begins (https://sqlite.org/fileformat.html).
MAGIC = b"SQLite format 3\0"


async def checked(settings: Settings) -> ApiCheck:
    """What would be so at a start."""
    folder = settings.data_dir.absolute()
    data = looked_at(folder, with_pepper=settings.key_pepper is None)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    limits = settings.rate_limit_url.get_secret_value() if settings.rate_limit_url else None
    # What is wrong with the folder is wrong with a file in it.
    asked = _nothing() if data and url is None else _database(url, folder)
    (found, database), unshared = await asyncio.gather(asked, _limits(limits))
    return ApiCheck(
        data=data,
        made=folder.is_dir(),
        server=url is not None,
        version=found,
        database=database,
        shared=limits is not None,
        limits=unshared,
    )


async def _nothing() -> tuple[str, str]:
    return "", ""


async def _database(url: str | None, folder: Path) -> tuple[str, str]:
    """The version of its tables, empty if there are none yet, and what is wrong."""
    try:
        engine = engine_for(url, folder) if url else _as_it_lies(folder / FILE)
        if engine is None:
            return "", ""
        try:
            found = await version(engine)
        finally:
            await engine.dispose()
        usable(found)
    except Unavailable as problem:
        return "", str(problem)
    return found or "", ""


def _as_it_lies(file: Path) -> AsyncEngine | None:
    """An engine that reads the file and nothing else; None if there is nothing to be read. Raises Unavailable."""
    try:
        with file.open("rb") as stream:
            begin = stream.read(len(MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(
            f"The database's file can't be read ({error.strerror}). Give the server's user the right to write DATA_DIR."
        ) from error
    if begin and begin != MAGIC:
        raise Unavailable(DAMAGED)
    # While somebody writes, what lies there may be between two states.
    if not begin or Path(f"{file}-wal").exists():
        return None
    query = {"immutable": "1", "uri": "true"}
    return create_async_engine(URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query=query))


async def _limits(url: str | None) -> str:
    """What is wrong with what counts for several hosts."""
    if url is None:
        return ""
    shared = SharedLimits(url, "doctor")
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            await shared.greet()
    except Exception:  # noqa: BLE001 # the driver's faults are of many kinds, and mean the same
        return NOT_SHARED
    finally:
        with contextlib.suppress(Exception):
            await shared.close()
    return ""
