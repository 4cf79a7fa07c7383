"""Runs the program of one job, a command or a search, in the job's own process inside the sandbox. It does not return.

Invariants: the process gives up every right that the program does not need before it executes the program.
"""

import os
import stat
from functools import partial

import msgspec

from executor.sandbox.confine import Sandbox, close_other_descriptors
from executor.sandbox.landlock import Rules
from executor.tools.config import SHELL_PATH, ToolConfig
from executor.tools.files import search
from executor.tools.files.open_beneath import open_path
from executor.tools.task import JobRefused, Task
from executor.tools.worker.file_jobs import write_all
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import FindFiles, RunCommand, SearchFiles

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}
# In characters: the reaper receives it in one message.
MAX_REFUSAL_LENGTH = 16_000


def run_program_task(config: ToolConfig, sandbox: Sandbox, task: Task, reaper_fd: int) -> None:
    """Replaces this process by the program of the job; ends it if that fails."""
    try:
        match task.job:
            case RunCommand():
                _run_command(config, sandbox, task, task.job, reaper_fd)
            case FindFiles() | SearchFiles():
                _run_search(config, sandbox, task, task.job, reaper_fd)
            case _:
                pass
    except JobRefused as refused:
        # Sent to the reaper directly, since the outputs may contain a program's text.
        write_all(reaper_fd, msgspec.msgpack.encode(Failed(refused.kind, refused.detail[:MAX_REFUSAL_LENGTH])))
    os._exit(1)


def _run_search(config: ToolConfig, sandbox: Sandbox, task: Task, job: FindFiles | SearchFiles, reaper_fd: int) -> None:
    target = _enter_folder(config, task)
    program = f"/proc/self/fd/{config.search_descriptor}"
    sandbox.replace_rules(Rules(read=config.list_root_paths(), run=(program,), read_write=("/dev/null",)))
    sandbox.apply_program_filter()
    close_other_descriptors({config.search_descriptor, reaper_fd})
    write_all(1, search.FOLDER_MARK if target == "." else search.FILE_MARK)
    _exec_program(program, search.build_arguments(job, target), ENVIRONMENT)


def _run_command(config: ToolConfig, sandbox: Sandbox, task: Task, job: RunCommand, reaper_fd: int) -> None:
    if _enter_folder(config, task) != ".":
        raise JobRefused(ErrorKind.BAD_JOB, "cwd: it is not a folder")
    # Only the zygote loads it (executor.tools.worker.setup).
    from executor.tools.worker import programs as commands  # noqa: PLC0415

    names = commands.list_programs_in_time(config, job.command, partial(write_all, reaper_fd))
    programs = [program for name in names if (program := config.commands[name])]
    read_paths = commands.list_read_paths(config, job.command, names)
    read_paths |= {library for program in programs for library in program.libraries}
    sandbox.apply_rules(
        Rules(
            read=tuple(read_paths.difference(config.shell.libraries)),
            run=tuple({path for program in programs for path in (program.path, program.loader) if path}),
        )
    )
    sandbox.apply_program_filter()
    close_other_descriptors({reaper_fd})
    folders = dict.fromkeys(os.path.dirname(program.path) for program in config.commands.values() if program)  # noqa: PTH120
    environment = {**ENVIRONMENT, "PATH": ":".join(folders) or "/usr/bin"}
    _exec_program(config.shell.path, [SHELL_PATH, "--noprofile", "--norc", "-c", job.command], environment)


def _exec_program(program: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Replaces this process by a program, which closes the descriptors that only this process needs. Raises JobRefused."""
    try:
        os.execve(program, arguments, environment)  # noqa: S606
    except OSError as error:
        raise JobRefused(ErrorKind.BAD_JOB, f"it can't be started: {error.strerror}") from error
    except ValueError as error:
        raise JobRefused(ErrorKind.BAD_JOB, "it has characters that a program's arguments can't have") from error


def _enter_folder(config: ToolConfig, task: Task) -> str:
    """Changes to the folder of the task. Returns the name of its file there, or `.`. Raises JobRefused."""
    root = config.roots[task.root]
    target = open_path(config, root, task.path, os.O_PATH)
    if stat.S_ISDIR(os.fstat(target).st_mode):
        try:
            os.fchdir(target)
        except PermissionError as error:
            raise JobRefused(ErrorKind.NOT_ALLOWED, f"the tools' user may not enter {root.path}/{task.path}") from error
        return "."
    parent, _, name = task.path.rpartition("/")
    os.fchdir(open_path(config, root, parent or ".", os.O_PATH | os.O_DIRECTORY))
    return f"./{name}"
