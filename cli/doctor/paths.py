"""Files, folders and sockets: who may read what, whether it answers, and whether there is space."""

import asyncio
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from cli.doctor import Finding, error, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.up.preflight import CLAUDE_SOCKET, MAX_SOCKET_PATH_BYTES
from shared.events import Failed
from shared.process.peers import UntrustedSocketError, find_folder_problem
from shared.tool_jobs import ToolsStatus
from shared.wire import PROTOCOL_VERSION, ClaudeStatus, WireError, fetch_status

STATUS_TIMEOUT = 3.0
SOCKET_MODE = 0o660
# Each may have a folder of its own in RUN_DIR.
ROLES = ("claude", "tools")
MEGABYTE = 1 << 20
# A CLI's private folder, an answer's spill, a log: what a small server may need in a day.
LOW_DISK_BYTES, MIN_DISK_BYTES = 1024 * MEGABYTE, 64 * MEGABYTE


def check_secrets(install: Installation) -> Iterator[Finding]:
    """Files with secrets are their owner's alone."""
    seen = 0
    for path in install.secrets:
        try:
            facts = path.stat()
        except PermissionError:
            seen += 1
            yield warning("secrets", f"{path} can't be looked at by you.", "Look again as root.")
            continue
        except OSError:
            continue
        seen += 1
        if facts.st_mode & (stat.S_IRWXO | stat.S_IRWXG):
            yield error(
                "secrets",
                f"{path} can be read by other users (mode {stat.S_IMODE(facts.st_mode):o}).",
                f"chmod 600 {path}; if others use this machine, make new secrets too.",
            )
        elif facts.st_uid not in {os.getuid(), 0}:
            yield warning(
                "secrets", f"{path} belongs to {_find_user_name(facts.st_uid)}.", f"chown it to you: chown $USER {path}"
            )
        else:
            yield ok("secrets", f"{path} is for its owner alone.")
    if not seen:
        yield ok("secrets", "No file with secrets is there yet.")


def check_run_dir(install: Installation) -> Finding:
    """The folder of the sockets."""
    path = install.run_dir
    size = len(os.fsencode(path / CLAUDE_SOCKET))
    if size > MAX_SOCKET_PATH_BYTES:
        return error(
            "folder",
            f"RUN_DIR: the path of {path / CLAUDE_SOCKET} has {size} bytes; a socket's may have {MAX_SOCKET_PATH_BYTES}.",
            "Set RUN_DIR to a shorter path, such as ~/.claude-api.",
        )
    try:
        facts = path.stat()
    except FileNotFoundError:
        above = next(each for each in path.parents if each.exists())
        if install.kind == "systemd":
            return error("folder", f"{path} is not there.", "systemd-tmpfiles --create claude-api-server.conf")
        if os.access(above, os.W_OK | os.X_OK):
            return ok("folder", f"{path} is made at the first start.")
        return error("folder", f"RUN_DIR: {path} can't be made.", "Set RUN_DIR to a folder in which you may write.")
    except OSError as problem:
        return error("folder", f"RUN_DIR: {path} can't be seen: {problem.strerror}.", "Look as its owner, or as root.")
    if not stat.S_ISDIR(facts.st_mode):
        return error("folder", f"RUN_DIR: {path} is not a folder.", "Set RUN_DIR to a folder of the server's own.")
    if problem := _find_untrusted_folder(path.absolute()):
        return to_finding("folder", problem)
    if install.kind == "folder" and not os.access(path, os.W_OK | os.X_OK):
        return error("folder", f"RUN_DIR: {path} can't be written.", "Set RUN_DIR to a writable folder.")
    return ok(
        "folder", f"{path} can be used (owner {_find_user_name(facts.st_uid)}, mode {stat.S_IMODE(facts.st_mode):o})."
    )


def _find_untrusted_folder(path: Path) -> str:
    own = [path / role for role in ROLES if (path / role).is_dir()]
    problems = (find_folder_problem(path), *(find_folder_problem(each, any_owner=True) for each in own))
    return next(filter(None, problems), "")


async def check_sockets(install: Installation) -> list[Finding]:
    """Each executor's socket."""
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
        return [ok("sockets", "No executor runs.")]
    return [found for path in paths for found in await _check_socket(path)]


async def _check_socket(path: Path) -> list[Finding]:
    found: list[Finding] = []
    try:
        facts = os.stat(path)  # noqa: PTH116 # at once: it is a folder of sockets in memory
    except OSError as problem:
        return [warning("sockets", f"{path.name} can't be seen: {problem.strerror}.", "Look again as root.")]
    if stat.S_IMODE(facts.st_mode) & ~SOCKET_MODE:
        found.append(
            error(
                "sockets",
                f"{path} can be reached by others than its owner and group (mode {stat.S_IMODE(facts.st_mode):o}).",
                f"chmod 660 {path}",
            )
        )
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            answer = await fetch_status(str(path))
    except UntrustedSocketError as problem:
        return [*found, to_finding("sockets", problem)]
    except PermissionError:
        mend = "Look again as root, or as a member of its group."
        return [*found, warning("sockets", f"{path.stem} is not for you to ask ({_render_owner(facts)}).", mend)]
    except ConnectionRefusedError:
        mend = f"Nothing is wrong if it was killed: its next start takes the place. Otherwise: rm {path}"
        return [*found, warning("sockets", f"{path} is a socket that nobody listens at.", mend)]
    except (OSError, WireError, TimeoutError):
        return [*found, error("sockets", f"{path.stem} does not answer.", "Its log says why; restart it.")]
    return [*found, _describe_status(path, answer, facts)]


def _describe_status(path: Path, answer: object, facts: os.stat_result) -> Finding:
    match answer:
        case ClaudeStatus(problem=problem) | ToolsStatus(problem=problem) if problem:
            said, _, mend = problem.partition("; ")
            return error("sockets", f"{path.stem} runs, but serves nothing: {said}.", mend or "Its log says more.")
        case ClaudeStatus(draining=True) | ToolsStatus(draining=True):
            return warning("sockets", f"{path.stem} is about to end.", "Wait, then start it again.")
        case ClaudeStatus(mode=mode, cli_version=version):
            return ok("sockets", f"{path.stem} answers: {mode}, Claude Code {version} ({_render_owner(facts)}).")
        case ToolsStatus():
            return ok("sockets", f"{path.stem} answers ({_render_owner(facts)}).")
        case Failed(detail=detail) if detail:
            return warning("sockets", f"{path.stem} does not say how it is: {detail}.", "Look again as root.")
        case _:
            return error(
                "sockets",
                f"{path.stem} speaks another version of the protocol than {PROTOCOL_VERSION}.",
                "Restart it: it runs code of another version than is installed.",
            )


def check_disk(install: Installation) -> Iterator[Finding]:
    """The space of each folder that is written."""
    seen: set[int] = set()
    for path in (install.run_dir, *install.data_folders):
        there = next((each for each in (path, *path.parents) if each.exists()), Path("/"))
        try:
            device, state = there.stat().st_dev, os.statvfs(there)
        except OSError:
            continue
        if device in seen:
            continue
        seen.add(device)
        free = state.f_bavail * state.f_frsize
        said = f"{free // MEGABYTE} MiB are free for {path}"
        if free < MIN_DISK_BYTES:
            yield error(
                "disk", f"{said}: too little for the CLI's private folders.", "Make space, or set RUN_DIR elsewhere."
            )
        elif free < LOW_DISK_BYTES:
            yield warning("disk", f"{said}.", "Make space: 1024 MiB are enough.")
        else:
            yield ok("disk", f"{said}.")


def _render_owner(facts: os.stat_result) -> str:
    return f"owner {_find_user_name(facts.st_uid)}, mode {stat.S_IMODE(facts.st_mode):o}"


def _find_user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
