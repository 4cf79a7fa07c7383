"""Checks what the tools role would find at its start: tests the sandbox, and checks each path and command separately.

Invariants: it drops root like the executor, so it may read exactly what jobs may read. It serves nothing.
"""

import os
from collections.abc import Mapping

import uvloop
from msgspec import structs

from executor.sandbox import landlock
from executor.sandbox.privileges import PrivilegeError, User
from executor.sandbox.seccomp import filters
from executor.sandbox.zygote.client import Zygote
from executor.settings import Settings
from executor.tools import config_loader
from executor.tools.config_loader import ToolConfigError
from executor.tools.start import build_config, probe_sandbox, set_up_zygote
from executor.tools.worker.setup import SetupResult
from shared.checks import AllowedPath, ToolsCheck
from shared.process.strict_modes import user_name


def check_tools(settings: Settings, zygote: Zygote) -> ToolsCheck:
    """Runs the checks. zygote: not set up yet. Afterwards this process is the user of jobs."""
    secrets = config_loader.list_secret_paths(os.environ, settings.run_dir.absolute())
    paths = [
        _check_path(AllowedPath(path, writable=writable), secrets)
        for listed, writable in ((settings.allowed_paths, False), (settings.writable_paths, True))
        for path in config_loader.split_list(listed)
    ]
    commands, refused = _check_commands(settings)
    usable = settings.model_copy(
        update={
            "allowed_paths": ",".join(path.path for path in paths if not path.problem and not path.writable),
            "writable_paths": ",".join(path.path for path in paths if not path.problem and path.writable),
            "allowed_commands": ",".join(commands),
        }
    )
    # Opened like in the executor: a folder that was opened as root needs no access by its name afterwards.
    descriptors = {path.path: os.open(path.path, os.O_PATH | os.O_DIRECTORY) for path in paths if not path.problem}
    setup = SetupResult()
    try:
        user = User(settings.tools_user) if os.getuid() == 0 else None
        setup = set_up_zygote(build_config(usable), user, usable, zygote)
        problem = setup.problem or uvloop.run(probe_sandbox(zygote))
    except (ToolConfigError, PrivilegeError) as error:
        problem = str(error)
    finally:
        zygote.close()
    return ToolsCheck(
        user=user_name(os.getuid()),
        landlock=landlock.get_abi_version(),
        can_filter_system_calls=filters.is_supported(),
        missing=landlock.list_missing(landlock.get_abi_version()),
        mount_problem=" ".join(setup.missing),
        converter_problem=setup.converter,
        sandbox_problem=problem,
        paths=tuple(_check_access(path, descriptors) for path in paths),
        command_count=len(commands),
        command_problems=tuple(refused),
    )


def _check_path(path: AllowedPath, secrets: dict[str, str]) -> AllowedPath:
    listed = (path.path,)
    try:
        [root] = config_loader.resolve_roots(*(((), listed) if path.writable else (listed, ())), secrets)
    except ToolConfigError as problem:
        return structs.replace(path, problem=str(problem))
    return structs.replace(path, path=root.path)


def _check_access(path: AllowedPath, descriptors: Mapping[str, int]) -> AllowedPath:
    """Records what this process, as the user of jobs, may do with the path."""
    if path.problem:
        return path
    folder = descriptors[path.path]
    return structs.replace(
        path,
        readable=os.access(".", os.R_OK | os.X_OK, dir_fd=folder),
        can_write=not path.writable or os.access(".", os.W_OK | os.X_OK, dir_fd=folder),
        reachable=os.access(path.path, os.F_OK),
    )


def _check_commands(settings: Settings) -> tuple[list[str], list[str]]:
    """Returns the usable commands, and why the others can't be allowed."""
    usable: list[str] = []
    refused: list[str] = []
    for name in config_loader.split_list(settings.allowed_commands):
        try:
            config_loader.resolve_commands([name])
        except ToolConfigError as problem:
            refused.append(str(problem))
        else:
            usable.append(name)
    return usable, refused
