"""Numbers in a body that no program here can hold: where they are. Pure."""

import json
from collections.abc import Iterator
from typing import cast

from shared.text.json_path import Step, render_path

MAX_INTEGER_DIGITS = 4300
INFINITE = float("inf")


def find_out_of_range(body: bytes) -> str | None:
    """Returns the place of a number beyond any double, or too long for an integer; None if there is none."""
    try:
        value = cast("object", json.loads(body, parse_int=_parse_int))
    except (ValueError, RecursionError):
        return None
    waiting: list[tuple[tuple[Step, ...], object]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, float) and abs(here) == INFINITE:
            return render_path("", path).removeprefix(".")
        waiting += [((*path, step), inner) for step, inner in _list_parts(here)]
    return None


def _parse_int(text: str) -> int | float:
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else INFINITE


def _list_parts(value: object) -> Iterator[tuple[Step, object]]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("list[object]", value))
