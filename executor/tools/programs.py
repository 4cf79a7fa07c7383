"""Which allowed programs a command names, and what they read of the system.

Law: shell text is read in the process of its job, in the sandbox: nothing bounds how long that takes but the kernel.
"""

import os
import re
import signal
from collections.abc import Callable

import msgspec

from executor.sandbox import tables
from executor.sandbox.zygote.reaper import TAKEN_BACK
from executor.tools import shell
from executor.tools.config import Ground
from executor.tools.refusal import Refused
from shared.errors import ErrorKind
from shared.events import Failed

# What some commands read of the system to do their work: numbers of the machine, and kinds of files.
READS: dict[str, tuple[str, ...]] = {
    "uptime": ("/proc/uptime", "/proc/loadavg", "/proc/stat", "/proc/version"),
    "free": ("/proc/meminfo", "/proc/vmstat", "/proc/stat"),
    "file": ("/etc/magic", "/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc", "/usr/share/file/magic.mgc"),
}
# Who has an account is nobody's business: these are granted where they show the tools' user alone, or to one program alone.
ACCOUNTS = ("whoami", "id")
ALONE = re.compile(r"\s*(whoami|id)(\s+-{1,2}[A-Za-z]+)*\s*")

# Of computing, in seconds: the longest text that is allowed takes a tenth of it.
READING_TIME = 1.0
TOO_LONG_TO_READ = Failed(ErrorKind.BAD_JOB, "command: this shell text takes too long to read; make it a simpler one")


def named(ground: Ground, command: str, say: Callable[[bytes], None]) -> tuple[str, ...]:
    """As `programs`, within a time: after it this process is ended, and what was told its keeper by `say` is the refusal."""
    # Said beforehand, and taken back: nobody else is there to say it.
    say(msgspec.msgpack.encode(TOO_LONG_TO_READ))
    signal.setitimer(signal.ITIMER_PROF, READING_TIME)
    try:
        found = programs(ground, command)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    say(TAKEN_BACK)
    return found


def programs(ground: Ground, command: str) -> tuple[str, ...]:
    """Names of the allowed programs that shell text names. How long that takes is not bounded here. Raises Refused."""
    by_path = {program.path: name for name, program in ground.commands.items() if program}
    found: list[str] = []
    for name in shell.names(command):
        known = name if name in ground.commands else by_path.get(os.path.realpath(name) if name[0] == "/" else "")
        if known is None:
            raise Refused(ErrorKind.NOT_ALLOWED, f"the command {name} is not allowed. Allowed: {ground.listed}")
        found.append(known)
    return tuple(found)


def reads(ground: Ground, command: str, named: tuple[str, ...]) -> set[str]:
    """What of the system these programs read. What one may read, all of a command may."""
    found = {path for name in named for path in READS.get(name, ())}
    if "df" in named:
        found.add(tables.table())
    if set(ACCOUNTS) & set(named) and (ground.accounts or ALONE.fullmatch(command)):
        found.update(tables.ACCOUNTS)
    return found
