"""The Claude Code CLI as every program knows it: where the installed binary is, and which variables hold its credential."""

import importlib.util
from pathlib import Path

# The package that carries the tested CLI.
CLI_PACKAGE = "claude_agent_sdk"
# Variables whose value is a secret. A login is a folder, which CLAUDE_CONFIG_DIR names.
CREDENTIAL_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


def find_bundled_cli() -> Path | None:
    """Returns the path of the CLI that the package carries; None if the package is not installed."""
    # find_spec does not import the package.
    spec = importlib.util.find_spec(CLI_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) / "_bundled" / "claude" if folders else None
