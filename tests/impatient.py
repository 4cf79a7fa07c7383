"""The executor, with less patience for a CLI that does not answer: what takes half a minute in life takes a second."""

import sys

from executor.__main__ import main
from executor.claude import talk

talk.SETUP_TIMEOUT = 1.0

if __name__ == "__main__":
    sys.exit(main())
