"""The ledger of this process: every job has a line, kept safe at once and written to the database in batches.

Law: a job's beginning and end are in the journal before anything else happens with them, so that no crash loses one;
nothing on a request's way waits for the database. What can't be kept is said (`problem`) and never stops a job.
"""

import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounting.journal import Journal, Orphan, orphans
from api.accounting.ledger_record import DAY, Begun, Ended, Line
from api.database import usage
from api.database.usage import Spent
from api.models.access import days

BATCH = 500
MOST_WAITING = 20_000
LARGEST_JOURNAL = 1 << 20
NOT_SAFE = (
    "The journal in DATA_DIR can't be written ({}): lines of the ledger may be lost if the API ends now. Make room."
)

log = structlog.get_logger()

type Days = dict[int, tuple[float, int]]


class Ledger:
    """Mutable: the jobs that run, the lines that wait for the database, and what the keys used so far.

    What a key used is by its name and day: as the database last told it, and in the lines that wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder)
        self.running: dict[str, Line] = {}
        self._waiting: deque[Line] = deque()
        self._only_on_disk = False
        self._told: dict[str, Days] = {}
        self._since: defaultdict[str, Days] = defaultdict(dict)
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
            self._wait(line)
        elif safe:
            self._only_on_disk = True
        else:
            self.lost += 1

    def used(self, key: str) -> Spent:
        """What a key used today and this month: by the database, and by what is on its way there."""
        today, month = days(time.time())
        usd = [0.0, 0.0]
        tokens = [0, 0]
        for spent in (self._told.get(key, {}), self._since.get(key, {})):
            for day, (dollars, count) in spent.items():
                for at, since in enumerate((today, month)):
                    if day >= since:
                        usd[at] += dollars
                        tokens[at] += count
        return Spent(usd[0], usd[1], tokens[0], tokens[1])

    async def settle(self, engine: AsyncEngine, budgeted: Iterable[str]) -> None:
        """Write what waits, then read what was used. Only one at a time. Raises Unavailable."""
        names = list(budgeted)
        while self._waiting or self._only_on_disk:
            if not self._waiting:
                self._reread()
                continue
            batch = [self._waiting[at] for at in range(min(BATCH, len(self._waiting)))]
            self.lost += await usage.write(engine, batch)
            told = await self._read_used(engine, names)
            # In one step, so that no line counts twice or not at all.
            for line in batch:
                self._waiting.popleft()
                self._add(line, -1)
            self._told = told
        self._told = await self._read_used(engine, names)
        if not self._waiting and not self.running:
            # The database has every line: none is in danger any more.
            self.problem = ""
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
                self.lost += await usage.write(engine, orphan.lines[at : at + BATCH])
        except BaseException:
            orphan.close()
            raise
        orphan.done()
        return len(orphan.lines)

    def close(self) -> None:
        """Let go of the journal; what the database has not got stays in it."""
        self._journal.close()

    def _wait(self, line: Line) -> None:
        self._waiting.append(line)
        self._add(line, 1)

    def _add(self, line: Line, sign: int) -> None:
        """Count a line among those that wait, or no longer."""
        spent = self._since[line.key]
        day = int(line.at // DAY)
        usd, tokens = spent.get(day, (0.0, 0))
        spent[day] = usd + sign * (line.cost_usd or 0), tokens + sign * line.tokens
        if not self._waiting:
            # No sum of floats may drift.
            self._since.clear()

    async def _read_used(self, engine: AsyncEngine, names: list[str]) -> dict[str, Days]:
        return await usage.spent(engine, names, days(time.time())[1]) if names else {}

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
        for line in self._journal.lines():
            self._wait(line)

    def _tidy(self) -> None:
        """Forget on disk what the database has."""
        if self._waiting or (self.running and self._journal.size < LARGEST_JOURNAL) or not self._journal.size:
            return
        try:
            self._journal.restart(self.running.values())
        except OSError as error:
            log.warning("the journal can't be made anew", reason=str(error))
