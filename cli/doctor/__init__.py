"""`claude-api-server doctor`: checks everything that the server needs, and shows the fix of each problem.

Invariants: it changes nothing and reads no secret. Each program checks itself, with `--check`, as it would start now. Every
finding that is not ok has a fix.
"""

from typing import Literal

from msgspec import Struct

type Level = Literal["ok", "warning", "error"]

# All checks. The manual lists what each can find, and the fixes.
CHECKS = {
    "settings": "each program takes its settings",
    "names": "no name in .env or in a program's file is unknown",
    "secrets": "files with secrets are readable by their owner alone",
    "cli": "Claude Code is there, of the version that was tested, and starts",
    "credential": "which credential is used, and whether it is accepted",
    "upstream": "the model's service can be reached",
    "clock": "the clock is right",
    "kernel": "what this kernel has for the sandbox of the tools",
    "sandbox": "the sandbox holds when it is tried",
    "paths": "the allowed paths are there, readable, and cover no secret",
    "commands": "the allowed commands are there",
    "folder": "the folder of the sockets can be used",
    "sockets": "the executors' sockets answer, and are for whom they should be",
    "port": "the address is free, or this server's own",
    "running": "what a running server says of itself",
    "data": "the folder of keys and ledger can be used",
    "database": "the database answers, and is of a version that this program knows",
    "limits": "what counts limits for several API hosts answers",
    "disk": "there is space",
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
