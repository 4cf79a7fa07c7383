"""Builds and runs each role; this module loads everything that the roles need."""

import argparse
import asyncio
import os
import sys

import msgspec
import structlog
import uvloop
from pydantic import ValidationError

from executor.admission import Admission
from executor.claude import check as claude_check
from executor.claude.cli.credential import Credential, find_credential, list_credential_kinds
from executor.claude.cli.launch import Launch, find_binary, select_inherited
from executor.claude.cli.sandbox import CliSandboxError, build_cli_sandbox
from executor.claude.cli.sandbox_probe import find_missing
from executor.claude.held.limits import build_limits, read_available_memory
from executor.claude.role import ClaudeRole
from executor.offline.server import OfflineModel
from executor.sandbox import landlock
from executor.sandbox.privileges import PrivilegeError
from executor.sandbox.zygote.client import Zygote, ZygoteCrashed
from executor.server import BindError, Server, bind_socket, drain_on_signals
from executor.settings import Settings
from executor.tools import check as tools_check
from executor.tools import start as tools
from executor.tools.config_loader import ToolConfigError
from shared import logging as logs
from shared.checks import ClaudeCheck, ToolsCheck
from shared.claude_cli import CREDENTIAL_VARIABLES
from shared.process import core_dumps
from shared.process.systemd import read_credentials
from shared.settings import render_validation_errors
from shared.tracing import build_tracing


def main(parsed: argparse.Namespace, zygote: Zygote | None) -> int:
    """Runs until drained. Returns the exit status. zygote: for the tools role."""
    core_dumps.hide_memory()
    if parsed.check:
        print(msgspec.json.encode(run_check(zygote, ask=parsed.ask)).decode())
        return 0
    try:
        settings = Settings()
    except ValidationError as error:
        print(*render_validation_errors(error.errors()), sep="\n", file=sys.stderr)
        return 2
    logs.configure(parsed.name, settings.log_level, settings.log_format)
    try:
        if zygote:
            tools.main(settings, parsed.name, parsed.parent_fd, zygote)
        else:
            uvloop.run(run_claude(settings, parsed.name, parsed.parent_fd))
    except (BindError, ToolConfigError, CliSandboxError, PrivilegeError) as error:
        print(error, file=sys.stderr)
        return 2
    except ZygoteCrashed:
        # It was logged already.
        return 1
    return 0


def run_check(zygote: Zygote | None, *, ask: bool) -> ClaudeCheck | ToolsCheck:
    """Checks what would happen at a start. Nothing is logged: the result contains everything."""
    try:
        settings = Settings()
    except ValidationError as error:
        errors = tuple(render_validation_errors(error.errors()))
        return ToolsCheck(errors) if zygote else ClaudeCheck(errors)
    logs.configure("check", "critical", settings.log_format)
    if zygote:
        return tools_check.check_tools(settings, zygote)
    environ = build_environ()
    secret = find_credential(environ)
    offline = secret.kind == "none"
    base_url = claude_check.UNREACHABLE_URL if offline else os.environ.get("ANTHROPIC_BASE_URL")
    try:
        launch, missing = build_launch(settings, claude_check.OFFLINE_CREDENTIAL if offline else secret, base_url)
    except CliSandboxError as problem:
        return ClaudeCheck((str(problem),))
    return uvloop.run(claude_check.check_claude(launch, missing, list_credential_kinds(environ), ask=ask))


def build_environ() -> dict[str, str]:
    """Returns the environment, with the credentials that systemd passes as files."""
    return {**os.environ, **read_credentials(os.environ, CREDENTIAL_VARIABLES)}


def build_launch(settings: Settings, secret: Credential, base_url: str | None) -> tuple[Launch | None, tuple[str, ...]]:
    """Returns how to start the CLI, if there is one, and what its sandbox lacks on this host. Raises CliSandboxError."""
    binary = find_binary(settings.claude_cli_path)
    if binary is None:
        return None, ()
    inherited = select_inherited(os.environ)
    sandbox = build_cli_sandbox(binary, secret, base_url, inherited, landlock.get_abi_version())
    missing = find_missing(sandbox)
    for lack in missing:
        structlog.get_logger().warning("the CLI's sandbox lacks something", what=lack)
    return Launch(binary, secret, base_url, inherited, sandbox), missing


async def run_claude(settings: Settings, name: str, parent_fd: int | None) -> None:
    """Builds the claude role, serves, and closes everything."""
    log = structlog.get_logger()
    folder = settings.run_dir.absolute()
    path = folder / f"{name}.sock"
    sock = bind_socket(path)
    secret = find_credential(build_environ())
    base_url = os.environ.get("ANTHROPIC_BASE_URL")
    offline = OfflineModel() if secret.kind == "none" else None
    if offline:
        base_url = await offline.start()
        secret = claude_check.OFFLINE_CREDENTIAL
        log.warning("no Claude login and no API key: the offline model answers")
    try:
        launch, missing = build_launch(settings, secret, base_url)
    except CliSandboxError:
        sock.close()
        if offline:
            await offline.close()
        raise
    role = ClaudeRole(
        launch,
        Admission(settings.max_concurrent, settings.max_queue, settings.queue_timeout),
        settings.cli_pool_size,
        folder / f"{name}.work",
        settings.default_model,
        offline=offline is not None,
        held_limits=build_limits(
            settings.held_max,
            settings.held_ttl,
            settings.held_memory_mb,
            settings.max_concurrent,
            read_available_memory(),
        ),
        missing=missing,
    )
    traces = build_tracing(name, os.environ)
    server = Server(
        role, path, settings.drain_timeout, traces, watchdog=settings.watchdog_timeout, on_drain=role.held.close
    )
    drain_on_signals(server, parent_fd)
    try:
        await role.open()
        log.info("serving", socket=path.name, credential=secret.kind, places=settings.max_concurrent)
        await server.serve(sock)
    finally:
        await role.close()
        if offline:
            await offline.close()
        await asyncio.to_thread(traces.close)
