"""What is looked at before anything starts, so that what is wrong is said at once and with its mend."""

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
# What fits into a socket's address (unix(7)) on every system, with room to spare for a longer name.
MAX_SOCKET_PATH_BYTES = 100


class Address(Struct, frozen=True):
    """Where the API listens."""

    host: str = "127.0.0.1"
    port: int = 8020

    def to_connect_host(self) -> str:
        """The host to connect to from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    def url(self) -> str:
        """The URL that works from this machine."""
        host = self.to_connect_host()
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def is_exposed(self) -> bool:
        """Whether other machines may reach it."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


def parse_address(given: Mapping[str, str]) -> Address:
    """HOST and PORT. Raises CannotStart."""
    text = given.get("PORT", str(Address().port))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise StartupError(f"PORT: {text!r} is not a port. Set PORT to a number from 1 to 65535, such as 8020.")
    return Address(given.get("HOST", Address().host), int(text))


def parse_watchdog_timeout(given: Mapping[str, str]) -> float:
    """WATCHDOG_TIMEOUT, as far as it can be read: what is wrong with it the programs say."""
    try:
        seconds = float(given.get("WATCHDOG_TIMEOUT", "30"))
    except ValueError:
        return 0
    return seconds if 0 <= seconds < math.inf else 0


def check_port_free(where: Address) -> None:
    """Nothing else listens there, and this user may. Raises CannotStart."""
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(name)
            probe.listen(1)
    except socket.gaierror as error:
        raise StartupError(f"HOST: {where.host} is not an address of this machine. Set HOST=127.0.0.1.") from error
    except OSError as error:
        raise StartupError(_describe_bind_error(where, error)) from error


def _describe_bind_error(where: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = where.port + 1 if where.port < 65535 else where.port - 1
        return f"PORT: {where.port} is in use by another program. End that one, or take another: PORT={other} make run"
    if error.errno == errno.EACCES:
        return f"PORT: {where.port} is not open to your user. Take one above 1023: PORT=8020 make run"
    return f"HOST: can't listen on {where.host}: {error.strerror}. Set HOST=127.0.0.1."


def prepare_run_dir(folder: Path) -> None:
    """The folder is there, short enough for its sockets, and no other server's. Raises CannotStart."""
    path = folder / CLAUDE_SOCKET
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH_BYTES:
        raise StartupError(
            f"RUN_DIR: {path} has {size} bytes; a socket's path may have {MAX_SOCKET_PATH_BYTES}. Set RUN_DIR to a shorter path: "
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
                f"RUN_DIR: a server is running in {folder} already. End it, or give this one a folder of its own: "
                "RUN_DIR=.run2 make run"
            )


def check_cli_path(given: Mapping[str, str]) -> None:
    """CLAUDE_CLI_PATH, when given, is a program. Raises CannotStart."""
    path = given.get("CLAUDE_CLI_PATH")
    if path and not (Path(path).is_file() and os.access(path, os.X_OK)):
        raise StartupError(
            f"CLAUDE_CLI_PATH: {path} is not a program that can be run. Set it to a `claude` binary, or leave it out: one "
            "is installed with the server."
        )
