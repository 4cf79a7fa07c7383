"""Starts the tools role: what is allowed is resolved and opened, root is left, the zygote forked, the sandbox tried.

Law: in this order. Nothing is served before the sandbox was tried, and nothing at all where it does not hold.
"""

import os

import msgspec
import structlog
import uvloop

from executor.admission import Admission
from executor.sandbox import landlock, noexec, privileges, seccomp
from executor.sandbox.confine import Defences, Limits
from executor.sandbox.privileges import User
from executor.sandbox.zygote import Zygote, ZygoteLost
from executor.server import Server, bind, drained_by
from executor.settings import Settings
from executor.tools import ground as grounds
from executor.tools import inside
from executor.tools.command import Stream, ran
from executor.tools.ground import Ground
from executor.tools.role import ToolsRole

MEGABYTE = 1 << 20
SPARE = 4
# How many more may wait than in the claude role: jobs here are short.
SHORT = 4
PROBE_TIMEOUT = 20.0


def main(settings: Settings, name: str, parent_fd: int | None) -> None:
    """Run until drained. Raises CannotBind, CannotAllow, CannotDrop."""
    log = structlog.get_logger()
    user = User(settings.tools_user) if os.getuid() == 0 else None
    ground = _ground(settings)
    path = settings.run_dir.absolute() / f"{name}.sock"
    sock = bind(path)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    problem = unserved()
    missing = landlock.missing(landlock.abi()) if not problem else ()
    if not problem and (lacks := noexec.lay({root.path: root.writable for root in ground.roots})):
        missing = (*missing, lacks)
    ground = grounds.opened(ground)
    privileges.drop(user)
    privileges.hide()
    held = frozenset({*(root.descriptor for root in ground.roots), ground.search} - {-1})
    zygote = Zygote(
        lambda asked, others: inside.perform(ground, asked, others, Defences()),
        lambda asked: inside.watching(ground, asked),
        held,
        spare=min(settings.max_concurrent, SPARE),
    )
    log.info("allowed", paths=ground.readable, writable=ground.writable, commands=ground.listed)
    for lack in missing:
        log.warning("the sandbox lacks something", what=lack)

    async def serve() -> None:
        nonlocal problem
        problem = problem or await probed(zygote)
        if not problem and not ground.roots:
            problem = "no path is allowed: set ALLOWED_PATHS to a folder that the tools may read"
        if problem:
            log.error("no tools are served", reason=problem)
        admission = Admission(settings.max_concurrent, settings.max_queue * SHORT, settings.queue_timeout)
        role = ToolsRole(ground, zygote, admission, problem=problem, missing=missing)
        server = Server(role, path, settings.drain_timeout, folder=folder)
        drained_by(server, parent_fd)
        try:
            await role.open()
            log.info("serving", socket=path.name, user=os.getuid(), places=settings.max_concurrent)
            await server.serve(sock)
        finally:
            await role.close()

    uvloop.run(serve())


def unserved() -> str:
    """Why this host can't hold a sandbox; nothing if it may."""
    if not landlock.abi():
        return landlock.missing(0)[0]
    if not seccomp.supported():
        return "this machine's kind of processor has no system call filter here: x86_64 and aarch64 have one"
    return ""


async def probed(zygote: Zygote) -> str:
    """What the sandbox does not hold here, and what to do; nothing if it holds."""
    said = bytearray()

    async def take(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            said.extend(data)

    try:
        await ran(zygote, inside.PROBE, take)
        failures = msgspec.msgpack.decode(bytes(said), type=list[str])
    except (ZygoteLost, OSError, msgspec.DecodeError):
        return "the sandbox can't be put up here; a container may forbid Landlock or seccomp: allow both"
    if failures:
        return f"the sandbox does not hold here ({', '.join(failures)}): use a newer kernel, or another host"
    return ""


def _ground(settings: Settings) -> Ground:
    places = grounds.secrets(os.environ, settings.run_dir.absolute())
    return Ground(
        grounds.roots(grounds.several(settings.allowed_paths), grounds.several(settings.writable_paths), places),
        grounds.commands(grounds.several(settings.allowed_commands)),
        grounds.shell(),
        limits=Limits(
            settings.command_cpu,
            settings.command_memory_mb * MEGABYTE,
            settings.command_processes,
            settings.command_file_mb * MEGABYTE,
        ),
        timeout=settings.command_timeout,
        output=settings.output_limit_kb * 1024,
        read=settings.read_limit_mb * MEGABYTE,
        disk=settings.command_disk_mb * MEGABYTE,
    )
