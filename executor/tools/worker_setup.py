"""What the zygote becomes in the tools role: mounts are laid, folders opened, root is left; then it forks what does the jobs.

Law: in this order, and all of it before the first job. What fails is told to the executor, which says it and ends.
"""

import importlib
import os
from functools import partial

import msgspec
from msgspec import Struct, structs

from executor.sandbox import cgroups, landlock, namespaces, privileges, remount, tables
from executor.sandbox.confine import Defences
from executor.sandbox.privileges import CannotDrop, User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.idle_processes import Trade
from executor.tools import config as grounds
from executor.tools import worker
from executor.tools.config import Ground

NO_SANDBOX = "the sandbox can't be put up here; a container may forbid Landlock or seccomp: allow both"


class Plan(Struct, frozen=True):
    """What it is for. search: where the program is that searches. user: who it becomes, if it is root. spare: as in Trade."""

    ground: Ground
    search: str
    user: str
    spare: int
    defences: Defences = Defences()


class Grown(Struct, frozen=True):
    """How it went. missing: what can't be had here. converter: why documents can't be converted. problem: why nothing can be served, and what to do. failed: why to end."""

    missing: tuple[str, ...] = ()
    converter: str = ""
    problem: str = ""
    failed: str = ""


def grown(told: bytes) -> tuple[bytes, Trade | None]:
    """Do as the plan says."""
    plan = msgspec.msgpack.decode(told, type=Plan)
    for name in ("files.pages", "programs"):
        importlib.import_module(f"executor.tools.{name}")
    converter = _converter()
    try:
        proc = namespaces.proc()
        user = User(plan.user) if plan.user else None
        # Held before everything is mounted read only, it stays writable.
        base = cgroups.own() if plan.defences.groups else ""
        groups = cgroups.make(base, user, plan.ground.limits, (os.getpid(), os.getppid())) if base else None
        lacks = remount.lay({root.path: root.writable for root in plan.ground.roots}) if plan.defences.mounts else ""
        accounts = False
        if plan.defences.mounts and not lacks:
            of_user = (user.uid, user.gid, ()) if user else (os.getuid(), os.getgid(), os.getgroups())
            accounts = tables.lay(tables.accounts(*of_user))
        ground = structs.replace(grounds.opened(plan.ground, plan.search), accounts=accounts)
        privileges.drop(user)
    except (CannotDrop, OSError) as error:
        return msgspec.msgpack.encode(Grown(failed=str(error))), None
    if plan.defences.hidden:
        privileges.hide()
    filter_ = filters.command_filter(signals=landlock.abi() >= landlock.SCOPE_ABI)
    try:
        alone = worker.fence_alone(ground, filter_, plan.defences)
    except OSError:
        return msgspec.msgpack.encode(Grown(converter=converter, problem=NO_SANDBOX)), None
    alike = namespaces.lack(proc) if plan.defences.namespaces else ""
    apart = plan.defences.namespaces and not alike
    if groups and "pids" in groups.controllers:
        # They end and count a command's processes as well.
        alike = ""
    trade = Trade(
        kept=partial(worker.kept, ground, filter_, plan.defences),
        watching=partial(worker.watching, ground),
        alone=partial(worker.alone, ground, alone),
        spare=plan.spare,
        apart=apart,
        proc=proc,
        hidden=plan.defences.hidden,
        groups=groups,
    )
    return msgspec.msgpack.encode(
        Grown((lack,) if (lack := ". ".join(filter(None, (lacks, alike)))) else (), converter)
    ), trade


def _converter() -> str:
    """Load what converts documents; why that can't be."""
    try:
        importlib.import_module("executor.tools.files.documents")
    except ImportError as error:
        return (
            f"office documents can't be converted: {error.name or error} is missing. Install the server's dependencies"
        )
    return ""
