"""Which allowed programs a command names, and what they read of the system.

Invariants: shell text is read in the process of its job, in the sandbox: nothing bounds how long that takes but the kernel.
"""

import os
import re
import signal
from collections.abc import Callable

import msgspec

from executor.sandbox import tables
from executor.sandbox.zygote.reaper import RETRACTION
from executor.tools.config import ToolConfig
from executor.tools.task import JobRefused
from executor.tools.worker import shell
from shared.errors import ErrorKind
from shared.events import Failed

# What some commands read of the system to do their work: numbers of the machine, and kinds of files.
READ_PATHS: dict[str, tuple[str, ...]] = {
    "uptime": ("/proc/uptime", "/proc/loadavg", "/proc/stat", "/proc/version"),
    "free": ("/proc/meminfo", "/proc/vmstat", "/proc/stat"),
    "file": ("/etc/magic", "/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc", "/usr/share/file/magic.mgc"),
}
# Who has an account is nobody's business: these are granted where they show the tools' user alone, or to one program alone.
ACCOUNT_COMMANDS = ("whoami", "id")
SINGLE_ACCOUNT_COMMAND = re.compile(r"\s*(whoami|id)(\s+-{1,2}[A-Za-z]+)*\s*")

# Of computing, in seconds: the longest text that is allowed takes a tenth of it.
PARSE_CPU_LIMIT = 1.0
PARSE_TIMEOUT_FAILURE = Failed(
    ErrorKind.BAD_JOB, "command: this shell text takes too long to read; make it a simpler one"
)


def list_programs_in_time(config: ToolConfig, command: str, send_message: Callable[[bytes], None]) -> tuple[str, ...]:
    """As `programs`, within a time: after it this process is ended, and what was told its keeper by `say` is the refusal."""
    # Said beforehand, and taken back: nobody else is there to say it.
    send_message(msgspec.msgpack.encode(PARSE_TIMEOUT_FAILURE))
    signal.setitimer(signal.ITIMER_PROF, PARSE_CPU_LIMIT)
    try:
        found = list_programs(config, command)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    send_message(RETRACTION)
    return found


def list_programs(config: ToolConfig, command: str) -> tuple[str, ...]:
    """Names of the allowed programs that shell text names. How long that takes is not bounded here. Raises JobRefused."""
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
    """What of the system these programs read. What one may read, all of a command may."""
    found = {path for name in names for path in READ_PATHS.get(name, ())}
    if "df" in names:
        found.add(tables.find_mount_table())
    if set(ACCOUNT_COMMANDS) & set(names) and (config.accounts or SINGLE_ACCOUNT_COMMAND.fullmatch(command)):
        found.update(tables.ACCOUNT_FILES)
    return found
