"""How many generated requests a test sends through the real programs."""

import os

# Set by who has the time: `THOROUGH=1 make test`.
IS_THOROUGH = bool(os.environ.get("THOROUGH"))


def count_examples(usual: int, thorough: int) -> int:
    """The usual number, or the thorough one if THOROUGH is set."""
    return thorough if IS_THOROUGH else usual
