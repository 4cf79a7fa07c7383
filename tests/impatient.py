"""As `tests.unconfined`, with less patience for a CLI that does not answer: what takes half a minute in life takes a second."""

import sys

from executor.claude import cli_session
from tests.unconfined import main

cli_session.SETUP_TIMEOUT = 1.0

if __name__ == "__main__":
    sys.exit(main())
