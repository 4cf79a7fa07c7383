"""Checks before anything starts, so that a problem is reported at once and with its fix."""

import errno
import ipaddress
import math
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from cli import StartupError
from shared.process.peers import find_folder_problem

RUN_DIR_MODE = 0o750
CLAUDE_SOCKET = "claude-1.sock"
TOOLS_SOCKET = "tools-1.sock"
# Fits into a socket's address (unix(7)) on every system, with room for a longer name.
MAX_SOCKET_PATH_BYTES = 100
WORKSPACE = "workspace"
WELCOME = """Welcome to the Claude API Server.

The tools of the server can read and search the files in this folder, and no others.
To allow other folders instead, set ALLOWED_PATHS in .env. To let the tools write files, set WRITABLE_PATHS.
"""


class Address(Struct, frozen=True):
    """The address that the API listens on."""

    host: str = "127.0.0.1"
    port: int = 8020

    def to_connect_host(self) -> str:
        """Returns the host to connect to from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    def url(self) -> str:
        """Returns the URL that works from this machine."""
        host = self.to_connect_host()
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def is_exposed(self) -> bool:
        """Returns whether other machines may reach it."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


def parse_address(given: Mapping[str, str]) -> Address:
    """Returns HOST and PORT. Raises StartupError."""
    text = given.get("PORT", str(Address().port))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise StartupError(f"PORT: {text!r} is not a port. Set PORT to a number from 1 to 65535, such as 8020.")
    return Address(given.get("HOST", Address().host), int(text))


def parse_watchdog_timeout(given: Mapping[str, str]) -> float:
    """Returns WATCHDOG_TIMEOUT; 0 if it is invalid, which the programs report."""
    try:
        seconds = float(given.get("WATCHDOG_TIMEOUT", "30"))
    except ValueError:
        return 0
    return seconds if 0 <= seconds < math.inf else 0


def check_port_free(address: Address) -> None:
    """Checks that this user may listen there and nobody else does. Raises StartupError."""
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(name)
            probe.listen(1)
    except socket.gaierror as error:
        raise StartupError(f"HOST: {address.host} is not an address of this machine. Set HOST=127.0.0.1.") from error
    except OSError as error:
        raise StartupError(_describe_bind_error(address, error)) from error


def _describe_bind_error(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = address.port + 1 if address.port < 65535 else address.port - 1
        return f"PORT: {address.port} is in use by another program. Stop that program, or use another port: PORT={other} make run"
    if error.errno == errno.EACCES:
        return f"PORT: your user may not listen on {address.port}. Use a port above 1023: PORT=8020 make run"
    return f"HOST: can't listen on {address.host}: {error.strerror}. Set HOST=127.0.0.1."


def prepare_run_dir(folder: Path) -> None:
    """Creates RUN_DIR; checks its length, its permissions, and that no other server uses it. Raises StartupError."""
    path = folder / CLAUDE_SOCKET
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH_BYTES:
        raise StartupError(
            f"RUN_DIR: {path} has {size} bytes; the path of a socket may have {MAX_SOCKET_PATH_BYTES}. Set RUN_DIR to a shorter path: "
            "RUN_DIR=~/.claude-api make run"
        )
    try:
        folder.mkdir(mode=RUN_DIR_MODE, parents=True, exist_ok=True)
        if problem := find_folder_problem(folder.absolute()):
            raise StartupError(problem)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StartupError(
            f"RUN_DIR: {folder} can't be used: {error.strerror}. Set RUN_DIR to a writable folder."
        ) from error
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise StartupError(
                f"RUN_DIR: a server is already running in {folder}. Stop it, or use another folder for this one: "
                "RUN_DIR=.run2 make run"
            )


def check_cli_path(given: Mapping[str, str]) -> None:
    """Checks that CLAUDE_CLI_PATH, if set, is a program. Raises StartupError."""
    path = given.get("CLAUDE_CLI_PATH")
    if path and not (Path(path).is_file() and os.access(path, os.X_OK)):
        raise StartupError(
            f"CLAUDE_CLI_PATH: {path} is not an executable file. Set it to a `claude` binary, or remove it: the CLI "
            "is installed with the server."
        )


def create_workspace(folder: Path) -> Path:
    """Creates the folder that the tools may read if ALLOWED_PATHS is not set, and returns it. Raises StartupError."""
    path = folder / WORKSPACE
    try:
        if not path.exists():
            path.mkdir(mode=0o755)
            (path / "welcome.txt").write_text(WELCOME, encoding="utf-8")
    except OSError as error:
        raise StartupError(
            f"{path} can't be created: {error.strerror}. Set ALLOWED_PATHS to a folder of yours."
        ) from error
    return path
