"""How both programs refuse settings they cannot use: one line each, with the name, the problem and the mend."""

from collections.abc import Iterable, Mapping
from typing import Any


def render_validation_errors(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines to print for pydantic's list of errors (`ValidationError.errors()`)."""
    lines: list[str] = []
    for error in errors:
        reason = str(error["msg"]).removeprefix("Value error, ")
        if not error["loc"]:
            # A check of several settings names them itself.
            lines.append(f"{reason}.")
            continue
        name, *inside = [str(part) for part in error["loc"]]
        name = name.upper()
        where = "".join(f", at {part}" for part in inside)
        lines.append(
            f"{name}: {reason}{where}. Set {name} in the environment or in .env (.env.example shows each setting)."
        )
    return lines
