"""Finds the allowed programs that a command names, and the system files that they read.

Invariants: shell text is parsed in the process of its job, in the sandbox, since only the kernel limits how long that takes.
"""

import os
import re
import signal
from collections.abc import Callable

import msgspec

from executor.sandbox import mounts
from executor.sandbox.zygote.reaper import RETRACTION
from executor.tools.config import ToolConfig
from executor.tools.task import JobRefused
from executor.tools.worker import shell
from shared.errors import ErrorKind
from shared.events import Failed

# System files that some commands need: figures of the machine, and tables of file types.
READ_PATHS: dict[str, tuple[str, ...]] = {
    "uptime": ("/proc/uptime", "/proc/loadavg", "/proc/stat", "/proc/version"),
    "free": ("/proc/meminfo", "/proc/vmstat", "/proc/stat"),
    "file": ("/etc/magic", "/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc", "/usr/share/file/magic.mgc"),
}
# Commands must not list the machine's accounts. They may read the tables of accounts only where those show no user but the
# tools' own, or where one of these programs runs alone.
ACCOUNT_COMMANDS = ("whoami", "id")
SINGLE_ACCOUNT_COMMAND = re.compile(r"\s*(whoami|id)(\s+-{1,2}[A-Za-z]+)*\s*")

# In seconds of CPU time: the longest text that is allowed takes a tenth of it.
PARSE_CPU_LIMIT = 1.0
PARSE_TIMEOUT_FAILURE = Failed(ErrorKind.BAD_JOB, "command: this shell text takes too long to parse; make it simpler")


def list_programs_in_time(config: ToolConfig, command: str, send_message: Callable[[bytes], None]) -> tuple[str, ...]:
    """Like `list_programs`, but with a time limit, which ends this process; the message sent first is then the refusal."""
    # Sent in advance and retracted afterwards, since nothing can send it after the process has ended.
    send_message(msgspec.msgpack.encode(PARSE_TIMEOUT_FAILURE))
    signal.setitimer(signal.ITIMER_PROF, PARSE_CPU_LIMIT)
    try:
        found = list_programs(config, command)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    send_message(RETRACTION)
    return found


def list_programs(config: ToolConfig, command: str) -> tuple[str, ...]:
    """Returns the names of the allowed programs that shell text names, without a time limit. Raises JobRefused."""
    by_path = {program.path: name for name, program in config.commands.items() if program}
    found: list[str] = []
    for name in shell.list_program_names(command):
        known = name if name in config.commands else by_path.get(os.path.realpath(name) if name[0] == "/" else "")
        if known is None:
            raise JobRefused(
                ErrorKind.NOT_ALLOWED, f"the command {name} is not allowed. Allowed: {config.command_names}"
            )
        found.append(known)
    return tuple(found)


def list_read_paths(config: ToolConfig, command: str, names: tuple[str, ...]) -> set[str]:
    """Returns the system files that these programs read. All programs of a command may read the same files."""
    found = {path for name in names for path in READ_PATHS.get(name, ())}
    if "df" in names:
        found.add(mounts.find_mount_table())
    if set(ACCOUNT_COMMANDS) & set(names) and (config.accounts or SINGLE_ACCOUNT_COMMAND.fullmatch(command)):
        found.update(mounts.ACCOUNT_FILES)
    return found
