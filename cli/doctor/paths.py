"""Checks files, folders and sockets: permissions, whether an executor answers, and free space."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cli.doctor import Finding, error, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.up.preflight import CLAUDE_SOCKET, MAX_SOCKET_PATH_BYTES
from shared.claude_status import ClaudeStatus
from shared.events import Failed
from shared.process.peers import UntrustedSocketError, find_folder_problem
from shared.process.strict_modes import user_name
from shared.tool_jobs import ToolsStatus
from shared.wire import PROTOCOL_VERSION, WireError, fetch_status

STATUS_TIMEOUT = 3.0
SOCKET_MODE = 0o660
# Each role may have a subfolder of RUN_DIR.
ROLES = ("claude", "tools")
MEGABYTE = 1 << 20
# The private folders of CLIs, large answers and logs: the daily need of a small server.
LOW_DISK_BYTES, MIN_DISK_BYTES = 1024 * MEGABYTE, 64 * MEGABYTE


def check_secrets(install: Installation) -> Iterator[Finding]:
    """Yields whether only the owner can read the files with secrets."""
    seen = 0
    for path in install.secrets:
        try:
            facts = path.stat()
        except PermissionError:
            seen += 1
            yield warning("secrets", f"You can't read {path}.", "Run the doctor as root.")
            continue
        except OSError:
            continue
        seen += 1
        if facts.st_mode & (stat.S_IRWXO | stat.S_IRWXG):
            yield error(
                "secrets",
                f"{path} can be read by other users (mode {stat.S_IMODE(facts.st_mode):o}).",
                f"chmod 600 {path}; if others use this machine, replace the secrets too.",
            )
        elif facts.st_uid not in {os.getuid(), 0}:
            yield warning(
                "secrets", f"{path} belongs to {user_name(facts.st_uid)}.", f"Make it yours: chown $USER {path}"
            )
        else:
            yield ok("secrets", f"Only the owner can read {path}.")
    if not seen:
        yield ok("secrets", "No file with secrets exists yet.")


def check_run_dir(install: Installation) -> Finding:
    """Returns whether the folder of the sockets can be used."""
    path = install.run_dir
    size = len(os.fsencode(path / CLAUDE_SOCKET))
    if size > MAX_SOCKET_PATH_BYTES:
        return error(
            "folder",
            f"RUN_DIR: the path of {path / CLAUDE_SOCKET} has {size} bytes; the path of a socket may have {MAX_SOCKET_PATH_BYTES}.",
            "Set RUN_DIR to a shorter path, such as ~/.claude-api.",
        )
    try:
        facts = path.stat()
    except FileNotFoundError:
        above = next(each for each in path.parents if each.exists())
        if install.kind == "systemd":
            return error("folder", f"{path} does not exist.", "systemd-tmpfiles --create claude-api-server.conf")
        if os.access(above, os.W_OK | os.X_OK):
            return ok("folder", f"{path} is created at the first start.")
        return error("folder", f"RUN_DIR: {path} can't be created.", "Set RUN_DIR to a writable folder.")
    except OSError as problem:
        return error(
            "folder", f"RUN_DIR: {path} can't be read: {problem.strerror}.", "Run the doctor as its owner, or as root."
        )
    if not stat.S_ISDIR(facts.st_mode):
        return error("folder", f"RUN_DIR: {path} is not a folder.", "Set RUN_DIR to a folder for the server alone.")
    own = [path.absolute() / role for role in ROLES if (path / role).is_dir()]
    problems = (find_folder_problem(path.absolute()), *(find_folder_problem(each, any_owner=True) for each in own))
    if problem := next(filter(None, problems), ""):
        return to_finding("folder", problem)
    if install.kind == "folder" and not os.access(path, os.W_OK | os.X_OK):
        return error("folder", f"RUN_DIR: {path} can't be written.", "Set RUN_DIR to a writable folder.")
    return ok("folder", f"{path} can be used (owner {user_name(facts.st_uid)}, mode {stat.S_IMODE(facts.st_mode):o}).")


async def check_sockets(install: Installation) -> list[Finding]:
    """Returns the findings about each executor's socket."""
    try:
        paths = sorted(
            path
            for role in ROLES
            for folder in (install.run_dir, install.run_dir / role)
            for path in folder.glob(f"{role}-*.sock")
        )
    except OSError:
        paths = []
    if not paths:
        return [ok("sockets", "No executor is running.")]
    return [found for path in paths for found in await _check_socket(path)]


async def _check_socket(path: Path) -> list[Finding]:
    found: list[Finding] = []
    try:
        facts = os.stat(path)  # noqa: PTH116 # fast: the folder is in memory
    except OSError as problem:
        return [warning("sockets", f"{path.name} can't be read: {problem.strerror}.", "Run the doctor as root.")]
    if stat.S_IMODE(facts.st_mode) & ~SOCKET_MODE:
        found.append(
            error(
                "sockets",
                f"Users other than its owner and group can connect to {path} (mode {stat.S_IMODE(facts.st_mode):o}).",
                f"chmod 660 {path}",
            )
        )
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            answer = await fetch_status(path)
    except UntrustedSocketError as problem:
        return [*found, to_finding("sockets", problem)]
    except PermissionError:
        fix = "Run the doctor as root, or as a member of its group."
        return [*found, warning("sockets", f"You may not connect to {path.stem} ({_render_owner(facts)}).", fix)]
    except ConnectionRefusedError:
        fix = f"If the executor was killed, its next start replaces the socket. Otherwise: rm {path}"
        return [*found, warning("sockets", f"No program listens on {path}.", fix)]
    except (OSError, WireError, TimeoutError):
        return [*found, error("sockets", f"{path.stem} does not answer.", "Read its log; restart it.")]
    return [*found, _describe_status(path, answer, facts)]


def _describe_status(path: Path, answer: object, facts: os.stat_result) -> Finding:
    match answer:
        case ClaudeStatus(problem=problem) | ToolsStatus(problem=problem) if problem:
            reason, _, fix = problem.partition("; ")
            return error("sockets", f"{path.stem} runs, but serves nothing: {reason}.", fix or "Read its log.")
        case ClaudeStatus(draining=True) | ToolsStatus(draining=True):
            return warning("sockets", f"{path.stem} is shutting down.", "Wait, then start it again.")
        case ClaudeStatus(mode=mode, cli_version=version):
            return ok("sockets", f"{path.stem} answers: {mode}, Claude Code {version} ({_render_owner(facts)}).")
        case ToolsStatus():
            return ok("sockets", f"{path.stem} answers ({_render_owner(facts)}).")
        case Failed(detail=detail) if detail:
            return warning("sockets", f"{path.stem} does not report its status: {detail}.", "Run the doctor as root.")
        case _:
            return error(
                "sockets",
                f"{path.stem} speaks another version of the protocol than {PROTOCOL_VERSION}.",
                "Restart it: the running code is not the installed version.",
            )


def check_disk(install: Installation) -> Iterator[Finding]:
    """Yields the free space of each folder that the server writes to."""
    seen: set[int] = set()
    for path in (install.run_dir, *install.data_folders):
        existing = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
        try:
            device, state = existing.stat().st_dev, os.statvfs(existing)
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        free = state.f_bavail * state.f_frsize
        message = f"{free // MEGABYTE} MiB are free for {path}"
        if free < MIN_DISK_BYTES:
            yield error(
                "disk",
                f"{message}: too little for the CLI's private folders.",
                "Free space, or set RUN_DIR to another disk.",
            )
        elif free < LOW_DISK_BYTES:
            yield warning("disk", f"{message}.", "Free space: 1024 MiB are enough.")
        else:
            yield ok("disk", f"{message}.")


def _render_owner(facts: os.stat_result) -> str:
    return f"owner {user_name(facts.st_uid)}, mode {stat.S_IMODE(facts.st_mode):o}"
