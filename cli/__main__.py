"""The console script `claude-api-server`."""

import asyncio
import io
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli import StartupError
from cli.keys import keys
from cli.up import preflight
from cli.up.command import PYTHON_COMMAND, read_dotenv, up
from cli.up.environment import build_environments, merge_settings
from shared.claude_cli import find_bundled_cli


class CommandGroup(click.Group):
    """A group whose commands may raise StartupError: its message is shown without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StartupError as problem:
            raise click.ClickException(str(problem)) from problem


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="claude-api-server", prog_name="claude-api-server")
def main() -> None:
    """Turn your own Claude Code into an API that every OpenAI client can use.

    Settings come from the environment, or from .env in the current folder. .env.example lists them.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal whose encoding lacks "…" shows a "?".
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@main.command("up", short_help="Run the server in this terminal.")
def up_command() -> None:
    """Run the server in this terminal: the API and an executor, until Ctrl-C.

    Without a Claude login or an API key, an offline model answers, and the steps to go online are shown. Ctrl-C gives
    answers in progress a few seconds to finish; a second Ctrl-C ends everything at once.

    Exit status: 0 after Ctrl-C or SIGTERM, 1 when the server could not start or could not go on.
    """
    sys.exit(up(os.environ, Path.cwd()))


@main.command("login", short_help="Get a Claude token for the server.")
def login_command() -> None:
    """Get a token for your Claude subscription: run `claude setup-token` of the CLI that is installed with the server.

    Put the token that it prints in .env as CLAUDE_CODE_OAUTH_TOKEN=… and restart the server.
    """
    click.echo("When the token is shown, put it in .env as CLAUDE_CODE_OAUTH_TOKEN=… and run: make run", err=True)
    given = merge_settings(os.environ, read_dotenv(Path.cwd()))
    preflight.check_cli_path(given)
    path = Path(given["CLAUDE_CLI_PATH"]).absolute() if "CLAUDE_CLI_PATH" in given else find_bundled_cli()
    if not path or not path.is_file():
        raise StartupError("The Claude Code CLI is not installed. Run `make run` once, or set CLAUDE_CLI_PATH to it.")
    # The CLI takes the place of this process: only the owner sees its output, which has the token.
    os.execve(path, ["claude", "setup-token"], dict(os.environ))  # noqa: S606


@main.command("mcp", short_help="Connect stdin and stdout to the MCP of the running server.")
@click.option("--url", help="The server's address. Default: HOST and PORT of the environment or .env.")
def mcp_command(url: str | None) -> None:
    """Connect an MCP client that starts its servers as programs, such as Claude Desktop, to the running server.

    The key is API_SECRET_TOKEN of the environment or .env, or the key that the server generated in RUN_DIR.
    """
    from cli import mcp_bridge  # noqa: PLC0415 # takes half a second, and only this command needs it

    mcp_bridge.run(os.environ, Path.cwd(), url)


@main.command("doctor", short_help="Check everything the server needs.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--ask", is_flag=True, help="Also ask the model's service one short question, to check the credential.")
@click.option(
    "--systemd/--here",
    default=None,
    help="Check the installed units, or this folder. Default: the units, unless a server was started here.",
)
def doctor_command(*, as_json: bool, ask: bool, systemd: bool | None) -> None:
    """Check everything the server needs; show the result of each check and the fix. It changes nothing.

    Exit status: 0 without errors, 1 with an error, 2 for wrong usage.
    """
    from cli.doctor import report  # noqa: PLC0415 # an import that only this command needs

    found = asyncio.run(report.run_checks(report.find_installation(os.environ, Path.cwd(), systemd=systemd), ask=ask))
    if as_json:
        click.echo(found.json())
    else:
        found.show(Console(highlight=False, markup=False, emoji=False))
    sys.exit(0 if found.ok else 1)


main.add_command(keys)


@main.group("db", short_help="Manage the database.")
def db() -> None:
    """Manage the database of the keys and the ledger."""


@db.command("upgrade", short_help="Upgrade the tables to this version.")
def upgrade_command() -> None:
    """Upgrade the database's tables to this version. The server does the same when it starts."""
    settings, _ = build_environments(os.environ, read_dotenv(Path.cwd()))
    # The API's settings require a token; the upgrade does not use it.
    environment = {"API_SECRET_TOKEN": secrets.token_hex(32), **settings}
    sys.exit(subprocess.run([*PYTHON_COMMAND, "api.database", "upgrade"], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
