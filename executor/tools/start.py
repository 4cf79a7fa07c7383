"""Starts the tools role: what is allowed is resolved, the zygote grows, root is left, the executor is confined, the sandbox tried.

Law: in this order. Nothing is served before the sandbox was tried, and nothing at all where it does not hold.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec
import structlog
import uvloop

from executor.admission import Admission
from executor.sandbox import landlock, privileges
from executor.sandbox.confine import Defences, Limits
from executor.sandbox.privileges import User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.client import Zygote, ZygoteLost
from executor.server import Server, bind, drained_by
from executor.settings import Settings
from executor.tools import config_loader, self_confinement, worker
from executor.tools.config import Ground
from executor.tools.config_loader import CannotAllow
from executor.tools.role import NO_PATHS, ToolsRole
from executor.tools.runner import PIECE, KeeperLost, Stream, ran, ran_alone
from executor.tools.worker_setup import NO_SANDBOX, Grown, Plan
from shared.process.peers import trust_of

MEGABYTE = 1 << 20
SPARE = 4
# How many more may wait than in the claude role: jobs here are short.
SHORT = 4


def main(settings: Settings, name: str, parent_fd: int | None, zygote: Zygote) -> None:
    """Run until drained. zygote: one that is to grow yet. Raises CannotBind, CannotAllow, CannotDrop, ZygoteLost."""
    log = structlog.get_logger()
    user = User(settings.tools_user) if os.getuid() == 0 else None
    ground = ground_of(settings)
    path = settings.run_dir.absolute() / f"{name}.sock"
    sock = bind(path)
    trust = trust_of(sock)
    if user:
        # Who speaks to it expects that the socket's owner listens.
        with contextlib.suppress(OSError):
            os.chown(sock.getsockname(), user.uid, -1)
    problem, mounts, converter = raised(ground, user, settings, zygote)
    missing = (*(() if unserved() else landlock.missing(landlock.abi())), *mounts, *filter(None, (converter,)))
    log.info("allowed", paths=ground.readable, writable=ground.writable, commands=ground.listed)
    for lack in missing:
        log.warning("the sandbox lacks something", what=lack)
    problem = confined(path) or problem

    async def serve() -> None:
        nonlocal problem
        problem = problem or await probed(zygote)
        if reason := problem or ("" if ground.roots else NO_PATHS):
            log.error("no tools are served", reason=reason)
        admission = Admission(settings.max_concurrent, settings.max_queue * SHORT, settings.queue_timeout)
        role = ToolsRole(ground, zygote, admission, problem=problem, missing=missing, converter=converter)
        server = Server(role, path, settings.drain_timeout, trust=trust, watchdog=settings.watchdog_timeout)
        drained_by(server, parent_fd)
        watch(zygote, role, server)
        try:
            await role.open()
            log.info("serving", socket=path.name, user=os.getuid(), places=settings.max_concurrent)
            await server.serve(sock)
        finally:
            lives = zygote.lives
            await role.close()
        if not lives:
            raise ZygoteLost

    uvloop.run(serve())


def watch(zygote: Zygote, role: ToolsRole, server: Server) -> None:
    """Have the executor end when the zygote does, so that whoever looks after it starts it again."""
    loop = asyncio.get_running_loop()

    def lost() -> None:
        loop.remove_reader(zygote.fileno())
        role.lose_zygote()
        server.abandon()

    loop.add_reader(zygote.fileno(), lost)


def raised(ground: Ground, user: User | None, settings: Settings, zygote: Zygote) -> tuple[str, tuple[str, ...], str]:
    """Let the zygote grow and become the user. Raises CannotAllow, CannotDrop.

    Returns why nothing can be served, what mounts lack, and why documents can't be converted.
    """
    problem, mounts, converter = unserved(), (), ""
    if not problem:
        plan = Plan(
            ground, config_loader.search(), user.name if user else "", min(settings.max_concurrent, SPARE), Defences()
        )
        answer = grow(zygote, plan)
        problem, mounts, converter = answer.problem, answer.missing, answer.converter
    privileges.drop(user)
    privileges.hide()
    return problem, mounts, converter


def confined(path: Path) -> str:
    """Confine this process, which has all open that it needs; why nothing can be served. path: of its socket."""
    if not Defences().itself:
        return ""
    try:
        self_confinement.confine(path, os.environ)
    except OSError:
        return NO_SANDBOX
    return ""


def unserved() -> str:
    """Why this host can't hold a sandbox; nothing if it may."""
    if not landlock.abi():
        return landlock.missing(0)[0]
    if not filters.supported():
        return "this machine's kind of processor has no system call filter here: x86_64 and aarch64 have one"
    return ""


def grow(zygote: Zygote, plan: Plan) -> Grown:
    """Make the zygote what it is for; how that went. Raises CannotAllow."""
    try:
        answer = msgspec.msgpack.decode(zygote.grow(msgspec.msgpack.encode(plan)), type=Grown)
    except ZygoteLost as lost:
        raise CannotAllow(
            "The tools executor can't start the process that its jobs come from; its log says why."
        ) from lost
    if answer.failed:
        raise CannotAllow(answer.failed)
    return answer


async def probed(zygote: Zygote) -> str:
    """What the sandboxes do not hold here, and what to do; nothing if they hold."""
    said = bytearray()

    async def take(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            said.extend(data)

    try:
        await ran(zygote, worker.PROBE, take)
        alone = await ran_alone(zygote, worker.PROBE, PIECE)
        failures = {name for each in (bytes(said), alone) for name in msgspec.msgpack.decode(each, type=list[str])}
    except (ZygoteLost, KeeperLost, OSError, msgspec.DecodeError):
        return NO_SANDBOX
    if failures:
        return f"the sandbox does not hold here ({', '.join(sorted(failures))}): use a newer kernel, or another host"
    return ""


def ground_of(settings: Settings) -> Ground:
    """What the settings allow. Raises CannotAllow."""
    places = config_loader.secrets(os.environ, settings.run_dir.absolute())
    return Ground(
        config_loader.roots(
            config_loader.several(settings.allowed_paths), config_loader.several(settings.writable_paths), places
        ),
        config_loader.commands(config_loader.several(settings.allowed_commands)),
        config_loader.shell(),
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
        new_files=settings.command_new_files,
    )
