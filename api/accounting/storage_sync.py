"""Synchronizes keys and ledger with the database, in the background.

Invariants: no request waits for it. An unusable database is retried; meanwhile the last known keys stay valid, the
ledger's records wait in the journal, and `problems` names each problem and its fix.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounting.ledger import Ledger
from api.accounting.rate_limits import RateLimiter
from api.core.keys import Keyring, hash_pepper
from api.core.problems import Problem
from api.database import keys as stored
from api.database import usage
from api.database.engine import DATABASE_FILE, DatabaseUnavailable, build_engine, upgrade
from api.database.folder import load_pepper, prepare_folder
from api.settings import Settings

# Less than half of the second within which a change takes effect.
KEYS_POLL_INTERVAL = 0.4
LEDGER_FLUSH_INTERVAL = 1.0
PROBE_INTERVAL = 2.0
RETENTION_INTERVAL = 3600.0
FINAL_FLUSH_TIMEOUT = 2.0
DATABASE_FILE_MISSING = (
    "The database file is missing from DATA_DIR. Put it back, or restart the server with an empty database. Until then "
    "the last known keys stay valid, and can't be changed."
)
PEPPER_MISMATCH = (
    "The keys of this database were made with another pepper. Copy the file `pepper` of DATA_DIR from the API that made "
    "them, or set the same KEY_PEPPER for all."
)

log = structlog.get_logger()


class StorageSync:
    """Mutable: the engine once it is open, the tasks, and the problems. revoke: is called after the keys were read."""

    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        limiter: RateLimiter,
        ledger: Ledger,
        revoke: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._folder = settings.data_dir.absolute()
        self._keyring = keyring
        self._limiter = limiter
        self._ledger = ledger
        self._revoke = revoke
        self._engine: AsyncEngine | None = None
        self._file_inode: int | None = None
        self._keys_version = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._problems: dict[str, str] = {}
        self._reload_lock = asyncio.Lock()

    @property
    def problems(self) -> list[str]:
        """The current problems, each with its fix."""
        lost = f"{self._ledger.lost_records} records of the ledger are lost." if self._ledger.lost_records else ""
        found = dict.fromkeys((*self._problems.values(), self._ledger.problem, self._limiter.problem, lost))
        return [problem for problem in found if problem]

    @property
    def engine(self) -> AsyncEngine:
        """The open database. Raises Problem."""
        if self._engine is None:
            raise unavailable_problem(next(iter(self._problems.values()), "The database is being opened."))
        return self._engine

    async def start(self) -> None:
        """Open the database if possible, and start the background tasks."""
        await self._attempt("database", self.reload_keys)
        await self._limiter.open()
        self._tasks = [
            asyncio.create_task(self._run_periodically(what, pause, work))
            for what, pause, work in (
                ("database", KEYS_POLL_INTERVAL, self.reload_keys),
                ("ledger", LEDGER_FLUSH_INTERVAL, self._flush_ledger),
                ("limits", PROBE_INTERVAL, self._limiter.probe),
                ("retention", RETENTION_INTERVAL, self._delete_expired),
            )
        ]

    async def close(self) -> None:
        """Write the waiting records within `FINAL_FLUSH_TIMEOUT`, and close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._engine is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINAL_FLUSH_TIMEOUT):
                    await self._attempt("ledger", self._flush_ledger)
            await self._engine.dispose()
        self._ledger.close()
        await self._limiter.close()

    async def reload_keys(self) -> None:
        """Read the keys if they have changed, and end what they no longer allow. Raises DatabaseUnavailable."""
        try:
            async with self._reload_lock:
                await self._check_file()
                engine = self._engine = self._engine or await self._open_engine()
                changes = await stored.read_keys_version(engine)
                if changes != self._keys_version or not self._keyring.is_loaded:
                    self._keyring.replace(await stored.list_keys(engine))
                    self._keys_version = changes
        finally:
            # A key expires whether or not the database can be used.
            self._revoke()

    async def _run_periodically(self, what: str, pause: float, work: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(min(pause, LEDGER_FLUSH_INTERVAL))
        while True:
            done = await self._attempt(what, work)
            # A failed task is retried soon, however long its interval.
            await asyncio.sleep(pause if done else min(pause, PROBE_INTERVAL))

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
        except DatabaseUnavailable as problem:
            if self._problems.get(what) != str(problem):
                log.error("the database can't be used", what=what, reason=str(problem), cause=repr(problem.__cause__))
            self._problems[what] = str(problem)
        except Exception:
            log.exception("a background task failed", what=what)
            self._problems[what] = f"The {what} task failed; see the API's log."
        else:
            if self._problems.pop(what, None):
                log.info("the database can be used again", what=what)
            return True
        return False

    async def _check_file(self) -> None:
        """Stop using a database file that was removed, since writes to it are lost. Raises DatabaseUnavailable."""
        if self._file_inode is None or self._file_inode == (found := self._inode()):
            return
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()
        if found is None:
            raise DatabaseUnavailable(DATABASE_FILE_MISSING)

    def _inode(self) -> int | None:
        with contextlib.suppress(OSError):
            return (self._folder / DATABASE_FILE).stat().st_ino
        return None

    async def _open_engine(self) -> AsyncEngine:
        """Returns the database, upgraded and checked. Raises DatabaseUnavailable."""
        folder, url, secret = self._folder, self._settings.database_url, self._settings.key_pepper
        prepare_folder(folder)
        pepper = secret.get_secret_value().encode() if secret else load_pepper(folder)
        engine = build_engine(url.get_secret_value() if url else None, folder)
        try:
            before = await upgrade(engine, folder)
            if not await stored.match_pepper(engine, hash_pepper(pepper)):
                raise DatabaseUnavailable(PEPPER_MISMATCH)
            recovered = await self._ledger.recover_orphans(engine)
        except BaseException:
            await engine.dispose()
            raise
        self._keyring.pepper = pepper
        self._file_inode = None if url else self._inode()
        self._keys_version = ""
        log.info("the database is open", version_before=before, recovered_records=recovered)
        return engine

    async def _flush_ledger(self) -> None:
        if self._engine is not None:
            await self._ledger.flush(self._engine, self._keyring.list_names_with_budget())

    async def _delete_expired(self) -> None:
        if self._engine is not None:
            await usage.delete_expired(self._engine, time.time(), self._settings.usage_retention_days)


def unavailable_problem(sentence: str) -> Problem:
    """Returns the error for a request that needs the unavailable database."""
    return Problem(503, "database_unavailable", sentence, retryable=True, retry_after=1)
