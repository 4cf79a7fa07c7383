"""The journal: the ledger's records on disk, before they are in the database.

Invariants: an appended entry survives this process, however it ends. Each process writes one file and holds a lock on
it; a file without a lock belongs to a dead process, and is recovered. A job without an end there is `crashed`.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Generator, Iterable
from pathlib import Path

import msgspec
from msgspec import structs

from api.database.ledger_record import JobStarted, JournalEntry, LedgerRecord

JOURNAL_SUFFIX = ".journal"
_decoder = msgspec.json.Decoder[JournalEntry](JournalEntry)
_encoder = msgspec.json.Encoder()


class Journal:
    """This process's file. Mutable: the file, its size, and whether its last line is incomplete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{uuid.uuid4().hex}{JOURNAL_SUFFIX}"
        self._file = -1
        self._torn = False
        self.size = 0

    def append(self, *entries: JournalEntry) -> None:
        """Write entries to the kernel, which is enough to survive the process. Raises OSError."""
        if self._file < 0:
            self._file = _open_locked(self._path)
        data = b"".join(_encoder.encode(entry) + b"\n" for entry in entries)
        if self._torn:
            data = b"\n" + data
        written = os.write(self._file, data)
        self._torn = written < len(data)
        self.size += written
        if self._torn:
            raise OSError(28, "No space left on device")

    def compact(self, running: Iterable[LedgerRecord]) -> None:
        """Remove all entries but these running jobs, once the database has the others. Raises OSError."""
        entries = [JobStarted(record) for record in running]
        if not entries:
            if self._file >= 0:
                os.ftruncate(self._file, 0)
            self.size, self._torn = 0, False
            return
        successor = Journal(self._folder)
        successor.append(*entries)
        os.replace(successor._path, self._path)  # noqa: PTH105 # atomic, so that a crash leaves one or the other
        os.close(self._file)
        self._file, self.size, self._torn = successor._file, successor.size, False

    def read_records(self) -> list[LedgerRecord]:
        """Returns the finished records of this process's file. Raises OSError."""
        return parse_records(self._path.read_bytes(), include_crashed=False) if self._path.exists() else []

    def close(self) -> None:
        """Close the file; remove it if it is empty."""
        if self._file >= 0:
            if not self.size:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1


@contextlib.contextmanager
def open_orphan(path: Path) -> Generator[list[LedgerRecord]]:
    """Locks the file of a dead process and yields its records; removes it unless the block raises.

    Raises BlockingIOError if the process lives, FileNotFoundError if another one has recovered the file, OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been replaced or removed since it was opened.
        if os.fstat(file).st_ino != path.stat().st_ino:
            raise FileNotFoundError(path)
        yield parse_records(path.read_bytes(), include_crashed=True)
        path.unlink(missing_ok=True)
    finally:
        os.close(file)


def parse_records(data: bytes, *, include_crashed: bool) -> list[LedgerRecord]:
    """Returns a journal's finished records, and those of crashed jobs if wanted. Skips incomplete lines."""
    finished: dict[str, LedgerRecord] = {}
    running: dict[str, LedgerRecord] = {}
    for raw in data.splitlines():
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            entry: JournalEntry = _decoder.decode(raw)
            (running if isinstance(entry, JobStarted) else finished)[entry.record.id] = entry.record
    crashed = [record for job, record in running.items() if include_crashed and job not in finished]
    return [*finished.values(), *(structs.replace(record, outcome="crashed") for record in crashed)]


def _open_locked(path: Path) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file
