"""executor: runs the Claude Code CLI for the API.

usage: python -m executor --role claude [--name NAME] [--parent-fd N]

It listens on RUN_DIR/NAME.sock (default name: claude-1), keeps PARKED CLI processes waiting, and serves at most
MAX_CONCURRENT conversations at a time. The credential (ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN, or a login in
CLAUDE_CONFIG_DIR) comes from its environment and goes to the CLI only; without one, an offline model answers.

  --role claude    the only role so far
  --name NAME      names the socket; several executors of one RUN_DIR share the load
  --parent-fd N    drain when this inherited pipe is closed, so that it ends with what started it

SIGTERM and SIGINT drain. Exit status: 0 drained, 2 a setting or an argument can't be used.
"""

import argparse
import asyncio
import os
import re
import signal
import sys

import structlog
import uvloop
from pydantic import ValidationError

from executor.admission import Admission
from executor.claude.cli import Launch, find_binary, inherited
from executor.claude.credential import Credential, credential
from executor.claude.role import ClaudeRole
from executor.offline.server import OfflineModel
from executor.server import CannotBind, Server, bind
from executor.settings import Settings
from shared import log as logs
from shared.settings import complaints


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="executor", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--role", required=True, choices=["claude"], help=argparse.SUPPRESS)
    parser.add_argument("--name", default="claude-1", help=argparse.SUPPRESS)
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    parsed = parser.parse_args(argv)
    if not re.fullmatch(r"claude-[a-z0-9-]{1,32}", parsed.name):
        parser.error("--name: claude-, then 1 to 32 of a-z, 0-9 and -; for example claude-2")
    return parsed


def main() -> int:
    """Run until drained."""
    parsed = arguments(sys.argv[1:])
    try:
        settings = Settings()
    except ValidationError as error:
        print(*complaints(error.errors()), sep="\n", file=sys.stderr)
        return 2
    logs.configure(parsed.name, settings.log_level, settings.log_format)
    try:
        uvloop.run(run(settings, parsed.name, parsed.parent_fd))
    except CannotBind as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def run(settings: Settings, name: str, parent_fd: int | None) -> None:
    """Put everything together, serve, take everything apart."""
    log = structlog.get_logger()
    folder = settings.run_dir.absolute()
    path = folder / f"{name}.sock"
    sock = bind(path)
    secret = credential(os.environ)
    base_url = os.environ.get("ANTHROPIC_BASE_URL")
    offline = OfflineModel() if secret.kind == "none" else None
    if offline:
        base_url = await offline.start()
        secret = Credential("none", {"ANTHROPIC_API_KEY": "offline"}, bare=True)
        log.warning("no Claude login and no API key: the offline model answers")
    binary = find_binary(settings.claude_cli_path)
    launch = Launch(binary, secret, base_url, inherited(os.environ)) if binary else None
    role = ClaudeRole(
        launch,
        Admission(settings.max_concurrent, settings.max_queue, settings.queue_timeout),
        settings.parked,
        folder / f"{name}.work",
        settings.default_model,
        offline=offline is not None,
    )
    server = Server(role, path, settings.drain_timeout)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.drain)
    if parent_fd is not None:
        loop.add_reader(parent_fd, server.drain)
    try:
        await role.open()
        log.info("serving", socket=path.name, credential=secret.kind, places=settings.max_concurrent)
        await server.serve(sock)
    finally:
        await role.close()
        if offline:
            await offline.close()


if __name__ == "__main__":
    sys.exit(main())
