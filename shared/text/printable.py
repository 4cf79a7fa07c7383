"""Escapes foreign text for a terminal: it can't move the cursor, set a colour, or change the reading direction."""

from collections.abc import Mapping, MutableMapping
from typing import Any

LINE_CHARACTERS = "\n\t"


def escape_unprintable(text: str, keep: str = "") -> str:
    """Returns the text with every control, format and separator character escaped, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def escape_log_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A structlog processor: escapes every name and value of a line; a traceback keeps its line ends."""
    escaped: dict[str, Any] = {}
    for name, value in event.items():
        keep = LINE_CHARACTERS if name in {"exception", "stack"} else ""
        plain = value is None or isinstance(value, bool | int | float)
        escaped[escape_unprintable(name)] = (
            value if plain else escape_unprintable(value if isinstance(value, str) else repr(value), keep)
        )
    return escaped
