"""The executor, with a CLI that is a script: no sandbox, which would run a program of the machine only."""

import sys
from pathlib import Path

from executor import app
from executor.__main__ import main
from executor.claude.cli.sandbox import CliSandbox
from executor.sandbox.landlock import Rules


def disable_sandbox(_binary: Path, *_of_host: object) -> CliSandbox:
    """No sandbox at all."""
    return CliSandbox(Rules())


app.build_cli_sandbox = disable_sandbox

if __name__ == "__main__":
    sys.exit(main())
