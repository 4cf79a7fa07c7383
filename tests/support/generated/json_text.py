"""JSON as text: written with what is written already, with line breaks between all tokens, and compared."""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.DOTALL)
INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Raw(str):
    """JSON that is written already."""

    __slots__ = ()


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object as it was written."""

    __slots__ = ()


def dump(value: Any) -> str:
    """The JSON of a value, compact."""
    match value:
        case Raw():
            return value
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{dump(part)}" for name, part in value.items()) + "}"
        case list() | tuple():
            return f"[{','.join(map(dump, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def add_line_breaks(text: str) -> str:
    """The same JSON with line breaks between all of its tokens, as people and older libraries write it."""
    return "\n\t ".join(TOKEN.findall(text))


def parse_text(text: str) -> Any:
    """The value, with numbers and the order of names as they were written. Raises ValueError."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    return json.loads(text, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=refuse)


def read_object(text: str) -> Pairs | None:
    """The object; None for what is none."""
    try:
        value = parse_text(text)
    except ValueError:
        return None
    return value if isinstance(value, Pairs) else None


def reorder_names(names: Sequence[str]) -> list[str]:
    """The names as JavaScript orders them: those that look like an index first."""
    return [*sorted(filter(INDEX.fullmatch, names), key=int), *(name for name in names if not INDEX.fullmatch(name))]


def compare(sent: Any, seen: Any, place: str = "$") -> Iterator[str]:
    """Assert that both are the same, but for what JavaScript alters; yields the places where it did.

    A number that a double can't hold is the same as a string of its characters.
    """
    match sent:
        case Pairs():
            assert isinstance(seen, dict), (place, sent, seen)
            assert sorted(seen) == sorted(name for name, _ in sent), (place, sent, seen)
            yield from compare_order([name for name, _ in sent], list(seen), place)
            for name, value in sent:
                yield from compare(value, seen[name], f"{place}.{name}")
        case list():
            assert isinstance(seen, list), (place, sent, seen)
            for at, (one, other) in enumerate(zip(sent, seen, strict=True)):
                yield from compare(one, other, f"{place}[{at}]")
        case Number():
            yield from _compare_numbers(sent, seen, place)
        case _:
            assert type(seen) is type(sent), (place, sent, seen)
            assert seen == sent, place


def compare_order(sent: list[str], seen: list[str], place: str) -> Iterator[str]:
    """Assert that the order of names is the same, or as JavaScript makes it."""
    if seen != sent:
        assert seen == reorder_names(sent), (place, sent, seen)
        yield place


def _compare_numbers(sent: Number, seen: Any, place: str) -> Iterator[str]:
    if isinstance(seen, str):
        assert seen == sent, (place, sent, seen)
        yield place
        return
    assert isinstance(seen, int | float), (place, sent, seen)
    assert not isinstance(seen, bool), (place, sent, seen)
    if Decimal(repr(seen)) != Decimal(sent):
        assert float(seen) == float(sent), (place, sent, seen)
        yield f"{place} is not the number that was sent"
    elif isinstance(seen, int) and not re.fullmatch("-?[0-9]+", sent):
        yield place


def list_strings(value: Any) -> Iterator[str]:
    """Every string in a value."""
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from list_strings(part)
        case list():
            for part in value:
                yield from list_strings(part)
        case _:
            pass
