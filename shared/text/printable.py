"""Text of others for a terminal: nothing in it moves the cursor, sets a colour, or turns the reading direction."""

from collections.abc import Mapping, MutableMapping
from typing import Any

LINE_CHARACTERS = "\n\t"


def escape_unprintable(text: str, keep: str = "") -> str:
    """Returns a text with every control, format and separator character escaped, but for those of `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def escape_log_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A processor of structlog's: escapes every name and value of a line; a traceback keeps its lines."""
    shown: dict[str, Any] = {}
    for name, value in event.items():
        keep = LINE_CHARACTERS if name in {"exception", "stack"} else ""
        plain = value is None or isinstance(value, bool | int | float)
        shown[escape_unprintable(name)] = (
            value if plain else escape_unprintable(value if isinstance(value, str) else repr(value), keep)
        )
    return shown
