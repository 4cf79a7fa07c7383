"""`claude-api-server doctor`: checks everything that the server needs, and shows the fix of each problem.

Invariants: it changes nothing and reads no secret. Each program checks itself, with `--check`, as it would start now. Every
finding that is not ok has a fix.
"""

from typing import Literal

from msgspec import Struct

type Level = Literal["ok", "warning", "error"]

# All checks. The manual lists what each can find, and the fixes.
CHECKS = {
    "settings": "the settings of each program are valid",
    "names": "all names in .env or in a program's file are settings",
    "secrets": "only their owner can read files with secrets",
    "cli": "Claude Code is installed, has the tested version, and starts",
    "credential": "which credential is used, and whether the service accepts it",
    "upstream": "the model's service is reachable",
    "clock": "the clock is right",
    "kernel": "the kernel has the features that the sandboxes need",
    "sandbox": "the sandbox of the tools passes its test",
    "paths": "the allowed paths exist, are readable, and contain no secrets of the server",
    "commands": "the allowed commands are installed",
    "folder": "the folder of the sockets is usable",
    "sockets": "the executors' sockets answer, and have the right owner and permissions",
    "port": "the address is free, or this server uses it",
    "running": "the health report of a running server",
    "data": "the folder of the keys and the ledger is usable",
    "database": "the database answers, and its version is supported",
    "limits": "the server that counts limits for several API hosts (RATE_LIMIT_URL) answers",
    "disk": "there is enough free disk space",
}


class Finding(Struct, frozen=True):
    """The result of a check. check: a key of CHECKS. message: a sentence. fix: what to do; empty if the level is ok."""

    check: str
    level: Level
    message: str
    fix: str = ""


def ok(check: str, message: str) -> Finding:
    """Returns a finding without a problem."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, fix: str) -> Finding:
    """Returns a finding about something that works, but not as well or as safely as it should."""
    return Finding(check, "warning", message, fix)


def error(check: str, message: str, fix: str) -> Finding:
    """Returns a finding about something that does not work."""
    return Finding(check, "error", message, fix)


def to_finding(check: str, problem: object, level: Level = "error") -> Finding:
    """Returns the finding for a problem of a program: a sentence, then the fix."""
    message, _, fix = str(problem).partition(". ")
    return Finding(check, level, message.rstrip(".") + ".", fix)
