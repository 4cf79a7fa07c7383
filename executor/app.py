"""The two roles put together: what a role needs is loaded with this module, and each is built in one place."""

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
from executor.claude.cli.credential import Credential, credential, kinds
from executor.claude.cli.launch import Launch, find_binary, inherited
from executor.claude.cli.sandbox import CannotConfine, sandbox
from executor.claude.cli.sandbox_probe import lacks
from executor.claude.role import ClaudeRole
from executor.offline.server import OfflineModel
from executor.sandbox import landlock
from executor.sandbox.privileges import CannotDrop
from executor.sandbox.zygote.client import Zygote, ZygoteLost
from executor.server import CannotBind, Server, bind, drained_by
from executor.settings import Settings
from executor.tools import check as tools_check
from executor.tools import start as tools
from executor.tools.config_loader import CannotAllow
from shared import logging as logs
from shared.checks import ClaudeCheck, ToolsCheck
from shared.process import core_dumps
from shared.process.systemd import credentials
from shared.settings import complaints
from shared.tracing import tracing

# What systemd may hand down as files.
SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


def main(parsed: argparse.Namespace, zygote: Zygote | None) -> int:
    """Run until drained; the exit status. zygote: for the tools role."""
    core_dumps.hide_memory()
    if parsed.check:
        print(msgspec.json.encode(check(zygote, ask=parsed.ask)).decode())
        return 0
    try:
        settings = Settings()
    except ValidationError as error:
        print(*complaints(error.errors()), sep="\n", file=sys.stderr)
        return 2
    logs.configure(parsed.name, settings.log_level, settings.log_format)
    try:
        if zygote:
            tools.main(settings, parsed.name, parsed.parent_fd, zygote)
        else:
            uvloop.run(run(settings, parsed.name, parsed.parent_fd))
    except (CannotBind, CannotAllow, CannotConfine, CannotDrop) as error:
        print(error, file=sys.stderr)
        return 2
    except ZygoteLost:
        # The log says so.
        return 1
    return 0


def check(zygote: Zygote | None, *, ask: bool) -> ClaudeCheck | ToolsCheck:
    """What would be so at a start. What is logged of it is for nobody: the answer says all."""
    try:
        settings = Settings()
    except ValidationError as error:
        told = tuple(complaints(error.errors()))
        return ToolsCheck(told) if zygote else ClaudeCheck(told)
    logs.configure("check", "critical", settings.log_format)
    if zygote:
        return tools_check.checked(settings, zygote)
    environ = with_credentials()
    secret = credential(environ)
    offline = secret.kind == "none"
    base_url = claude_check.NOWHERE if offline else os.environ.get("ANTHROPIC_BASE_URL")
    try:
        launch, missing = launched(settings, claude_check.STAND_IN if offline else secret, base_url)
    except CannotConfine as problem:
        return ClaudeCheck((str(problem),))
    return uvloop.run(claude_check.checked(launch, missing, kinds(environ), ask=ask))


def with_credentials() -> dict[str, str]:
    """The environment, and what systemd hands down as files."""
    return {**os.environ, **credentials(os.environ, SECRETS)}


def launched(settings: Settings, secret: Credential, base_url: str | None) -> tuple[Launch | None, tuple[str, ...]]:
    """How to start the CLI, if there is one, and what its sandbox lacks here. Raises CannotConfine."""
    binary = find_binary(settings.claude_cli_path)
    if binary is None:
        return None, ()
    given = inherited(os.environ)
    confined = sandbox(binary, secret, base_url, given, landlock.abi())
    missing = lacks(confined)
    for lack in missing:
        structlog.get_logger().warning("the CLI's sandbox lacks something", what=lack)
    return Launch(binary, secret, base_url, given, confined), missing


async def run(settings: Settings, name: str, parent_fd: int | None) -> None:
    """Put everything together, serve, take everything apart."""
    log = structlog.get_logger()
    folder = settings.run_dir.absolute()
    path = folder / f"{name}.sock"
    sock = bind(path)
    secret = credential(with_credentials())
    base_url = os.environ.get("ANTHROPIC_BASE_URL")
    offline = OfflineModel() if secret.kind == "none" else None
    if offline:
        base_url = await offline.start()
        secret = claude_check.STAND_IN
        log.warning("no Claude login and no API key: the offline model answers")
    try:
        launch, missing = launched(settings, secret, base_url)
    except CannotConfine:
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
        missing=missing,
    )
    traces = tracing(name, os.environ)
    server = Server(role, path, settings.drain_timeout, traces, watchdog=settings.watchdog_timeout)
    drained_by(server, parent_fd)
    try:
        await role.open()
        log.info("serving", socket=path.name, credential=secret.kind, places=settings.max_concurrent)
        await server.serve(sock)
    finally:
        await role.close()
        if offline:
            await offline.close()
        await asyncio.to_thread(traces.close)
