"""Error messages for invalid settings, the same in both programs: one line each, with the name, the problem and the fix."""

from collections.abc import Iterable, Mapping
from typing import Any


def render_validation_errors(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the lines to print for pydantic's errors (`ValidationError.errors()`)."""
    lines: list[str] = []
    for error in errors:
        reason = str(error["msg"]).removeprefix("Value error, ")
        if not error["loc"]:
            # The message of a check of several settings names them.
            lines.append(f"{reason}.")
            continue
        name, *inside = [str(part) for part in error["loc"]]
        name = name.upper()
        where = "".join(f", at {part}" for part in inside)
        lines.append(
            f"{name}: {reason}{where}. Set {name} in the environment or in .env (.env.example shows each setting)."
        )
    return lines
