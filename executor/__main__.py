"""executor: runs the Claude Code CLI for the API, or files and commands.

usage: python -m executor --role claude|tools [--name NAME] [--parent-fd N]
       python -m executor --role claude|tools --check [--ask]

It listens on RUN_DIR/NAME.sock (default name: claude-1, or tools-1), keeps CLI_POOL_SIZE CLI processes waiting, and serves at most
MAX_CONCURRENT conversations at a time. The credential (ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN, or a login in
CLAUDE_CONFIG_DIR) comes from its environment and goes to the CLI only; without one, an offline model answers.

In the tools role it reads files and runs commands, below ALLOWED_PATHS and of ALLOWED_COMMANDS only, each job in a
sandbox of its own. It has no credential. Started as root, it becomes TOOLS_USER first.

  --role ROLE      claude, or tools
  --name NAME      names the socket; several executors of one RUN_DIR share the load
  --parent-fd N    drain when this inherited pipe is closed, so that it ends with what started it
  --check          serve nothing: write what would be so, tried, as JSON (`claude-api-server doctor` reads it), and end
  --ask            with --check, in the claude role: put one short question to the service, to see that it answers

SIGTERM and SIGINT drain. Exit status: 0 drained or checked, 1 the process that jobs come from was killed,
2 a setting or an argument can't be used.
"""

import argparse
import re
import sys

from executor.sandbox.zygote.client import Zygote
from executor.tools.worker.setup import set_up_worker
from shared.process import core_dumps


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="executor", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--role", required=True, choices=["claude", "tools"], help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args(argv)
    role = parsed.role
    parsed.name = parsed.name or f"{role}-1"
    if not re.fullmatch(rf"{role}-[a-z0-9-]{{1,32}}", parsed.name):
        parser.error(f"--name: {role}-, then 1 to 32 of a-z, 0-9 and -; for example {role}-2")
    if parsed.ask and not (parsed.check and role == "claude"):
        parser.error("--ask: only with --check, and in the claude role")
    return parsed


def main() -> int:
    """Run until drained."""
    parsed = parse_arguments(sys.argv[1:])
    core_dumps.disable()
    zygote = Zygote(set_up_worker) if parsed.role == "tools" else None
    # Loaded after the fork: every process of a job is a copy of what was there before.
    from executor import app  # noqa: PLC0415

    return app.main(parsed, zygote)


if __name__ == "__main__":
    sys.exit(main())
