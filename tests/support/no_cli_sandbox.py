"""The executor, with a CLI that is a script: no sandbox, which would run a program of the machine only."""

import sys
from pathlib import Path

from executor import app
from executor.__main__ import main
from executor.claude.cli.sandbox import Sandbox
from executor.sandbox.landlock import Rules


def unconfined(_binary: Path, *_of_host: object) -> Sandbox:
    """No sandbox at all."""
    return Sandbox(Rules())


app.sandbox = unconfined

if __name__ == "__main__":
    sys.exit(main())
