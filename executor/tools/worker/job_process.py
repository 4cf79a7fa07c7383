"""Prepares the processes of jobs: sets the sandbox up before a job is known, then runs the job inside it.

Invariants: a job reads, writes or runs something only after the sandbox is complete.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import msgspec

from executor.sandbox import probe
from executor.sandbox.confine import Defences, Sandbox, build_sandbox, set_limits
from executor.sandbox.landlock import Rules
from executor.sandbox.zygote.reaper import JobLimits, Work
from executor.tools.config import ToolConfig
from executor.tools.task import Task
from executor.tools.worker.file_jobs import run_file_task, write_all
from executor.tools.worker.program_jobs import run_program_task

# System files that some commands need.
SYSTEM_FILES = ("/etc/ld.so.cache", "/usr/lib/locale", "/usr/share/zoneinfo", "/etc/localtime")

# In a user namespace of the job, the kernel counts the reaper too.
REAPER_COUNT = 1
# How many other jobs may start all the processes that they may have, after the other processes were counted.
CONCURRENT_JOB_ALLOWANCE = 8

UMASK = 0o022
# The payload that requests a test of the sandbox instead of a job.
PROBE, PROBE_TIMEOUT = b"probe", 15.0

_task_decoder = msgspec.msgpack.Decoder(Task)


def build_limits(config: ToolConfig, payload: bytes) -> JobLimits:
    """Returns the limits that the reaper checks."""
    if payload == PROBE:
        return JobLimits(PROBE_TIMEOUT, config.limits.memory)
    limits, folders = config.limits, config.list_root_paths(writable=True)
    timeout = _task_decoder.decode(payload).timeout
    return JobLimits(timeout, limits.memory, folders, config.disk_limit, limits.processes, config.new_files)


def build_single_sandbox(config: ToolConfig, filter_: bytes, defences: Defences) -> Sandbox:
    """Returns the sandbox of all jobs on files. Raises OSError."""
    rules = Rules(read=config.list_root_paths(), change=config.list_root_paths(writable=True))
    return build_sandbox(rules, filter_, defences)


def prepare_single(config: ToolConfig, sandbox: Sandbox) -> Callable[[bytes], None]:
    """Prepares for a job on files: the sandbox is complete before the job is known. Raises OSError."""
    # The job starts no process, so nothing can be left behind.
    set_limits(config.limits, 0)
    os.umask(UMASK)
    sandbox.apply_base()
    sandbox.apply_rules()
    return partial(_run_single, config)


def prepare_reaped(config: ToolConfig, filter_: bytes, defences: Defences, others: int | None) -> Work:
    """Prepares to run a program: only the rules for what this program may reach are still missing.

    others: how many other processes this user has; None: the kernel counts the job's own separately. Raises OSError.
    """
    # Without a separate count the reaper counts the job's processes; the kernel's limit leaves room for the other jobs.
    counted = REAPER_COUNT if others is None else others + CONCURRENT_JOB_ALLOWANCE * config.limits.processes
    set_limits(config.limits, counted + config.limits.processes)
    os.umask(UMASK)
    shell = config.shell
    rules = Rules(
        read=(*config.list_root_paths(), *SYSTEM_FILES, *shell.libraries),
        run=tuple(path for path in (shell.path, shell.loader) if path),
        change=config.list_root_paths(writable=True),
        read_write=("/dev/null",),
    )
    sandbox = build_sandbox(rules, filter_, defences)
    sandbox.apply_base()
    return partial(_run_reaped, config, sandbox)


def _run_single(config: ToolConfig, payload: bytes) -> None:
    if payload == PROBE:
        _run_probe()
    run_file_task(config, _task_decoder.decode(payload))


def _run_reaped(config: ToolConfig, sandbox: Sandbox, payload: bytes, reaper_fd: int) -> None:
    if payload == PROBE:
        sandbox.replace_rules(Rules(read=config.list_root_paths(), read_write=("/dev/null",)))
        _run_probe()
    run_program_task(config, sandbox, _task_decoder.decode(payload), reaper_fd)


def _run_probe() -> NoReturn:
    """Writes the names of the trials that the sandbox did not stop."""
    write_all(1, msgspec.msgpack.encode(probe.find_unblocked(probe.list_command_trials())))
    os._exit(0)
