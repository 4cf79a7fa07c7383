"""The ledger of this process: every job has a line, kept safe at once and written to the database in batches.

Law: a job's beginning and end are in the journal before anything else happens with them, so that no crash loses one;
nothing on a request's way waits for the database. What can't be kept is said (`problem`) and never stops a job.
"""

import time
import uuid
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import structlog
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from api.journal import Journal, Orphan, orphans
from api.line import DAY, Begun, Ended, Line
from api.store import usage
from api.store.usage import Spent

BATCH = 500
MOST_WAITING = 20_000
LARGEST_JOURNAL = 1 << 20
NOT_SAFE = (
    "The journal in DATA_DIR can't be written ({}): lines of the ledger may be lost if the API ends now. Make room."
)

log = structlog.get_logger()


class Ledger:
    """Mutable: the jobs that run, the lines that wait for the database, and what the keys used so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder)
        self.running: dict[str, Line] = {}
        self._waiting: deque[Line] = deque()
        self._only_on_disk = False
        self._spent: dict[str, Spent] = {}
        self._of: tuple[int, int] = (0, 0)
        self.problem = ""
        self.lost = 0

    def begin(self, key: str, dialect: str, model: str) -> Line:
        """A job begins."""
        line = Line(uuid.uuid4().hex, time.time(), key, dialect, model)
        self.running[line.id] = line
        self._safely(Begun(line))
        return line

    def end(self, line: Line) -> None:
        """A job has ended: this is its whole line."""
        self.running.pop(line.id, None)
        safe = self._safely(Ended(line))
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(line)
        elif safe:
            self._only_on_disk = True
        else:
            self.lost += 1

    def used(self, key: str) -> Spent:
        """What a key used today and this month: by the database, and by what is on its way there."""
        today, month = days(time.time())
        base = self._spent.get(key, Spent())
        if self._of != (today, month):
            base = Spent(
                0, base.usd_month if self._of[1] == month else 0, 0, base.tokens_month if self._of[1] == month else 0
            )
        usd_day, usd_month, tokens_day, tokens_month = structs.astuple(base)
        for line in self._waiting:
            if line.key == key:
                usd_month += line.cost_usd or 0
                tokens_month += line.tokens
                if int(line.at // DAY) == today:
                    usd_day += line.cost_usd or 0
                    tokens_day += line.tokens
        return Spent(usd_day, usd_month, tokens_day, tokens_month)

    async def settle(self, engine: AsyncEngine, budgeted: Iterable[str]) -> None:
        """Write what waits, then read what was used. Only one at a time. Raises Unavailable."""
        names = list(budgeted)
        while self._waiting or self._only_on_disk:
            if not self._waiting:
                self._reread()
                continue
            batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
            await usage.write(engine, batch)
            await self._read_used(engine, names)
            # In one step with what was read, so that no line counts twice or not at all.
            for _ in batch:
                self._waiting.popleft()
        await self._read_used(engine, names)
        self._tidy()

    async def take_over(self, engine: AsyncEngine) -> int:
        """Write what dead processes left; how many lines. Raises Unavailable."""
        try:
            found = orphans(self._folder)
        except OSError as error:
            log.error("a journal can't be read", reason=str(error))
            return 0
        return sum([await self._taken(engine, orphan) for orphan in found])

    async def _taken(self, engine: AsyncEngine, orphan: Orphan) -> int:
        try:
            for at in range(0, len(orphan.lines), BATCH):
                await usage.write(engine, orphan.lines[at : at + BATCH])
        except BaseException:
            orphan.close()
            raise
        orphan.done()
        return len(orphan.lines)

    def close(self) -> None:
        """Let go of the journal; what the database has not got stays in it."""
        self._journal.close()

    async def _read_used(self, engine: AsyncEngine, names: list[str]) -> None:
        of = days(time.time())
        self._spent = await usage.spent(engine, names, *of) if names else {}
        self._of = of

    def _safely(self, entry: Begun | Ended) -> bool:
        try:
            self._journal.append(entry)
        except OSError as error:
            if not self.problem:
                log.error("the journal can't be written", reason=str(error))
            self.problem = NOT_SAFE.format(error.strerror or "it can't be opened")
            return False
        self.problem = ""
        return True

    def _reread(self) -> None:
        self._only_on_disk = False
        self._waiting.extend(self._journal.lines())

    def _tidy(self) -> None:
        """Forget on disk what the database has."""
        if self._waiting or (self.running and self._journal.size < LARGEST_JOURNAL) or not self._journal.size:
            return
        try:
            self._journal.restart(self.running.values())
        except OSError as error:
            log.warning("the journal can't be made anew", reason=str(error))


def days(now: float) -> tuple[int, int]:
    """Today, and the day on which this month began, counted from 1970 in UTC."""
    today = int(now // DAY)
    return today, today - time.gmtime(now).tm_mday + 1
