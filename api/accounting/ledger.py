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

from api.accounting.calendar import get_today_and_month_start
from api.accounting.journal import Journal, OrphanJournal, find_orphans
from api.database import usage
from api.database.ledger_record import DAY, JobFinished, JobStarted, LedgerRecord
from api.database.usage import Spending

WRITE_BATCH_SIZE = 500
MAX_PENDING_RECORDS = 20_000
MAX_JOURNAL_BYTES = 1 << 20
JOURNAL_UNWRITABLE = (
    "The journal in DATA_DIR can't be written ({}): lines of the ledger may be lost if the API ends now. Make room."
)

log = structlog.get_logger()

type UsageByDay = dict[int, tuple[float, int]]


class Ledger:
    """Mutable: the jobs that run, the lines that wait for the database, and what the keys used so far.

    What a key used is by its name and day: as the database last told it, and in the lines that wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder)
        self.running: dict[str, LedgerRecord] = {}
        self._pending: deque[LedgerRecord] = deque()
        self._has_unqueued_records = False
        self._stored_usage: dict[str, UsageByDay] = {}
        self._pending_usage: defaultdict[str, UsageByDay] = defaultdict(dict)
        self.problem = ""
        self.lost_records = 0

    def begin(self, key: str, dialect: str, model: str) -> LedgerRecord:
        """A job begins."""
        line = LedgerRecord(uuid.uuid4().hex, time.time(), key, dialect, model)
        self.running[line.id] = line
        self._append_to_journal(JobStarted(line))
        return line

    def end(self, line: LedgerRecord) -> None:
        """A job has ended: this is its whole line."""
        self.running.pop(line.id, None)
        safe = self._append_to_journal(JobFinished(line))
        if len(self._pending) < MAX_PENDING_RECORDS:
            self._enqueue(line)
        elif safe:
            self._has_unqueued_records = True
        else:
            self.lost_records += 1

    def get_spending(self, key: str) -> Spending:
        """What a key used today and this month: by the database, and by what is on its way there."""
        today, month = get_today_and_month_start(time.time())
        usd = [0.0, 0.0]
        tokens = [0, 0]
        for spent in (self._stored_usage.get(key, {}), self._pending_usage.get(key, {})):
            for day, (dollars, count) in spent.items():
                for at, since in enumerate((today, month)):
                    if day >= since:
                        usd[at] += dollars
                        tokens[at] += count
        return Spending(usd[0], usd[1], tokens[0], tokens[1])

    async def flush(self, engine: AsyncEngine, budgeted: Iterable[str]) -> None:
        """Write what waits, then read what was used. Only one at a time. Raises Unavailable."""
        names = list(budgeted)
        while self._pending or self._has_unqueued_records:
            if not self._pending:
                self._requeue_from_journal()
                continue
            batch = [self._pending[at] for at in range(min(WRITE_BATCH_SIZE, len(self._pending)))]
            self.lost_records += await usage.write_records(engine, batch)
            told = await self._read_usage(engine, names)
            # In one step, so that no line counts twice or not at all.
            for line in batch:
                self._pending.popleft()
                self._count_pending(line, -1)
            self._stored_usage = told
        self._stored_usage = await self._read_usage(engine, names)
        if not self._pending and not self.running:
            # The database has every line: none is in danger any more.
            self.problem = ""
        self._compact_journal()

    async def recover_orphans(self, engine: AsyncEngine) -> int:
        """Write what dead processes left; how many lines. Raises Unavailable."""
        try:
            found = find_orphans(self._folder)
        except OSError as error:
            log.error("a journal can't be read", reason=str(error))
            return 0
        return sum([await self._write_orphan(engine, orphan) for orphan in found])

    async def _write_orphan(self, engine: AsyncEngine, orphan: OrphanJournal) -> int:
        try:
            for at in range(0, len(orphan.records), WRITE_BATCH_SIZE):
                self.lost_records += await usage.write_records(engine, orphan.records[at : at + WRITE_BATCH_SIZE])
        except BaseException:
            orphan.close()
            raise
        orphan.remove()
        return len(orphan.records)

    def close(self) -> None:
        """Let go of the journal; what the database has not got stays in it."""
        self._journal.close()

    def _enqueue(self, line: LedgerRecord) -> None:
        self._pending.append(line)
        self._count_pending(line, 1)

    def _count_pending(self, line: LedgerRecord, sign: int) -> None:
        """Count a line among those that wait, or no longer."""
        spent = self._pending_usage[line.key]
        day = int(line.at // DAY)
        usd, tokens = spent.get(day, (0.0, 0))
        spent[day] = usd + sign * (line.cost_usd or 0), tokens + sign * line.tokens
        if not self._pending:
            # No sum of floats may drift.
            self._pending_usage.clear()

    async def _read_usage(self, engine: AsyncEngine, names: list[str]) -> dict[str, UsageByDay]:
        return await usage.read_spending(engine, names, get_today_and_month_start(time.time())[1]) if names else {}

    def _append_to_journal(self, entry: JobStarted | JobFinished) -> bool:
        try:
            self._journal.append(entry)
        except OSError as error:
            if not self.problem:
                log.error("the journal can't be written", reason=str(error))
            self.problem = JOURNAL_UNWRITABLE.format(error.strerror or "it can't be opened")
            return False
        self.problem = ""
        return True

    def _requeue_from_journal(self) -> None:
        self._has_unqueued_records = False
        for line in self._journal.read_records():
            self._enqueue(line)

    def _compact_journal(self) -> None:
        """Forget on disk what the database has."""
        if self._pending or (self.running and self._journal.size < MAX_JOURNAL_BYTES) or not self._journal.size:
            return
        try:
            self._journal.compact(self.running.values())
        except OSError as error:
            log.warning("the journal can't be made anew", reason=str(error))
