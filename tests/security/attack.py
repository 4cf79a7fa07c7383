"""What an attack is, for tests: something that can be tried on a tools executor, and the defences that stop it.

Invariants: an attempt knows both of its outcomes when it sees them. What shows neither is a fault of the test's.
"""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from shared.tool_jobs import RunCommand
from tests.security import machine
from tests.support.tools import ToolsProgram

PYTHON = "/usr/bin/python3"
STOPPED = b"it was stopped"
# EPERM, EACCES, EROFS and ENOSYS: how a kernel says no.
DENIALS = (-1, -13, -30, -38)

type Argument = int | bytes | Callable[[ToolsProgram], int | bytes]


class Attack(Struct, frozen=True):
    """attempt: tries it, and says whether it went through. down: without these defences it does."""

    down: tuple[str, ...]
    attempt: Callable[[ToolsProgram], Awaitable[bool]]


def call(
    number: int,
    *arguments: Argument,
    down: Sequence[str] = ("seccomp",),
    program: str = "syscaller",
    denials: Sequence[int] = DENIALS,
) -> Attack:
    """A system call, by a program that does nothing else. What it points to may depend on the executor."""

    async def attempt(tools: ToolsProgram) -> bool:
        given = [each(tools) if callable(each) else each for each in arguments]
        place = tools.root / "call"
        place.write_bytes(machine.build_call(number, given))
        output = await tools.run_command(f"{program} < {place}")
        # Ended by SIGSYS: 31.
        if output.returncode in {-31, 128 + 31}:
            return False
        assert len(output.stdout) == 8, output
        return machine.result(output.stdout) not in denials

    return Attack(tuple(down), attempt)


def code(text: str, *, down: Sequence[str]) -> Attack:
    """A program in Python. It may use `executor`, its process; `inside`, `outside`, `run`: folders; and what is `told`."""
    body = "\n".join(f"    {line}" for line in text.splitlines())
    program = (
        f"import os, socket\ntry:\n{body}\nexcept OSError as error:\n    os.write(1, b'{STOPPED.decode()}')\n"
        f"else:\n    os.write(1, b'{machine.THROUGH.decode()}')\n"
    )

    async def attempt(tools: ToolsProgram) -> bool:
        known = {**dict(zip(("inside", "outside", "run"), folders(tools), strict=True)), **tools.attack_facts}
        known["executor"] = tools.program.pid
        given = "".join(f"{name} = {value!r}\n" for name, value in known.items())
        output = await tools.run_job(RunCommand(f"{PYTHON} -I -S -", stdin=given + program))
        assert output.stdout in {STOPPED, machine.THROUGH}, output
        return output.stdout == machine.THROUGH

    return Attack(tuple(down), attempt)


def command(text: str, *, down: Sequence[str], sign: bytes = b"uid=", stdin: str | None = None) -> Attack:
    """A command, in which folders may be named. sign: what is seen when it went through."""

    async def attempt(tools: ToolsProgram) -> bool:
        inside, outside, run = folders(tools)
        filled = text.format(inside=inside, outside=outside, run=run, **tools.attack_facts)
        output = await tools.run_job(RunCommand(filled, str(tools.writable), stdin=stdin))
        return sign in output.stdout + output.stderr

    return Attack(tuple(down), attempt)


def folders(tools: ToolsProgram) -> tuple[str, str, str]:
    """The one to write, one that is not allowed, and the executor's own."""
    return str(tools.writable), str(tools.outside), str(tools.run_dir)
