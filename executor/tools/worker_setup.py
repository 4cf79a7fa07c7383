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
from executor.sandbox.privileges import PrivilegeError, User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.plan import WorkerPlan
from executor.tools import config as grounds
from executor.tools import worker
from executor.tools.config import ToolConfig

NO_SANDBOX = "the sandbox can't be put up here; a container may forbid Landlock or seccomp: allow both"


class SetupRequest(Struct, frozen=True):
    """What it is for. search: where the program is that searches. user: who it becomes, if it is root. spare: as in Trade."""

    config: ToolConfig
    search_program: str
    user: str
    idle_count: int
    defences: Defences = Defences()


class SetupResult(Struct, frozen=True):
    """How it went. missing: what can't be had here. converter: why documents can't be converted. problem: why nothing can be served, and what to do. failed: why to end."""

    missing: tuple[str, ...] = ()
    converter: str = ""
    problem: str = ""
    failure: str = ""


def set_up_worker(payload: bytes) -> tuple[bytes, WorkerPlan | None]:
    """Do as the plan says."""
    plan = msgspec.msgpack.decode(payload, type=SetupRequest)
    for name in ("files.pages", "programs"):
        importlib.import_module(f"executor.tools.{name}")
    converter = _load_converter()
    try:
        proc = namespaces.open_proc()
        user = User(plan.user) if plan.user else None
        # Held before everything is mounted read only, it stays writable.
        base = cgroups.find_own_cgroup() if plan.defences.cgroups else ""
        groups = cgroups.make_tree(base, user, plan.config.limits, (os.getpid(), os.getppid())) if base else None
        lacks = (
            remount.remount_folders({root.path: root.writable for root in plan.config.roots})
            if plan.defences.mounts
            else ""
        )
        accounts = False
        if plan.defences.mounts and not lacks:
            of_user = (user.uid, user.gid, ()) if user else (os.getuid(), os.getgid(), os.getgroups())
            accounts = tables.mount_tables(tables.build_account_tables(*of_user))
        ground = structs.replace(grounds.open_config(plan.config, plan.search_program), accounts=accounts)
        privileges.drop_privileges(user)
    except (PrivilegeError, OSError) as error:
        return msgspec.msgpack.encode(SetupResult(failure=str(error))), None
    if plan.defences.hidden:
        privileges.hide_process()
    filter_ = filters.build_command_filter(allow_signals=landlock.get_abi_version() >= landlock.SCOPE_ABI)
    try:
        alone = worker.build_single_sandbox(ground, filter_, plan.defences)
    except OSError:
        return msgspec.msgpack.encode(SetupResult(converter=converter, problem=NO_SANDBOX)), None
    alike = namespaces.find_problem(proc) if plan.defences.namespaces else ""
    apart = plan.defences.namespaces and not alike
    if groups and "pids" in groups.controllers:
        # They end and count a command's processes as well.
        alike = ""
    trade = WorkerPlan(
        prepare_reaped=partial(worker.prepare_reaped, ground, filter_, plan.defences),
        build_limits=partial(worker.build_limits, ground),
        prepare_single=partial(worker.prepare_single, ground, alone),
        idle_count=plan.idle_count,
        own_namespaces=apart,
        proc_descriptor=proc,
        hidden=plan.defences.hidden,
        cgroups=groups,
    )
    return msgspec.msgpack.encode(
        SetupResult((lack,) if (lack := ". ".join(filter(None, (lacks, alike)))) else (), converter)
    ), trade


def _load_converter() -> str:
    """Load what converts documents; why that can't be."""
    try:
        importlib.import_module("executor.tools.files.documents")
    except ImportError as error:
        return (
            f"office documents can't be converted: {error.name or error} is missing. Install the server's dependencies"
        )
    return ""
