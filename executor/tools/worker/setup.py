"""Sets the zygote of the tools role up: remounts, opens the folders, drops root, and plans the processes of jobs.

Invariants: the steps run in this order, before the first job. A failure is reported to the executor, which logs it and
ends.
"""

import importlib
import os
from functools import partial

import msgspec
from msgspec import Struct, structs

from executor.sandbox import cgroups, landlock, mounts, namespaces, privileges
from executor.sandbox.confine import Defences
from executor.sandbox.privileges import PrivilegeError, User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.idle_process import WorkerPlan
from executor.tools.config import ToolConfig, open_config
from executor.tools.worker import job_process
from shared.process import core_dumps

NO_SANDBOX = "the sandbox can't be set up here; a container may forbid Landlock or seccomp: allow both"


class SetupRequest(Struct, frozen=True):
    """search_program: its path. user: the zygote switches to it, if it is root. idle_count: as in WorkerPlan."""

    config: ToolConfig
    search_program: str
    user: str
    idle_count: int
    defences: Defences = Defences()


class SetupResult(Struct, frozen=True):
    """missing: defences that this host lacks. converter: why documents can't be converted.

    problem: why no job can be served, and the fix. failure: why the executor must end.
    """

    missing: tuple[str, ...] = ()
    converter: str = ""
    problem: str = ""
    failure: str = ""


def set_up_worker(payload: bytes) -> tuple[bytes, WorkerPlan | None]:
    """Sets the zygote up. Returns the encoded SetupResult, and the plan of its processes; no plan if no job can be served."""
    request = msgspec.msgpack.decode(payload, type=SetupRequest)
    for name in ("files.pages", "worker.programs"):
        importlib.import_module(f"executor.tools.{name}")
    converter = _load_converter()
    try:
        proc = namespaces.open_proc()
        user = User(request.user) if request.user else None
        # Found and created before everything is mounted read only, so that it stays writable.
        base = cgroups.find_own_cgroup() if request.defences.cgroups else ""
        tree = cgroups.make_tree(base, user, request.config.limits, (os.getpid(), os.getppid())) if base else None
        mount_problem = (
            mounts.remount_folders({root.path: root.writable for root in request.config.roots})
            if request.defences.mounts
            else ""
        )
        accounts = False
        if request.defences.mounts and not mount_problem:
            ids = (user.uid, user.gid, ()) if user else (os.getuid(), os.getgid(), os.getgroups())
            accounts = mounts.mount_tables(mounts.build_account_tables(*ids))
        config = structs.replace(open_config(request.config, request.search_program), accounts=accounts)
        privileges.drop_privileges(user)
    except (PrivilegeError, OSError) as error:
        return msgspec.msgpack.encode(SetupResult(failure=str(error))), None
    if request.defences.hidden:
        core_dumps.hide_memory()
    filter_ = filters.build_command_filter(allow_signals=landlock.get_abi_version() >= landlock.SCOPE_ABI)
    try:
        single_sandbox = job_process.build_single_sandbox(config, filter_, request.defences)
    except OSError:
        return msgspec.msgpack.encode(SetupResult(converter=converter, problem=NO_SANDBOX)), None
    namespace_problem = namespaces.find_problem(proc) if request.defences.namespaces else ""
    own_namespaces = request.defences.namespaces and not namespace_problem
    if tree and "pids" in tree.controllers:
        # Control groups end and count a command's processes as well.
        namespace_problem = ""
    plan = WorkerPlan(
        prepare_reaped=partial(job_process.prepare_reaped, config, filter_, request.defences),
        build_limits=partial(job_process.build_limits, config),
        prepare_single=partial(job_process.prepare_single, config, single_sandbox),
        idle_count=request.idle_count,
        own_namespaces=own_namespaces,
        proc_descriptor=proc,
        hidden=request.defences.hidden,
        cgroups=tree,
    )
    missing = ". ".join(filter(None, (mount_problem, namespace_problem)))
    return msgspec.msgpack.encode(SetupResult((missing,) if missing else (), converter)), plan


def _load_converter() -> str:
    """Loads the converter of documents. Returns why that failed; empty if it did not."""
    try:
        importlib.import_module("executor.tools.files.documents")
    except ImportError as error:
        return (
            f"office documents can't be converted: {error.name or error} is missing. Install the server's dependencies"
        )
    return ""
