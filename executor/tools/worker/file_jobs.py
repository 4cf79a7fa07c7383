"""Runs one job on files, in its own process inside the sandbox. The process does not return.

Invariants: the job starts no process, so nothing is left behind when its process ends; SIGALRM ends it at its time limit.
"""

import os
import signal
import stat

import msgspec

from executor.sandbox.confine import close_other_descriptors
from executor.tools.config import Root, ToolConfig
from executor.tools.files import edit, read
from executor.tools.files.open_beneath import open_path
from executor.tools.task import JobRefused, Task
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import (
    ConvertDocument,
    EditFile,
    FolderEntry,
    FolderListing,
    JobResult,
    ListFolder,
    ReadFile,
    WriteFile,
)

MAX_ENTRIES = 2000

type Outcome = JobResult | Failed

_outcome_encoder = msgspec.msgpack.Encoder()


def run_file_task(config: ToolConfig, task: Task) -> None:
    """Runs the job, writes its outcome to stdout, and ends the process."""
    signal.setitimer(signal.ITIMER_REAL, task.timeout)
    close_other_descriptors({root.descriptor for root in config.roots})
    write_all(1, _outcome_encoder.encode(_find_outcome(config, task)))
    # The executor reads until the output closes; it need not wait until the kernel has removed this process.
    os.close(1)
    os._exit(0)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of the data. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _find_outcome(config: ToolConfig, task: Task) -> Outcome:
    try:
        return _run_job(config, task)
    except JobRefused as refused:
        return Failed(refused.kind, refused.detail)
    except (OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "memory"
        return Failed(ErrorKind.BAD_JOB, f"it failed: {reason}")
    except Exception as error:  # noqa: BLE001 # no other process could report it
        return Failed(ErrorKind.INTERNAL, type(error).__name__)


def _run_job(config: ToolConfig, task: Task) -> Outcome:
    match task.job:
        case ConvertDocument(data):
            # Only the zygote loads it (executor.tools.worker.setup).
            from executor.tools.files import documents  # noqa: PLC0415

            return documents.convert_document(data)
        case ReadFile():
            return read.read_file(config, config.roots[task.root], task.path, task.job)
        case WriteFile():
            return edit.write_file(config, config.roots[task.root], task.path, task.job)
        case EditFile():
            return edit.edit_file(config, config.roots[task.root], task.path, task.job)
        case ListFolder():
            return _list_folder(config, config.roots[task.root], task.path)
        case _:
            return Failed(ErrorKind.INTERNAL)


def _list_folder(config: ToolConfig, root: Root, path: str) -> FolderListing:
    """Returns the entries of a folder, sorted by name. Raises JobRefused."""
    folder = open_path(config, root, path, os.O_RDONLY | os.O_DIRECTORY)
    parent = os.path.normpath(f"{root.path}/{path}")
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 # of a descriptor
        entries = tuple(_build_entry(folder, parent, name) for name in names[:MAX_ENTRIES])
    finally:
        os.close(folder)
    return FolderListing(entries, truncated=len(names) > MAX_ENTRIES)


def _build_entry(folder: int, parent: str, name: str) -> FolderEntry:
    # Bytes of a name that are not UTF-8 are replaced.
    path = os.fsencode(f"{parent}/{name}").decode(errors="replace")
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return FolderEntry(path, "other")
    if stat.S_ISDIR(state.st_mode):
        return FolderEntry(path, "folder")
    return FolderEntry(path, "file", state.st_size) if stat.S_ISREG(state.st_mode) else FolderEntry(path, "other")
