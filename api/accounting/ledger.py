"""The ledger of this process: every job has a record, in the journal at once and in the database in batches.

Invariants: the start and the end of a job are in the journal before anything else uses them, so that no crash loses one;
no request waits for the database. A journal that cannot be written is reported (`problem`) and never stops a job.
"""

import contextlib
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounting.calendar import get_today_and_month_start
from api.accounting.journal import JOURNAL_SUFFIX, Journal, open_orphan
from api.database import usage
from api.database.ledger_record import DAY, JobFinished, JobStarted, LedgerRecord
from api.database.usage import Spending

WRITE_BATCH_SIZE = 500
MAX_PENDING_RECORDS = 20_000
MAX_JOURNAL_BYTES = 1 << 20
JOURNAL_UNWRITABLE = "The journal in DATA_DIR can't be written ({}): records of the ledger may be lost if the API ends now. Free disk space."

log = structlog.get_logger()

type UsageByDay = dict[int, tuple[float, int]]


class Ledger:
    """Mutable: the running jobs, the records that wait for the database, and the keys' usage.

    Usage is by key name and day: as last read from the database, and in the waiting records.
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
        """Record the start of a job."""
        record = LedgerRecord(uuid.uuid4().hex, time.time(), key, dialect, model)
        self.running[record.id] = record
        self._append_to_journal(JobStarted(record))
        return record

    def end(self, record: LedgerRecord) -> None:
        """Record the end of a job, with its complete record."""
        self.running.pop(record.id, None)
        safe = self._append_to_journal(JobFinished(record))
        if len(self._pending) < MAX_PENDING_RECORDS:
            self._enqueue(record)
        elif safe:
            self._has_unqueued_records = True
        else:
            self.lost_records += 1

    def get_spending(self, key: str) -> Spending:
        """Returns a key's usage of today and this month, waiting records included."""
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
        """Write the waiting records, then read the usage. One call at a time. Raises DatabaseUnavailable."""
        names = list(budgeted)
        while self._pending or self._has_unqueued_records:
            if not self._pending:
                self._has_unqueued_records = False
                for record in self._journal.read_records():
                    self._enqueue(record)
                continue
            batch = [self._pending[at] for at in range(min(WRITE_BATCH_SIZE, len(self._pending)))]
            self.lost_records += await usage.write_records(engine, batch)
            stored = await self._read_usage(engine, names)
            # Without an await, so that no record counts twice or not at all.
            for record in batch:
                self._pending.popleft()
                self._count_pending(record, -1)
            self._stored_usage = stored
        self._stored_usage = await self._read_usage(engine, names)
        if not self._pending and not self.running:
            # The database has every record.
            self.problem = ""
        self._compact_journal()

    async def recover_orphans(self, engine: AsyncEngine) -> int:
        """Write the records of dead processes; returns their number. Raises DatabaseUnavailable."""
        count = 0
        for path in sorted(self._folder.glob(f"*{JOURNAL_SUFFIX}")):
            try:
                with contextlib.suppress(BlockingIOError, FileNotFoundError), open_orphan(path) as records:
                    for at in range(0, len(records), WRITE_BATCH_SIZE):
                        self.lost_records += await usage.write_records(engine, records[at : at + WRITE_BATCH_SIZE])
                    count += len(records)
            except OSError as error:
                log.error("a journal can't be read", reason=str(error))
        return count

    def close(self) -> None:
        """Close the journal, which keeps the records that the database does not have."""
        self._journal.close()

    def _enqueue(self, record: LedgerRecord) -> None:
        self._pending.append(record)
        self._count_pending(record, 1)

    def _count_pending(self, record: LedgerRecord, sign: int) -> None:
        """Add a record to the waiting usage, or remove it."""
        spent = self._pending_usage[record.key]
        day = int(record.at // DAY)
        usd, tokens = spent.get(day, (0.0, 0))
        spent[day] = usd + sign * (record.cost_usd or 0), tokens + sign * record.tokens
        if not self._pending:
            # Keeps rounding errors from adding up.
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

    def _compact_journal(self) -> None:
        """Remove the records from the journal that the database has."""
        if self._pending or (self.running and self._journal.size < MAX_JOURNAL_BYTES) or not self._journal.size:
            return
        try:
            self._journal.compact(self.running.values())
        except OSError as error:
            log.warning("the journal can't be compacted", reason=str(error))
