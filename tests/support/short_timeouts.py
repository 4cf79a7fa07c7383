"""As `tests.support.no_cli_sandbox`, with less patience for a CLI that does not answer: what takes half a minute in life takes a second."""

import sys

from executor.claude.cli import handshake
from tests.support.no_cli_sandbox import main

handshake.SETUP_TIMEOUT = 1.0

if __name__ == "__main__":
    sys.exit(main())
