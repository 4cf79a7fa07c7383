"""The console script `claude-api-server`."""

import asyncio
import io
import os
import secrets
import subprocess
import sys
from pathlib import Path

import click
from rich.console import Console

from cli import StartupError, login
from cli.keys import keys
from cli.up.command import read_dotenv, up
from cli.up.environment import build_environments


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="claude-api-server", prog_name="claude-api-server")
def main() -> None:
    """Turn your own Claude Code into an API that every OpenAI client can use.

    Settings come from the environment or from .env in the current folder; .env.example shows each.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no "…" shows a "?" for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@main.command("up", short_help="Run the server in this terminal.")
def up_command() -> None:
    """Run the server in this terminal: the API and an executor, until Ctrl-C.

    Without a Claude login or an API key an offline model answers, and the lines to go online are shown. Ctrl-C lets
    answers under way come to an end for a few seconds; a second one ends everything at once.

    Exit status: 0 ended by Ctrl-C or SIGTERM, 1 could not start or could not go on.
    """
    sys.exit(up(os.environ, Path.cwd()))


@main.command("login", short_help="Get a Claude token for the server.")
def login_command() -> None:
    """Get a token for your Claude subscription: runs `claude setup-token` of the CLI installed with the server.

    Put the token that it prints in .env as CLAUDE_CODE_OAUTH_TOKEN=… and start the server again.
    """
    click.echo("When the token is shown, put it in .env as CLAUDE_CODE_OAUTH_TOKEN=… and run: make run", err=True)
    try:
        login.exec_setup_token(os.environ, read_dotenv(Path.cwd()))
    except StartupError as problem:
        raise click.ClickException(str(problem)) from problem


@main.command("mcp", short_help="Serve MCP over stdin and stdout, from the running server.")
@click.option("--url", help="The server's address, if it is not HOST and PORT of the environment or .env.")
def mcp_command(url: str | None) -> None:
    """Connect a program that only starts programs, such as Claude Desktop, to the running server's MCP.

    The key is API_SECRET_TOKEN of the environment or .env, or the one that the server made in RUN_DIR.
    """
    from cli import mcp_bridge  # noqa: PLC0415 # half a second that the other commands need not wait

    try:
        mcp_bridge.run(os.environ, Path.cwd(), url)
    except StartupError as problem:
        raise click.ClickException(str(problem)) from problem


@main.command("doctor", short_help="Look at everything the server needs.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@click.option("--ask", is_flag=True, help="Also put one short question to the model's service, to see that it answers.")
@click.option(
    "--systemd/--here",
    default=None,
    help="Look at the installed units, or at this folder; without either, at the units if nothing was started here.",
)
def doctor_command(*, as_json: bool, ask: bool, systemd: bool | None) -> None:
    """Look at everything the server needs, and say of each how it is and what to do. It changes nothing.

    Exit status: 0 nothing is an error, 1 something is, 2 bad usage.
    """
    from cli.doctor import report  # noqa: PLC0415 # an HTTP client that the other commands need not wait for

    found = asyncio.run(report.run_checks(report.find_installation(os.environ, Path.cwd(), systemd=systemd), ask=ask))
    if as_json:
        click.echo(found.json())
    else:
        found.show(Console(highlight=False, markup=False, emoji=False))
    sys.exit(0 if found.ok else 1)


main.add_command(keys)


@main.group("db", short_help="Look after the database.")
def db() -> None:
    """Look after the database of keys and ledger."""


@db.command("upgrade", short_help="Bring the tables to this version.")
def upgrade_command() -> None:
    """Bring the database's tables to this version; the server does it too, when it starts."""
    settings, _ = build_environments(os.environ, read_dotenv(Path.cwd()))
    # It has no use for the token, which the API's settings want.
    environment = {"API_SECRET_TOKEN": secrets.token_hex(32), **settings}
    sys.exit(
        subprocess.run([sys.executable, "-P", "-m", "api.database", "upgrade"], env=environment, check=False).returncode
    )


if __name__ == "__main__":
    main()
