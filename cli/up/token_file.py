"""The generated key for clients, used when the owner sets none: kept in a file that only its owner can read.

Invariants: other users can never read the file, not even while it is written. A file that others can read is not used:
they may know the key.
"""

import os
import secrets
import stat
from pathlib import Path

from msgspec import Struct

from cli import StartupError
from cli.up.preflight import Address

TOKEN_PREFIX = "sk-local-"  # noqa: S105 # the prefix of generated keys
TOKEN_FILE_MODE = 0o600
MAX_FILE_BYTES = 4096


class Token(Struct, frozen=True):
    """The key. is_new: it was generated at this start, so nobody has seen it yet."""

    value: str
    is_new: bool

    def __repr__(self) -> str:
        return f"<Token is_new={self.is_new}>"


def load_or_create_token(file: Path) -> Token:
    """Returns the key in the file; generates it when there is no file. Raises StartupError."""
    try:
        try:
            return Token(_create_token(file), is_new=True)
        except FileExistsError:
            return Token(_read_token(file), is_new=False)
    except OSError as error:
        raise StartupError(
            f"The key file {file} can't be used: {error.strerror}. Fix that, or set API_SECRET_TOKEN, or set RUN_DIR to "
            "a folder of yours."
        ) from error


def write_address(file: Path, address: Address) -> None:
    """Writes the address of the server with this key to a file. Raises StartupError."""
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        _create_file(new, f"{address.host} {address.port}\n")
        new.replace(file)
    except OSError as error:
        raise StartupError(f"{file} can't be written: {error.strerror}. Set RUN_DIR to a folder of yours.") from error


def read_address(file: Path) -> Address | None:
    """Returns the address in the file; None if there is none, or others could have written it."""
    try:
        mode, text = _read_file(file)
    except OSError:
        return None
    host, _, port = text.rpartition(" ")
    return Address(host, int(port)) if not mode & 0o022 and host and port.isascii() and port.isdigit() else None


def _create_token(file: Path) -> str:
    value = TOKEN_PREFIX + secrets.token_urlsafe(32)
    _create_file(file, f"{value}\n")
    return value


def _read_token(file: Path) -> str:
    mode, value = _read_file(file)
    if not mode:
        raise StartupError(f"{file} is not a file of yours, so it is not used. Remove it; a new key is generated.")
    if mode & 0o077:
        raise StartupError(
            f"Other users can read {file}, so they may know its key. Remove it and a new key is generated; or, if you "
            f"trust every user of this machine: chmod 600 {file}"
        )
    if not value.startswith(TOKEN_PREFIX):
        raise StartupError(f"{file} has no key. Remove it; a new key is generated.")
    return value


def _create_file(file: Path, text: str) -> None:
    """Creates a file that only this user can read. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, TOKEN_FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _read_file(file: Path) -> tuple[int, str]:
    """Returns the mode and the text of a file of this user; 0 and no text for anything else. Raises OSError."""
    # Without O_NONBLOCK, a pipe of this name would block the start for ever.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            return 0, ""
        return facts.st_mode, stream.read(MAX_FILE_BYTES).decode("utf-8", "replace").strip()
