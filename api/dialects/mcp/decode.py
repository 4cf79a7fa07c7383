"""A call of a tool as what is asked; an address of a resource as a path. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from api.core.problems import Problem, invalid_problem, problem_from_failure
from api.dialects.mcp.models import ToolOffer
from shared.errors import ErrorKind
from shared.events import Failed


def parse_arguments(offer: ToolOffer, arguments: Mapping[str, Any] | None) -> Struct:
    """The arguments, understood. Raises Problem, with the argument at fault and what it must be."""
    given = dict(arguments or {})
    try:
        return msgspec.convert(given, offer.request_type)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        place = where.strip("`").removeprefix("$").removeprefix(".")
        if "missing required field" in what:
            name = what.rpartition(" ")[2].strip("`")
            raise invalid_problem(
                f"`{name}` is missing. {offer.name} takes {list_argument_names(offer)}.", name
            ) from error
        raise invalid_problem(f"`{place}`: {what}. {offer.name} takes {list_argument_names(offer)}.", place) from error


def list_argument_names(offer: ToolOffer) -> str:
    """The names of a tool's arguments."""
    return ", ".join(f"`{name}`" for name in offer.build_tool().input_schema["properties"]) or "no arguments"


def to_uri(path: str) -> str:
    """The address of a file or folder."""
    return f"file://{quote(path)}"


def to_path(address: str) -> str:
    """The path that an address means. Raises Problem."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise _unknown_problem(address) from error
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise _unknown_problem(address)
    return path


def _unknown_problem(address: str) -> Problem:
    said = f"`{address[:200]}` is no resource here; resources are file:///… addresses of allowed paths."
    return problem_from_failure(Failed(ErrorKind.NOT_FOUND, said))
