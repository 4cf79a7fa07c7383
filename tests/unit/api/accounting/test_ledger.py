"""The ledger and its journal: complete after a crash, honest on a full disk, and what a key used at any moment."""

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from api.accounting.journal import Journal, open_orphan, parse_records
from api.accounting.ledger import Ledger
from api.database import usage
from api.database.engine import build_engine, upgrade
from api.database.ledger_record import DAY, JobFinished, JobStarted, LedgerRecord
from shared.events import Usage

LINE = LedgerRecord("1", 20_000.5 * DAY, "notes", "chat", "opus", Usage(10, 5), 0.25)


def whole(line: LedgerRecord, **more: Any) -> LedgerRecord:
    """A line as it is at a job's end."""
    return structs.replace(line, usage=Usage(10, 5), cost_usd=0.25, **more)


def test_what_was_begun_and_not_ended_is_lost_and_a_torn_entry_is_passed_over(tmp_path: Path) -> None:
    """Nothing else is missing after a crash."""
    journal = Journal(tmp_path)
    journal.append(JobStarted(LINE), JobStarted(structs.replace(LINE, id="2")), JobFinished(LINE))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes() + b'{"type":"ended","line":{"id":"3'
    assert [(line.id, line.outcome) for line in parse_records(data, include_crashed=True)] == [
        ("1", "succeeded"),
        ("2", "crashed"),
    ]
    assert [line.id for line in parse_records(data, include_crashed=False)] == ["1"]


def test_only_a_dead_process_s_journal_is_taken_over(tmp_path: Path) -> None:
    """By the lock that a living one holds."""
    living = Journal(tmp_path)
    living.append(JobStarted(LINE))
    program = (
        "import sys; from pathlib import Path; from api.accounting.journal import Journal; from api.database.ledger_record import JobStarted, LedgerRecord\n"
        "Journal(Path(sys.argv[1])).append(JobStarted(LedgerRecord('9', 1.0, 'k', 'chat'))); import os; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    (dead,) = set(tmp_path.iterdir()) - {living._path}
    with open_orphan(dead) as records:
        assert [line.id for line in records] == ["9"]
        for path in (dead, living._path):
            with pytest.raises(BlockingIOError), open_orphan(path):
                pass
    assert list(tmp_path.iterdir()) == [living._path]
    living.close()


def test_a_new_journal_has_the_running_jobs(tmp_path: Path) -> None:
    """In one step, and its file is still this process's own."""
    journal = Journal(tmp_path)
    journal.append(*(JobStarted(structs.replace(LINE, id=str(number))) for number in range(100)))
    before = journal.size
    journal.compact([LINE])
    assert 0 < journal.size < before
    with pytest.raises(BlockingIOError), open_orphan(journal._path):
        pass
    journal.append(JobFinished(LINE))
    assert journal.read_records() == [LINE]
    journal.compact([])
    assert journal.size == 0
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_what_is_written_later_is_whole(tmp_path: Path) -> None:
    """A limit on a file's size stops a write in its middle, as a full disk does."""
    program = f"""
import resource, signal, sys
from pathlib import Path
from api.accounting.journal import Journal, parse_records
from api.database.ledger_record import JobStarted, LedgerRecord
journal = Journal(Path(sys.argv[1]))
journal.append(JobStarted(LedgerRecord("1", 1.0, "k", "chat")))
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size + 20, {resource.RLIM_INFINITY}))
for number in range(2):
    try:
        journal.append(JobStarted(LedgerRecord("2", 1.0, "k", "chat")))
    except OSError as error:
        print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
journal.append(JobStarted(LedgerRecord("3", 1.0, "k", "chat")))
(path,) = Path(sys.argv[1]).iterdir()
print([line.id for line in parse_records(path.read_bytes(), include_crashed=True)])
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True)
    first, second, ids = done.stdout.splitlines()
    assert first == "No space left on device"
    assert second
    assert ids == "['1', '3']"


async def test_a_ledger_that_can_t_write_says_so_and_goes_on(tmp_path: Path) -> None:
    """Lines wait in memory and reach the database; the problem ends when writing succeeds."""
    folder = tmp_path / "journal"
    ledger = Ledger(folder)
    ledger.end(whole(ledger.begin("notes", "chat", "opus")))
    assert "can't be written" in ledger.problem
    assert str(tmp_path) not in ledger.problem
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    await ledger.flush(engine, ["notes"])
    assert ledger.get_spending("notes").tokens_per_day == 15
    folder.mkdir()
    ledger.end(whole(ledger.begin("notes", "chat", "opus")))
    assert ledger.problem == ""
    assert ledger.lost_records == 0
    await engine.dispose()
    ledger.close()


async def test_what_a_key_used_counts_at_once_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is in the database, while it is on its way, and after; yesterday's counts for the month only."""
    now = 20_013.5 * DAY
    monkeypatch.setattr(time, "time", lambda: now)
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    (tmp_path / "journal").mkdir()
    ledger = Ledger(tmp_path / "journal")
    month = usage.Spending(0.25, 0.5, 15, 30)
    await usage.write_records(
        engine,
        [whole(LedgerRecord("y", now - DAY, "notes", "chat")), whole(LedgerRecord("m", now - 40 * DAY, "notes", "x"))],
    )
    await ledger.flush(engine, ["notes"])
    ledger.end(whole(ledger.begin("notes", "chat", "opus")))
    assert ledger.get_spending("notes") == month
    await ledger.flush(engine, ["notes"])
    assert ledger.get_spending("notes") == month
    await ledger.flush(engine, ["notes"])
    assert ledger.get_spending("notes") == month
    # Another host's.
    await usage.write_records(engine, [whole(LedgerRecord("o", now, "notes", "chat"))])
    await ledger.flush(engine, ["notes"])
    assert ledger.get_spending("notes") == usage.Spending(0.5, 0.75, 30, 45)
    now += DAY
    assert ledger.get_spending("notes") == usage.Spending(0, 0.75, 0, 45)
    assert ledger.get_spending("other") == usage.Spending()
    await engine.dispose()
    ledger.close()


async def test_more_lines_than_memory_holds_wait_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away; none is missing afterwards."""
    monkeypatch.setattr("api.accounting.ledger.MAX_PENDING_RECORDS", 3)
    folder = tmp_path / "journal"
    folder.mkdir()
    ledger = Ledger(folder)
    for _ in range(10):
        ledger.end(whole(ledger.begin("notes", "chat", "opus")))
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    await ledger.flush(engine, ["notes"])
    rows = await usage.sum_usage(engine, usage.UsageQuery(("key",), 0, time.time() + DAY))
    assert [(row["key"], row["jobs"]) for row in rows] == [("notes", 10)]
    assert [path.stat().st_size for path in folder.iterdir()] == [0]
    await engine.dispose()
    ledger.close()
    assert list(folder.iterdir()) == []
