"""Runs the login of the Claude Code CLI in place of this process: the owner alone sees its output, which has the token."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cli import StartupError
from cli.up.environment import merge_settings
from cli.up.preflight import check_cli_path
from shared.claude_cli import find_bundled_cli


def find_cli(given: Mapping[str, str]) -> Path:
    """Returns CLAUDE_CLI_PATH, or the CLI that is installed with the server. Raises StartupError."""
    check_cli_path(given)
    if "CLAUDE_CLI_PATH" in given:
        return Path(given["CLAUDE_CLI_PATH"]).absolute()
    path = find_bundled_cli()
    if path and path.is_file():
        return path
    raise StartupError("The Claude Code CLI is not installed. Run `make run` once, or set CLAUDE_CLI_PATH to it.")


def exec_setup_token(environ: Mapping[str, str], dotenv: Mapping[str, str | None]) -> NoReturn:
    """Runs `claude setup-token` in place of this program. Raises StartupError."""
    path = find_cli(merge_settings(environ, dotenv))
    os.execve(path, ["claude", "setup-token"], dict(environ))  # noqa: S606 # the CLI prints to the owner's terminal
