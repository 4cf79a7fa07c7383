"""How the server treats the parameters of requests: by one table for each dialect, which the docs repeat.

Invariants: a parameter is supported, emulated, ignored (the response lists it in a header; with
REJECT_UNSUPPORTED_PARAMS it is rejected), accepted (another vendor's bookkeeping), or rejected with its name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from api.core.problems import invalid_problem

MAX_LISTED_NAMES = 32
MAX_NAME_LENGTH = 120
MORE_NAMES = "and others"
UNPRINTABLE = re.compile(r"[^ -~]")

type ShowReasoning = Literal["auto", "always", "never"]
type Treatment = Literal["supported", "emulated", "ignored", "accepted", "rejected"]


class Parameter(Struct, frozen=True):
    """How the server treats a parameter. range: the allowed numbers.

    harmless: values of a rejected or ignored parameter that are accepted, since they request only the default behaviour.
    """

    treatment: Treatment
    note: str
    harmless: tuple[object, ...] = ()
    range: tuple[float, float] | None = None


class Policy(Struct, frozen=True):
    """The server's settings for parameters.

    strict: reject ignored parameters. max_choices: the largest `n`. keep_alive: seconds between keepalive comments.
    show_reasoning: whether chat completions have `reasoning_content`: if the request asks for it, always, or never.
    """

    strict: bool = False
    max_choices: int = 4
    keep_alive: float = 10
    show_reasoning: ShowReasoning = "auto"


def ignored(note: str, low: float | None = None, high: float | None = None) -> Parameter:
    """Returns an ignored parameter, with the range of its values if it is a number."""
    return Parameter("ignored", note, range=None if low is None or high is None else (low, high))


def build_table(request: type[Struct], others: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Returns a dialect's table: fields of the request's struct are supported, as described there, unless `others` has them."""
    fields = {each.encode_name: each.type.__metadata__[-1].description for each in structs.fields(request)}
    return {**{name: Parameter("supported", text) for name, text in fields.items()}, **others}


def check_parameters(table: Mapping[str, Parameter], fields: Mapping[str, object], *, strict: bool) -> tuple[str, ...]:
    """Returns the names of the ignored parameters in a request. Raises Problem for a rejected parameter."""
    ignored: list[str] = []
    for name, parameter in table.items():
        value = fields.get(name)
        match parameter.treatment:
            case "rejected" if name in fields and value not in parameter.harmless:
                raise invalid_problem(f"`{name}` is not supported: {parameter.note}.", name, "unsupported_parameter")
            case "ignored" if value is not None and value not in parameter.harmless:
                _check_range(name, value, parameter.range)
                ignored.append(name)
            case _:
                pass
    if ignored:
        check_ignored(ignored[:1], strict=strict, why=f": {table[ignored[0]].note}")
    return tuple(ignored)


def build_parameter_headers(ignored: Sequence[str], altered: Sequence[str] = ()) -> dict[str, str]:
    """Returns the headers that list ignored parameters, and places that the model reads in another form.

    Names can come from the client, so the values are ASCII and have a bounded length (RFC 9110, section 5.5).
    """
    names_by_header = {"x-ignored-parameters": ignored, "x-altered-parameters": altered}
    return {header: ", ".join(_list_printable(names)) for header, names in names_by_header.items() if names}


def _list_printable(names: Sequence[str]) -> Iterator[str]:
    for name in names[:MAX_LISTED_NAMES]:
        yield UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), name)[:MAX_NAME_LENGTH]
    if len(names) > MAX_LISTED_NAMES:
        yield MORE_NAMES


def check_ignored(ignored: Sequence[str], *, strict: bool, why: str = "") -> tuple[str, ...]:
    """Returns the names of ignored parameters. strict: raises Problem (400) for the first one instead."""
    if strict and ignored:
        name = ignored[0]
        message = f"`{name}` would be ignored{why}. REJECT_UNSUPPORTED_PARAMS rejects it; leave it out."
        raise invalid_problem(message, name, "unsupported_parameter")
    return tuple(ignored)


def _check_range(name: str, value: object, limits: tuple[float, float] | None) -> None:
    if limits is None:
        return
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid_problem(f"`{name}` must be a number from {low:g} to {high:g}.", name)
