"""`claude-api-server doctor`: looks at everything that the server needs, and says of each how it is and what to do.

Law: it changes nothing, and reads no secret: each program is asked, by its own command line, what it would find at a
start. Whatever is not ok has a mend.
"""

from typing import Literal

from msgspec import Struct

type Level = Literal["ok", "warning", "error"]

# Everything that is looked at. What can be found, and what to do then, is in the manual under each name.
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
    """One thing that was looked at. check: one of CHECKS. said: a sentence. mend: what to do; empty where all is well."""

    check: str
    level: Level
    message: str
    fix: str = ""


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, mend: str) -> Finding:
    """It works, but not as well or not as safely as it should."""
    return Finding(check, "warning", said, mend)


def error(check: str, said: str, mend: str) -> Finding:
    """Something does not work."""
    return Finding(check, "error", said, mend)


def to_finding(check: str, problem: object, level: Level = "error") -> Finding:
    """A problem whose message is a sentence, then its mend, as the programs write them."""
    said, _, mend = str(problem).partition(". ")
    return Finding(check, level, said.rstrip(".") + ".", mend)
