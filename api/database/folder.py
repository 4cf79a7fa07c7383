"""DATA_DIR: the database's file, the journal and the pepper, for the server's user alone."""

import contextlib
import errno
import os
import secrets
import stat
import uuid
from pathlib import Path

from api.database.engine import DatabaseUnavailable

FOLDER_MODE = 0o700
JOURNAL_FOLDER = "journal"
PEPPER_FILE = "pepper"


def prepare_folder(folder: Path) -> None:
    """Create the missing folders, for their owner alone. Raises DatabaseUnavailable."""
    try:
        for each in (folder, folder / JOURNAL_FOLDER):
            each.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            if each.stat().st_mode & 0o077:
                each.chmod(FOLDER_MODE)
    except OSError as error:
        raise _build_unavailable(error) from error


def load_pepper(folder: Path) -> bytes:
    """Returns the pepper from a file that only its owner can read; creates a missing one. Raises DatabaseUnavailable."""
    path = folder / PEPPER_FILE
    try:
        if not path.exists():
            _create_pepper(path)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            facts = os.fstat(stream.fileno())
            pepper = stream.read(4096).strip()
    except OSError as error:
        raise _build_unavailable(error) from error
    if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
        raise DatabaseUnavailable("The file `pepper` of DATA_DIR could be read by others. Run `chmod 600` on it.")
    if len(pepper) < 32:
        raise DatabaseUnavailable("The file `pepper` of DATA_DIR is damaged. Put its backup back.")
    return pepper


def find_folder_problem(folder: Path, *, with_pepper: bool) -> str:
    """Returns what `prepare_folder` and `load_pepper` would raise, without a change; empty if there is no problem."""
    try:
        existing = next(each for each in (folder / JOURNAL_FOLDER, folder, *folder.parents) if os.path.lexists(each))
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if with_pepper and (folder / PEPPER_FILE).exists():
            load_pepper(folder)
    except OSError as error:
        return str(_build_unavailable(error))
    except DatabaseUnavailable as problem:
        return str(problem)
    return ""


def _create_pepper(path: Path) -> None:
    fresh = path.with_name(f".pepper-{uuid.uuid4().hex}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(32))
    # Processes that start at once all use the first one's pepper.
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _build_unavailable(error: OSError) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"DATA_DIR can't be used ({error.strerror}). Set DATA_DIR to a folder that the server's user may write."
    )
