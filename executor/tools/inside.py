"""What runs in a job's own process: the sandbox is put up, then the job is done or the program run. It does not return."""

import os
import stat
from typing import NoReturn

import msgspec

from executor.sandbox import landlock, probe, seccomp
from executor.sandbox.confine import Defences, close_others, confine, limit
from executor.sandbox.keeper import Watch
from executor.sandbox.landlock import Rules
from executor.tools import edit, listing, read, search
from executor.tools.beneath import opened
from executor.tools.ground import SHELL, Ground
from executor.tools.policy import Task
from executor.tools.refusal import Refused
from shared.errors import ErrorKind
from shared.events import Failed
from shared.jobs import (
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
READS: dict[str, tuple[str, ...]] = {
    "uptime": ("/proc/uptime", "/proc/loadavg", "/proc/stat", "/proc/version"),
    "free": ("/proc/meminfo", "/proc/vmstat", "/proc/stat"),
    "df": ("/proc/self/mountinfo",),
    "whoami": ("/etc/passwd", "/etc/nsswitch.conf"),
    "id": ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
    "file": ("/etc/magic", "/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc", "/usr/share/file/magic.mgc"),
}
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}

PROBE, PROBE_TIMEOUT = b"probe", 15.0

type Outcome = JobResult | Failed

_task = msgspec.msgpack.Decoder(Task)
_outcome = msgspec.msgpack.Encoder()


def watching(ground: Ground, asked: bytes) -> Watch:
    """What the keeper looks at."""
    if asked == PROBE:
        return Watch(PROBE_TIMEOUT, ground.limits.memory)
    task = _task.decode(asked)
    folders = tuple(f"/proc/self/fd/{root.descriptor}" for root in ground.roots if root.writable)
    return Watch(task.timeout, ground.limits.memory, folders, ground.disk)


def perform(ground: Ground, asked: bytes, others: int, defences: Defences) -> NoReturn:
    """Do the task. others: how many other processes this user has."""
    limit(ground.limits, others)
    os.umask(0o022)
    if asked == PROBE:
        confine(Rules(read=_held(ground), use=("/dev/null",)), _filter(), defences)
        _say(1, msgspec.msgpack.encode(probe.not_stopped(probe.of_command())))
        os._exit(0)
    task = _task.decode(asked)
    match task.job:
        case RunCommand():
            _command(ground, task, task.job, defences)
        case FindFiles() | SearchFiles():
            _search(ground, task, task.job, defences)
        case _:
            _file(ground, task, defences)
    os._exit(0)


def _filter() -> bytes:
    return seccomp.command_filter(signals=landlock.abi() >= landlock.SCOPE_ABI)


def _held(ground: Ground, *, writable: bool | None = None) -> tuple[str, ...]:
    """The allowed folders, by the descriptors held of them: their names may be beyond this user's reach."""
    return tuple(
        f"/proc/self/fd/{root.descriptor}" for root in ground.roots if writable is None or root.writable == writable
    )


def _file(ground: Ground, task: Task, defences: Defences) -> None:
    close_others({root.descriptor for root in ground.roots})
    confine(Rules(read=_held(ground), change=_held(ground, writable=True)), _filter(), defences)
    root = ground.roots[task.root]
    outcome: Outcome
    try:
        match task.job:
            case ReadFile():
                outcome = read.read(ground, root, task.path, task.job)
            case WriteFile():
                outcome = edit.write(ground, root, task.path, task.job)
            case EditFile():
                outcome = edit.edit(ground, root, task.path, task.job)
            case ListFolder():
                outcome = listing.listing(ground, root, task.path)
            case _:
                outcome = Failed(ErrorKind.INTERNAL)
    except Refused as refused:
        outcome = Failed(refused.kind, refused.detail)
    except (OSError, MemoryError) as error:
        outcome = Failed(ErrorKind.BAD_JOB, f"it failed: {error.strerror if isinstance(error, OSError) else 'memory'}")
    _say(1, _outcome.encode(outcome))


def _search(ground: Ground, task: Task, job: FindFiles | SearchFiles, defences: Defences) -> None:
    try:
        target = _enter(ground, task)
    except Refused as refused:
        _refuse(refused)
    rules = Rules(
        read=_held(ground),
        run=(f"/proc/self/fd/{ground.search}",),
        use=("/dev/null",),
    )
    confine(rules, _filter(), defences)
    close_others({ground.search})
    _say(1, search.OF_FOLDER if target == "." else search.OF_FILE)
    os.execve(f"/proc/self/fd/{ground.search}", search.arguments(job, target), ENVIRONMENT)  # noqa: S606


def _command(ground: Ground, task: Task, job: RunCommand, defences: Defences) -> None:
    try:
        if _enter(ground, task) != ".":
            raise Refused(ErrorKind.BAD_JOB, "cwd: it is not a folder")
    except Refused as refused:
        _refuse(refused)
    programs = [program for name in task.programs if (program := ground.commands[name])] + [ground.shell]
    extra = tuple(path for name in task.programs for path in READS.get(name, ()))
    rules = Rules(
        read=(*_held(ground), *OF_SYSTEM, *extra, *(library for each in programs for library in each.libraries)),
        run=tuple({path for each in programs for path in (each.path, each.loader) if path}),
        change=_held(ground, writable=True),
        use=("/dev/null",),
    )
    confine(rules, _filter(), defences)
    close_others(set())
    folders = dict.fromkeys(os.path.dirname(program.path) for program in ground.commands.values() if program)  # noqa: PTH120
    environment = {**ENVIRONMENT, "PATH": ":".join(folders) or "/usr/bin"}
    os.execve(ground.shell.path, [SHELL, "--noprofile", "--norc", "-c", job.command], environment)  # noqa: S606


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


def _refuse(refused: Refused) -> NoReturn:
    """Say it on the socket of errors: the last word of a process that runs nothing."""
    _say(2, REFUSED + _outcome.encode(Failed(refused.kind, refused.detail)))
    os._exit(REFUSED_STATUS)


REFUSED = b"\0refused\0"
REFUSED_STATUS = 125


def _say(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
