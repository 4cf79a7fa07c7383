"""What runs in a job's own process: the sandbox is put up, then the job is done or the program run. It does not return.

Law: what a job reads, writes or runs comes after the whole of the sandbox.
"""

import os
import signal
import stat
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import msgspec

from executor.sandbox import probe
from executor.sandbox.confine import Defences, Fence, close_others, fence, limit
from executor.sandbox.landlock import Rules
from executor.sandbox.zygote.reaper import Watch, Work
from executor.tools.config import SHELL, Ground, Root
from executor.tools.files import edit, listing, read, search
from executor.tools.files.open_beneath import opened
from executor.tools.refusal import Refused
from executor.tools.task import Task
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import (
    ConvertDocument,
    EditFile,
    FindFiles,
    JobResult,
    ListFolder,
    ReadFile,
    RunCommand,
    SearchFiles,
    WriteFile,
)

# What some commands read of the system to do their work.
OF_SYSTEM = ("/etc/ld.so.cache", "/usr/lib/locale", "/usr/share/zoneinfo", "/etc/localtime")
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}

# Of a job in a user namespace of its own, its keeper is counted too.
KEEPERS = 1
# How many other jobs may start all the processes that they may have, after the others were counted.
ROOM = 8

MASK = 0o022
PROBE, PROBE_TIMEOUT = b"probe", 15.0
# In characters: a keeper takes it in one piece.
LONGEST_REFUSAL = 16_000

type Outcome = JobResult | Failed

_task = msgspec.msgpack.Decoder(Task)
_outcome = msgspec.msgpack.Encoder()


def watching(ground: Ground, asked: bytes) -> Watch:
    """What the keeper looks at."""
    if asked == PROBE:
        return Watch(PROBE_TIMEOUT, ground.limits.memory)
    task = _task.decode(asked)
    folders = tuple(f"/proc/self/fd/{root.descriptor}" for root in ground.roots if root.writable)
    limits = ground.limits
    return Watch(task.timeout, limits.memory, folders, ground.disk, limits.processes, ground.new_files)


def fence_alone(ground: Ground, filter_: bytes, defences: Defences) -> Fence:
    """What deeds on files are done behind. It is the same for all of them. Raises OSError."""
    return fence(Rules(read=_held(ground), change=_held(ground, writable=True)), filter_, defences)


def alone(ground: Ground, fence: Fence) -> Callable[[bytes], None]:
    """Make ready for a deed on files: all of the sandbox is put up before one is known. Raises OSError."""
    # It starts no process, so that none can be left behind.
    limit(ground.limits, 0)
    os.umask(MASK)
    fence.begin()
    fence.close()
    return partial(_file, ground)


def kept(ground: Ground, filter_: bytes, defences: Defences, others: int | None) -> Work:
    """Make ready to run a program: what is still missing is to bind itself to what this program may reach.

    others: how many other processes this user has; None: those of a job are counted apart. Raises OSError.
    """
    # Where all count together, the keeper counts its own; the kernel's limit leaves room for what other jobs start.
    limit(
        ground.limits,
        (KEEPERS if others is None else others + ROOM * ground.limits.processes) + ground.limits.processes,
    )
    os.umask(MASK)
    shell = ground.shell
    rules = Rules(
        read=(*_held(ground), *OF_SYSTEM, *shell.libraries),
        run=tuple(path for path in (shell.path, shell.loader) if path),
        change=_held(ground, writable=True),
        use=("/dev/null",),
    )
    behind = fence(rules, filter_, defences)
    behind.begin()
    return partial(_program, ground, behind)


def _held(ground: Ground, *, writable: bool | None = None) -> tuple[str, ...]:
    """The allowed folders, by the descriptors held of them: their names may be beyond this user's reach."""
    return tuple(
        f"/proc/self/fd/{root.descriptor}" for root in ground.roots if writable is None or root.writable == writable
    )


def _file(ground: Ground, asked: bytes) -> None:
    if asked == PROBE:
        _probe()
    task = _task.decode(asked)
    # Nothing is left behind that would have to be looked for: it is one process, and ends itself.
    signal.setitimer(signal.ITIMER_REAL, task.timeout)
    close_others({root.descriptor for root in ground.roots})
    outcome: Outcome
    try:
        if isinstance(task.job, ConvertDocument):
            # Loaded only where it is forked from (executor.tools.worker_setup).
            from executor.tools.files import documents  # noqa: PLC0415

            outcome = documents.converted(task.job.data)
        else:
            outcome = _on_files(ground, ground.roots[task.root], task)
    except Refused as refused:
        outcome = Failed(refused.kind, refused.detail)
    except (OSError, MemoryError) as error:
        outcome = Failed(ErrorKind.BAD_JOB, f"it failed: {error.strerror if isinstance(error, OSError) else 'memory'}")
    except Exception as error:  # noqa: BLE001 # nobody else could say what it was
        outcome = Failed(ErrorKind.INTERNAL, type(error).__name__)
    _say(1, _outcome.encode(outcome))
    # That is its end for the executor, which need not wait until the system has taken this process apart.
    os.close(1)
    os._exit(0)


def _on_files(ground: Ground, root: Root, task: Task) -> Outcome:
    match task.job:
        case ReadFile():
            return read.read(ground, root, task.path, task.job)
        case WriteFile():
            return edit.write(ground, root, task.path, task.job)
        case EditFile():
            return edit.edit(ground, root, task.path, task.job)
        case ListFolder():
            return listing.listing(ground, root, task.path)
        case _:
            return Failed(ErrorKind.INTERNAL)


def _program(ground: Ground, fence: Fence, asked: bytes, keeper: int) -> None:
    if asked == PROBE:
        fence.instead(Rules(read=_held(ground), use=("/dev/null",)))
        _probe()
    task = _task.decode(asked)
    try:
        match task.job:
            case RunCommand():
                _command(ground, fence, task, task.job, keeper)
            case FindFiles() | SearchFiles():
                _search(ground, fence, task, task.job, keeper)
            case _:
                pass
    except Refused as refused:
        # By the way to its keeper: what comes by the outputs may be a program's.
        _say(keeper, _outcome.encode(Failed(refused.kind, refused.detail[:LONGEST_REFUSAL])))
    os._exit(1)


def _probe() -> NoReturn:
    _say(1, msgspec.msgpack.encode(probe.not_stopped(probe.of_command())))
    os._exit(0)


def _search(ground: Ground, fence: Fence, task: Task, job: FindFiles | SearchFiles, keeper: int) -> None:
    target = _enter(ground, task)
    fence.instead(Rules(read=_held(ground), run=(f"/proc/self/fd/{ground.search}",), use=("/dev/null",)))
    fence.last()
    close_others({ground.search, keeper})
    _say(1, search.OF_FOLDER if target == "." else search.OF_FILE)
    _become(f"/proc/self/fd/{ground.search}", search.arguments(job, target), ENVIRONMENT)


def _command(ground: Ground, fence: Fence, task: Task, job: RunCommand, keeper: int) -> None:
    if _enter(ground, task) != ".":
        raise Refused(ErrorKind.BAD_JOB, "cwd: it is not a folder")
    # Loaded only where it is forked from (executor.tools.worker_setup).
    from executor.tools import programs as commands  # noqa: PLC0415

    named = commands.named(ground, job.command, partial(_say, keeper))
    programs = [program for name in named if (program := ground.commands[name])]
    extra = commands.reads(ground, job.command, named)
    extra |= {library for each in programs for library in each.libraries}
    fence.close(
        Rules(
            read=tuple(extra.difference(ground.shell.libraries)),
            run=tuple({path for each in programs for path in (each.path, each.loader) if path}),
        )
    )
    fence.last()
    close_others({keeper})
    folders = dict.fromkeys(os.path.dirname(program.path) for program in ground.commands.values() if program)  # noqa: PTH120
    environment = {**ENVIRONMENT, "PATH": ":".join(folders) or "/usr/bin"}
    _become(ground.shell.path, [SHELL, "--noprofile", "--norc", "-c", job.command], environment)


def _become(program: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Be this program. What only this process may use is closed on the way. Raises Refused."""
    try:
        os.execve(program, arguments, environment)  # noqa: S606
    except OSError as error:
        raise Refused(ErrorKind.BAD_JOB, f"it can't be started: {error.strerror}") from error
    except ValueError as error:
        raise Refused(ErrorKind.BAD_JOB, "it has characters that no program can be told") from error


def _enter(ground: Ground, task: Task) -> str:
    """Go to the folder of the task; the name of its file in it, or `.`. Raises Refused."""
    root = ground.roots[task.root]
    looked = opened(ground, root, task.path, os.O_PATH)
    if stat.S_ISDIR(os.fstat(looked).st_mode):
        try:
            os.fchdir(looked)
        except PermissionError as error:
            raise Refused(
                ErrorKind.NOT_ALLOWED, f"{root.path}/{task.path} can't be entered by the tools' user"
            ) from error
        return "."
    above, _, name = task.path.rpartition("/")
    os.fchdir(opened(ground, root, above or ".", os.O_PATH | os.O_DIRECTORY))
    return f"./{name}"


def _say(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
