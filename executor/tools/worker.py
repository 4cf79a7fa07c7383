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
from executor.sandbox.confine import Defences, Sandbox, build_sandbox, close_other_descriptors, set_limits
from executor.sandbox.landlock import Rules
from executor.sandbox.zygote.job_limits import JobLimits
from executor.sandbox.zygote.reaper import Work
from executor.tools.config import SHELL_PATH, Root, ToolConfig
from executor.tools.files import edit, listing, read, search
from executor.tools.files.open_beneath import open_path
from executor.tools.refusal import JobRefused
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
SYSTEM_FILES = ("/etc/ld.so.cache", "/usr/lib/locale", "/usr/share/zoneinfo", "/etc/localtime")
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
REAPER_COUNT = 1
# How many other jobs may start all the processes that they may have, after the others were counted.
CONCURRENT_JOB_ALLOWANCE = 8

UMASK = 0o022
PROBE, PROBE_TIMEOUT = b"probe", 15.0
# In characters: a keeper takes it in one piece.
MAX_REFUSAL_LENGTH = 16_000

type Outcome = JobResult | Failed

_task_decoder = msgspec.msgpack.Decoder(Task)
_outcome_encoder = msgspec.msgpack.Encoder()


def build_limits(config: ToolConfig, payload: bytes) -> JobLimits:
    """What the keeper looks at."""
    if payload == PROBE:
        return JobLimits(PROBE_TIMEOUT, config.limits.memory)
    task = _task_decoder.decode(payload)
    folders = tuple(f"/proc/self/fd/{root.descriptor}" for root in config.roots if root.writable)
    limits = config.limits
    return JobLimits(task.timeout, limits.memory, folders, config.disk_limit, limits.processes, config.new_files)


def build_single_sandbox(config: ToolConfig, filter_: bytes, defences: Defences) -> Sandbox:
    """What deeds on files are done behind. It is the same for all of them. Raises OSError."""
    return build_sandbox(
        Rules(read=_list_root_paths(config), change=_list_root_paths(config, writable=True)), filter_, defences
    )


def prepare_single(config: ToolConfig, sandbox: Sandbox) -> Callable[[bytes], None]:
    """Make ready for a deed on files: all of the sandbox is put up before one is known. Raises OSError."""
    # It starts no process, so that none can be left behind.
    set_limits(config.limits, 0)
    os.umask(UMASK)
    sandbox.apply_base()
    sandbox.apply_rules()
    return partial(_run_file_task, config)


def prepare_reaped(config: ToolConfig, filter_: bytes, defences: Defences, others: int | None) -> Work:
    """Make ready to run a program: what is still missing is to bind itself to what this program may reach.

    others: how many other processes this user has; None: those of a job are counted apart. Raises OSError.
    """
    # Where all count together, the keeper counts its own; the kernel's limit leaves room for what other jobs start.
    set_limits(
        config.limits,
        (REAPER_COUNT if others is None else others + CONCURRENT_JOB_ALLOWANCE * config.limits.processes)
        + config.limits.processes,
    )
    os.umask(UMASK)
    shell = config.shell
    rules = Rules(
        read=(*_list_root_paths(config), *SYSTEM_FILES, *shell.libraries),
        run=tuple(path for path in (shell.path, shell.loader) if path),
        change=_list_root_paths(config, writable=True),
        read_write=("/dev/null",),
    )
    behind = build_sandbox(rules, filter_, defences)
    behind.apply_base()
    return partial(_run_program_task, config, behind)


def _list_root_paths(config: ToolConfig, *, writable: bool | None = None) -> tuple[str, ...]:
    """The allowed folders, by the descriptors held of them: their names may be beyond this user's reach."""
    return tuple(
        f"/proc/self/fd/{root.descriptor}" for root in config.roots if writable is None or root.writable == writable
    )


def _run_file_task(config: ToolConfig, payload: bytes) -> None:
    if payload == PROBE:
        _run_probe()
    task = _task_decoder.decode(payload)
    # Nothing is left behind that would have to be looked for: it is one process, and ends itself.
    signal.setitimer(signal.ITIMER_REAL, task.timeout)
    close_other_descriptors({root.descriptor for root in config.roots})
    outcome: Outcome
    try:
        if isinstance(task.job, ConvertDocument):
            # Loaded only where it is forked from (executor.tools.worker_setup).
            from executor.tools.files import documents  # noqa: PLC0415

            outcome = documents.convert_document(task.job.data)
        else:
            outcome = _run_file_job(config, config.roots[task.root], task)
    except JobRefused as refused:
        outcome = Failed(refused.kind, refused.detail)
    except (OSError, MemoryError) as error:
        outcome = Failed(ErrorKind.BAD_JOB, f"it failed: {error.strerror if isinstance(error, OSError) else 'memory'}")
    except Exception as error:  # noqa: BLE001 # nobody else could say what it was
        outcome = Failed(ErrorKind.INTERNAL, type(error).__name__)
    _write_all(1, _outcome_encoder.encode(outcome))
    # That is its end for the executor, which need not wait until the system has taken this process apart.
    os.close(1)
    os._exit(0)


def _run_file_job(config: ToolConfig, root: Root, task: Task) -> Outcome:
    match task.job:
        case ReadFile():
            return read.read_file(config, root, task.path, task.job)
        case WriteFile():
            return edit.write_file(config, root, task.path, task.job)
        case EditFile():
            return edit.edit_file(config, root, task.path, task.job)
        case ListFolder():
            return listing.list_folder(config, root, task.path)
        case _:
            return Failed(ErrorKind.INTERNAL)


def _run_program_task(config: ToolConfig, sandbox: Sandbox, payload: bytes, reaper_fd: int) -> None:
    if payload == PROBE:
        sandbox.replace_rules(Rules(read=_list_root_paths(config), read_write=("/dev/null",)))
        _run_probe()
    task = _task_decoder.decode(payload)
    try:
        match task.job:
            case RunCommand():
                _run_command(config, sandbox, task, task.job, reaper_fd)
            case FindFiles() | SearchFiles():
                _run_search(config, sandbox, task, task.job, reaper_fd)
            case _:
                pass
    except JobRefused as refused:
        # By the way to its keeper: what comes by the outputs may be a program's.
        _write_all(reaper_fd, _outcome_encoder.encode(Failed(refused.kind, refused.detail[:MAX_REFUSAL_LENGTH])))
    os._exit(1)


def _run_probe() -> NoReturn:
    _write_all(1, msgspec.msgpack.encode(probe.find_unblocked(probe.list_command_trials())))
    os._exit(0)


def _run_search(config: ToolConfig, sandbox: Sandbox, task: Task, job: FindFiles | SearchFiles, reaper_fd: int) -> None:
    target = _enter_folder(config, task)
    sandbox.replace_rules(
        Rules(
            read=_list_root_paths(config), run=(f"/proc/self/fd/{config.search_descriptor}",), read_write=("/dev/null",)
        )
    )
    sandbox.apply_program_filter()
    close_other_descriptors({config.search_descriptor, reaper_fd})
    _write_all(1, search.FOLDER_MARK if target == "." else search.FILE_MARK)
    _exec_program(f"/proc/self/fd/{config.search_descriptor}", search.build_arguments(job, target), ENVIRONMENT)


def _run_command(config: ToolConfig, sandbox: Sandbox, task: Task, job: RunCommand, reaper_fd: int) -> None:
    if _enter_folder(config, task) != ".":
        raise JobRefused(ErrorKind.BAD_JOB, "cwd: it is not a folder")
    # Loaded only where it is forked from (executor.tools.worker_setup).
    from executor.tools import programs as commands  # noqa: PLC0415

    named = commands.list_programs_in_time(config, job.command, partial(_write_all, reaper_fd))
    programs = [program for name in named if (program := config.commands[name])]
    extra = commands.list_read_paths(config, job.command, named)
    extra |= {library for each in programs for library in each.libraries}
    sandbox.apply_rules(
        Rules(
            read=tuple(extra.difference(config.shell.libraries)),
            run=tuple({path for each in programs for path in (each.path, each.loader) if path}),
        )
    )
    sandbox.apply_program_filter()
    close_other_descriptors({reaper_fd})
    folders = dict.fromkeys(os.path.dirname(program.path) for program in config.commands.values() if program)  # noqa: PTH120
    environment = {**ENVIRONMENT, "PATH": ":".join(folders) or "/usr/bin"}
    _exec_program(config.shell.path, [SHELL_PATH, "--noprofile", "--norc", "-c", job.command], environment)


def _exec_program(program: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Be this program. What only this process may use is closed on the way. Raises Refused."""
    try:
        os.execve(program, arguments, environment)  # noqa: S606
    except OSError as error:
        raise JobRefused(ErrorKind.BAD_JOB, f"it can't be started: {error.strerror}") from error
    except ValueError as error:
        raise JobRefused(ErrorKind.BAD_JOB, "it has characters that no program can be told") from error


def _enter_folder(config: ToolConfig, task: Task) -> str:
    """Go to the folder of the task; the name of its file in it, or `.`. Raises Refused."""
    root = config.roots[task.root]
    looked = open_path(config, root, task.path, os.O_PATH)
    if stat.S_ISDIR(os.fstat(looked).st_mode):
        try:
            os.fchdir(looked)
        except PermissionError as error:
            raise JobRefused(
                ErrorKind.NOT_ALLOWED, f"{root.path}/{task.path} can't be entered by the tools' user"
            ) from error
        return "."
    above, _, name = task.path.rpartition("/")
    os.fchdir(open_path(config, root, above or ".", os.O_PATH | os.O_DIRECTORY))
    return f"./{name}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
