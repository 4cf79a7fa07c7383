"""Starts the tools role: resolves the settings, sets the zygote up, drops root, confines the executor, tests the sandbox.

Invariants: in this order. No job is served before the sandbox was tested, and none if the test fails.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec
import structlog
import uvloop
from msgspec import structs

from executor.admission import Admission
from executor.sandbox import landlock, privileges
from executor.sandbox.confine import Defences, ResourceLimits
from executor.sandbox.privileges import User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.client import Zygote, ZygoteCrashed
from executor.server import Server, bind_socket, drain_on_signals
from executor.settings import Settings
from executor.tools import config_loader, self_confinement
from executor.tools.config import ToolConfig
from executor.tools.config_loader import ToolConfigError
from executor.tools.role import NO_PATHS, ToolsRole
from executor.tools.runner import CHUNK_SIZE, ReaperCrashed, Stream, run_reaped, run_single
from executor.tools.worker import job_process
from executor.tools.worker.setup import NO_SANDBOX, SetupRequest, SetupResult
from shared.process import core_dumps
from shared.process.peers import find_trusted_peers

MEGABYTE = 1 << 20
MAX_IDLE_PROCESSES = 4
# The queue is longer than in the claude role, since jobs are shorter.
QUEUE_FACTOR = 4


def main(settings: Settings, name: str, parent_fd: int | None, zygote: Zygote) -> None:
    """Runs until drained. zygote: not set up yet. Raises BindError, ToolConfigError, PrivilegeError, ZygoteCrashed."""
    log = structlog.get_logger()
    user = User(settings.tools_user) if os.getuid() == 0 else None
    config = build_config(settings)
    path = settings.run_dir.absolute() / f"{name}.sock"
    sock = bind_socket(path)
    trust = find_trusted_peers(sock)
    if user:
        # Clients of the socket expect that its owner listens.
        with contextlib.suppress(OSError):
            os.chown(sock.getsockname(), user.uid, -1)
    setup = set_up_zygote(config, user, settings, zygote)
    missing = (
        *(() if find_host_problem() else landlock.list_missing(landlock.get_abi_version())),
        *setup.missing,
        *filter(None, (setup.converter,)),
    )
    log.info("allowed", paths=config.readable_paths, writable=config.writable_paths, commands=config.command_names)
    for defence in missing:
        log.warning("the sandbox lacks something", what=defence)
    problem = confine_executor(path) or setup.problem

    async def serve() -> None:
        nonlocal problem
        problem = problem or await probe_sandbox(zygote)
        if reason := problem or ("" if config.roots else NO_PATHS):
            log.error("no tools are served", reason=reason)
        admission = Admission(settings.max_concurrent, settings.max_queue * QUEUE_FACTOR, settings.queue_timeout)
        role = ToolsRole(config, zygote, admission, structs.replace(setup, problem=problem, missing=missing))
        server = Server(role, path, settings.drain_timeout, trust=trust, watchdog=settings.watchdog_timeout)
        drain_on_signals(server, parent_fd)
        watch_zygote(zygote, role, server)
        try:
            await role.open()
            log.info("serving", socket=path.name, user=os.getuid(), places=settings.max_concurrent)
            await server.serve(sock)
        finally:
            zygote_alive = zygote.is_alive
            await role.close()
        if not zygote_alive:
            raise ZygoteCrashed

    uvloop.run(serve())


def watch_zygote(zygote: Zygote, role: ToolsRole, server: Server) -> None:
    """Ends the executor when the zygote ends, so that its supervisor starts it again."""
    loop = asyncio.get_running_loop()

    def on_zygote_exit() -> None:
        loop.remove_reader(zygote.fileno())
        role.mark_zygote_crashed()
        server.abandon()

    loop.add_reader(zygote.fileno(), on_zygote_exit)


def set_up_zygote(config: ToolConfig, user: User | None, settings: Settings, zygote: Zygote) -> SetupResult:
    """Sets the zygote up, and drops root. Raises ToolConfigError, PrivilegeError."""
    result = SetupResult(problem=find_host_problem())
    if not result.problem:
        result = request_setup(
            zygote,
            SetupRequest(
                config,
                config_loader.find_search_program(),
                user.name if user else "",
                min(settings.max_concurrent, MAX_IDLE_PROCESSES),
                Defences(),
            ),
        )
    privileges.drop_privileges(user)
    core_dumps.hide_memory()
    return result


def confine_executor(path: Path) -> str:
    """Confines this process. Returns why nothing can be served; empty if it can. path: of its socket."""
    if not Defences().executor:
        return ""
    try:
        self_confinement.confine_self(path, os.environ)
    except OSError:
        return NO_SANDBOX
    return ""


def find_host_problem() -> str:
    """Returns why this host supports no sandbox; empty if it may."""
    if not landlock.get_abi_version():
        return landlock.list_missing(0)[0]
    if not filters.is_supported():
        return "there is no system call filter for this machine's processor: x86_64 and aarch64 have one"
    return ""


def request_setup(zygote: Zygote, request: SetupRequest) -> SetupResult:
    """Sets the zygote up. Returns how that went. Raises ToolConfigError."""
    try:
        answer = msgspec.msgpack.decode(zygote.set_up(msgspec.msgpack.encode(request)), type=SetupResult)
    except ZygoteCrashed as error:
        raise ToolConfigError(
            "The tools executor can't start the process that its jobs come from; its log says why."
        ) from error
    if answer.failure:
        raise ToolConfigError(answer.failure)
    return answer


async def probe_sandbox(zygote: Zygote) -> str:
    """Returns what the sandboxes do not stop on this host, and the fix; empty if they stop everything."""
    written = bytearray()

    async def collect(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            written.extend(data)

    try:
        await run_reaped(zygote, job_process.PROBE, collect)
        single = await run_single(zygote, job_process.PROBE, CHUNK_SIZE)
        # Each probe writes the names of the trials that succeeded.
        outputs = (bytes(written), single)
        failures = {name for output in outputs for name in msgspec.msgpack.decode(output, type=list[str])}
    except (ZygoteCrashed, ReaperCrashed, OSError, msgspec.DecodeError):
        return NO_SANDBOX
    if failures:
        return f"the sandbox does not work here ({', '.join(sorted(failures))}): use a newer kernel, or another host"
    return ""


def build_config(settings: Settings) -> ToolConfig:
    """Builds the configuration from the settings. Raises ToolConfigError."""
    secrets = config_loader.list_secret_paths(os.environ, settings.run_dir.absolute())
    return ToolConfig(
        config_loader.resolve_roots(
            config_loader.split_list(settings.allowed_paths), config_loader.split_list(settings.writable_paths), secrets
        ),
        config_loader.resolve_commands(config_loader.split_list(settings.allowed_commands)),
        config_loader.resolve_shell(),
        limits=ResourceLimits(
            settings.command_cpu,
            settings.command_memory_mb * MEGABYTE,
            settings.command_processes,
            settings.command_file_mb * MEGABYTE,
        ),
        timeout=settings.command_timeout,
        output_limit=settings.output_limit_kb * 1024,
        read_limit=settings.read_limit_mb * MEGABYTE,
        disk_limit=settings.command_disk_mb * MEGABYTE,
        new_files=settings.command_new_files,
    )
