"""What keeps keys and ledger in step with the database, beside the requests.

Law: no request waits for it. A database that can't be used is tried again and again; meanwhile the keys last read hold,
the ledger's lines wait in the journal, and `problems` says what can't be done and the mend.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.keys import Keyring
from api.ledger import Ledger
from api.limits import Counters
from api.line import DAY
from api.problems import Problem
from api.store import keys as stored
from api.store import usage
from api.store.engine import Unavailable, engine_for, upgrade

# Less than half of the second within which a change takes effect.
POLL = 0.4
SETTLE = 1.0
RENEW = 10.0
FORGET = 3600.0
LAST_WRITE = 2.0
MODE = 0o700
JOURNAL = "journal"

log = structlog.get_logger()


class Keeper:
    """Mutable: the engine once it can be used, the tasks, and what is wrong."""

    def __init__(
        self,
        folder: Path,
        url: SecretStr | None,
        pepper: SecretStr | None,
        retention_days: int,
        *,
        keyring: Keyring,
        counters: Counters,
        ledger: Ledger,
    ) -> None:
        self._folder = folder
        self._url = url
        self._pepper = pepper
        self._retention = retention_days * DAY
        self._keyring = keyring
        self._counters = counters
        self._ledger = ledger
        self._engine: AsyncEngine | None = None
        self._changes = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._problems: dict[str, str] = {}
        self._opening = asyncio.Lock()

    @property
    def problems(self) -> list[str]:
        """What can't be done now, and the mend; empty when all is well."""
        lost = f"{self._ledger.lost} lines of the ledger are lost." if self._ledger.lost else ""
        found = dict.fromkeys((*self._problems.values(), self._ledger.problem, self._counters.problem, lost))
        return [problem for problem in found if problem]

    @property
    def engine(self) -> AsyncEngine:
        """The database. Raises Problem."""
        if self._engine is None:
            raise unavailable(next(iter(self._problems.values()), "The database is being opened."))
        return self._engine

    async def start(self) -> None:
        """Open the database if it can be opened, and keep in step with it from now on."""
        await self._try("database", self._in_step)
        await self._counters.open()
        self._tasks = [
            asyncio.create_task(self._again("database", POLL, self._in_step)),
            asyncio.create_task(self._again("ledger", SETTLE, self._settle)),
            asyncio.create_task(self._again("limits", RENEW, self._counters.renew)),
            asyncio.create_task(self._again("retention", FORGET, self._forget)),
        ]

    async def close(self) -> None:
        """Write what waits, if that can be done soon, and close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._engine is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WRITE):
                    await self._try("ledger", self._settle)
            await self._engine.dispose()
        self._ledger.close()
        await self._counters.close()

    async def changed(self) -> None:
        """A key was changed here: read them at once. Raises Unavailable."""
        await self._in_step()

    async def _again(self, what: str, pause: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause)
            await self._try(what, work)

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Unavailable as problem:
            if self._problems.get(what) != str(problem):
                log.error("the database can't be used", what=what, reason=str(problem), cause=repr(problem.__cause__))
            self._problems[what] = str(problem)
        except Exception:
            log.exception("a fault beside the requests", what=what)
            self._problems[what] = f"The {what} can't be kept; the API's log says why."
        else:
            self._problems.pop(what, None)

    async def _in_step(self) -> None:
        if self._engine is None:
            async with self._opening:
                await self._open()
        engine = self.engine
        changes = await stored.changes(engine)
        if changes != self._changes or not self._keyring.loaded:
            self._keyring.replace(await stored.everyone(engine))
            self._changes = changes

    async def _open(self) -> None:
        """Everything that must be right before the database is used. Raises Unavailable."""
        try:
            private(self._folder)
            (self._folder / JOURNAL).mkdir(mode=MODE, exist_ok=True)
            pepper = self._pepper.get_secret_value().encode() if self._pepper else kept_pepper(self._folder / "pepper")
        except OSError as error:
            raise Unavailable(
                f"DATA_DIR can't be used ({error.strerror}). Set DATA_DIR to a folder that the server's user may write."
            ) from error
        engine = engine_for(self._url.get_secret_value() if self._url else None, self._folder)
        try:
            before = await upgrade(engine, self._folder)
            check = hmac.new(pepper, b"check", hashlib.sha256).hexdigest()
            if not await stored.same_pepper(engine, check):
                raise Unavailable(
                    "The keys of this database were made with another pepper. Copy the file `pepper` of DATA_DIR from the "
                    "API that made them, or set the same KEY_PEPPER for all."
                )
            taken = await self._ledger.take_over(engine)
        except BaseException:
            await engine.dispose()
            raise
        self._keyring.pepper = pepper
        self._engine = engine
        log.info("the database is open", version_before=before, lines_taken_over=taken)

    async def _settle(self) -> None:
        if self._engine is not None:
            await self._ledger.settle(self._engine, self._keyring.budgeted())

    async def _forget(self) -> None:
        if self._engine is not None:
            await usage.forget(self._engine, time.time() - self._retention)


def unavailable(sentence: str) -> Problem:
    """What needs the database can't be done."""
    return Problem(503, "database_unavailable", sentence, retryable=True, retry_after=1)


def mark() -> str:
    """A word that was never used before."""
    return uuid.uuid4().hex


def private(folder: Path) -> None:
    """Make a folder that only its owner can enter. Raises OSError."""
    folder.mkdir(mode=MODE, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(MODE)


def kept_pepper(path: Path) -> bytes:
    """The pepper in a file that only its owner can read, made first if there is none. Raises OSError."""
    if not path.exists():
        fresh = path.with_name(f".pepper-{uuid.uuid4().hex}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32))
        # Of several that start at once, the first one's is everyone's.
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
            raise PermissionError(1, "the file `pepper` in it could be read by others: chmod 600 it")
        pepper = stream.read(4096).strip()
    if len(pepper) < 32:
        raise OSError(5, "the file `pepper` in it is damaged: put its backup back")
    return pepper
