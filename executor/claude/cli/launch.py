"""The CLI's command line and environment, as values, and the path of its binary.

Invariants: neither contains data of a request, so a process list shows none of it and no prompt can become an option.
The flags are those of `claude --help`; the environment variables those of the CLI's settings documentation and of its
agent SDK.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from executor.claude.cli.credential import Credential
from executor.claude.cli.sandbox import CliSandbox
from shared.claude_cli import find_bundled_cli

# The version that the tests run, and that requirements.lock installs.
TESTED_CLI_VERSION = "2.1.330"

FLAGS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    *("--include-partial-messages", "--no-session-persistence", "--strict-mcp-config"),
    *("--setting-sources", "", "--tools", "", "--disable-slash-commands"),
    # A query is one message of the model; the executor runs further rounds itself.
    *("--thinking-display", "summarized", "--max-turns", "1"),
)

QUIET_ENVIRONMENT = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}

# The client's request reaches the model once and unchanged: no second request in another form, to another model, or after
# the model refused. The service decides how long a conversation may be, not an estimate of the CLI.
PASS_THROUGH_ENVIRONMENT = {
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_NO_MODEL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
    "CLAUDE_CODE_ATTRIBUTION_ANNOUNCEMENT": "0",
    "CLAUDE_CODE_THINKING_DISPLAY_UPDATES": "0",
    "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE": "1000000000",
    "ENABLE_TOOL_SEARCH": "false",
    "DISABLE_AUTO_COMPACT": "1",
}

# The variables of the executor's environment that a CLI needs to reach the service; it inherits no others.
INHERITED_VARIABLES = (
    *("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)


class Launch(Struct, frozen=True):
    """How to start a CLI process in a private folder and a sandbox."""

    binary: Path
    credential: Credential
    base_url: str | None
    inherited: dict[str, str]
    sandbox: CliSandbox

    def build_argv(self) -> tuple[str, ...]:
        """Returns the command line, which is the same for every request."""
        return (str(self.binary), *FLAGS, *(("--bare",) if self.credential.bare else ()))

    def build_environment(self, folder: Path) -> dict[str, str]:
        """Returns the complete environment of a CLI whose private folder is `folder`."""
        service = {"ANTHROPIC_BASE_URL": self.base_url} if self.base_url else {}
        private = {
            "HOME": str(folder),
            "CLAUDE_CONFIG_DIR": str(folder / "config"),
            "TMPDIR": str(folder),
            "CLAUDE_CODE_TMPDIR": str(folder),
        }
        return {
            **self.inherited,
            **QUIET_ENVIRONMENT,
            **PASS_THROUGH_ENVIRONMENT,
            **service,
            **private,
            **self.credential.environment,
        }


def select_inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the part of the executor's environment that a CLI gets."""
    return {name: environ[name] for name in INHERITED_VARIABLES if name in environ}


def find_binary(configured: Path | None) -> Path | None:
    """Returns CLAUDE_CLI_PATH, or the binary of the package `claude-agent-sdk`; None if it can't be executed."""
    path = configured or find_bundled_cli()
    return path.absolute() if path and path.is_file() and os.access(path, os.X_OK) else None
