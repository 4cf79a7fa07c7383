"""Decodes the arguments of tool calls and the URIs of resources. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Struct

from api.conversation.fields import validation_problem
from api.core.problems import Problem, invalid_problem, problem_from_failure
from api.dialects.mcp.models import ToolOffer
from shared.errors import ErrorKind
from shared.events import Failed


def parse_arguments(offer: ToolOffer, arguments: Mapping[str, Any] | None) -> Struct:
    """Decodes the arguments of a call. Raises Problem with the invalid argument and its requirement."""
    try:
        return msgspec.convert(dict(arguments or {}), offer.request_type)
    except msgspec.ValidationError as error:
        problem = validation_problem(error)
        names = ", ".join(f"`{name}`" for name in offer.build_tool().input_schema["properties"]) or "no arguments"
        raise invalid_problem(f"{problem.message} {offer.name} takes {names}.", problem.param) from error


def to_uri(path: str) -> str:
    """Returns the URI of a file or folder."""
    return f"file://{quote(path)}"


def to_path(uri: str) -> str:
    """Returns the path of a URI. Raises Problem."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _unknown_problem(uri) from error
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise _unknown_problem(uri)
    return path


def _unknown_problem(uri: str) -> Problem:
    message = f"`{uri[:200]}` is not a resource of this server. Resources are file:///… URIs of allowed paths."
    return problem_from_failure(Failed(ErrorKind.NOT_FOUND, message))
