"""Finds numbers in a JSON body that are out of range. Pure."""

import json
from collections.abc import Iterator
from typing import cast

from shared.text.json_path import Step, render_path

MAX_INTEGER_DIGITS = 4300
INFINITE = float("inf")


def find_out_of_range(body: bytes) -> str | None:
    """Returns the path of a number beyond any double, or too long for an integer; None if there is none."""
    try:
        value = cast("object", json.loads(body, parse_int=_parse_int))
    except (ValueError, RecursionError):
        return None
    pending: list[tuple[tuple[Step, ...], object]] = [((), value)]
    while pending:
        path, current = pending.pop()
        if isinstance(current, float) and abs(current) == INFINITE:
            return render_path("", path).removeprefix(".")
        pending += [((*path, step), inner) for step, inner in _list_parts(current)]
    return None


def _parse_int(text: str) -> int | float:
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else INFINITE


def _list_parts(value: object) -> Iterator[tuple[Step, object]]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("list[object]", value))
