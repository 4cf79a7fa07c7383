"""A call of a tool as what is asked; an address of a resource as a path. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from api.core.problems import Problem, invalid, of_failure
from api.dialects.mcp.models import Offer
from shared.errors import ErrorKind
from shared.events import Failed


def asked(offer: Offer, arguments: Mapping[str, Any] | None) -> Struct:
    """The arguments, understood. Raises Problem, with the argument at fault and what it must be."""
    given = dict(arguments or {})
    try:
        return msgspec.convert(given, offer.ask)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        place = where.strip("`").removeprefix("$").removeprefix(".")
        if "missing required field" in what:
            name = what.rpartition(" ")[2].strip("`")
            raise invalid(f"`{name}` is missing. {offer.name} takes {taken(offer)}.", name) from error
        raise invalid(f"`{place}`: {what}. {offer.name} takes {taken(offer)}.", place) from error


def taken(offer: Offer) -> str:
    """The names of a tool's arguments."""
    return ", ".join(f"`{name}`" for name in offer.tool().input_schema["properties"]) or "no arguments"


def uri(path: str) -> str:
    """The address of a file or folder."""
    return f"file://{quote(path)}"


def path_of(address: str) -> str:
    """The path that an address means. Raises Problem."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise _unknown(address) from error
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise _unknown(address)
    return path


def _unknown(address: str) -> Problem:
    said = f"`{address[:200]}` is no resource here; resources are file:///… addresses of allowed paths."
    return of_failure(Failed(ErrorKind.NOT_FOUND, said))
