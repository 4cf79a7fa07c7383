"""JSON Schemas that clients send: usable or refused, and what a model wrote checked against them. Pure.

Law: a schema is refused before anything is spent on it, with the place in it that is at fault.
(https://json-schema.org/draft/2020-12, by the library `jsonschema`. `jsonschema_rs` passes what is valid, which is nearly
all, in a hundredth of the time; its words for what is not are not used.)
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast
from urllib.parse import unquote

import jsonschema_rs
import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, relevance
from jsonschema.validators import validator_for

from api.problems import invalid

DEEPEST = 64
# A dialect of another name would be looked up on the network.
DIALECTS = (
    *(f"http://json-schema.org/draft-0{number}/schema" for number in (4, 6, 7)),
    *(f"https://json-schema.org/draft/{date}/schema" for date in ("2019-09", "2020-12")),
)

type Schema = Mapping[str, object]


def usable(schema: object, where: str) -> Schema:
    """The schema, when it can be compiled and every reference in it leads somewhere. Raises Problem (400)."""
    if not isinstance(schema, dict):
        raise invalid(f"`{where}` must be a JSON Schema, which is an object.", where, "invalid_schema")
    fields = cast("dict[str, object]", schema)
    if not isinstance(fields.get("$schema", ""), str):
        raise invalid(f"`{where}.$schema` must be a text.", f"{where}.$schema", "invalid_schema")
    try:
        _depth(fields)
        if not _surely_valid(fields):
            validator_for(fields, Draft202012Validator).check_schema(fields)
    except SchemaError as error:
        place = _place(where, error.absolute_path)
        raise invalid(
            f"`{place}` is not valid JSON Schema: {_short(error.message)}.", place, "invalid_schema"
        ) from error
    except RecursionError as error:
        message = f"`{where}` is nested more than {DEEPEST} deep."
        raise invalid(message, where, "invalid_schema") from error
    for place, reference in _references(fields, where):
        if not reference.startswith("#") or not _leads_somewhere(fields, reference):
            raise invalid(f"`{place}`: the reference `{_short(reference)}` leads nowhere.", place, "invalid_schema")
    try:
        validator_for(fields, Draft202012Validator)(fields).is_valid({})
    except RecursionError as error:
        message = f"`{where}` leads back to itself before it says anything."
        raise invalid(message, where, "invalid_schema") from error
    return fields


def _surely_valid(schema: dict[str, object]) -> bool:
    dialect = schema.get("$schema", DIALECTS[-1])
    known = isinstance(dialect, str) and dialect.removesuffix("#") in DIALECTS
    return known and not _has_patterns(schema) and jsonschema_rs.meta.is_valid(schema)


def _has_patterns(part: object) -> bool:
    """Whether there may be regular expressions in it, which the quick check does not look at."""
    if isinstance(part, dict):
        fields = cast("dict[str, object]", part)
        return "pattern" in fields or "patternProperties" in fields or any(map(_has_patterns, fields.values()))
    return isinstance(part, list) and any(map(_has_patterns, cast("list[object]", part)))


def fault(document: str, schema: Schema) -> str | None:
    """What is wrong with a JSON document by a schema; None when nothing is."""
    try:
        value = msgspec.json.decode(document)
    except msgspec.DecodeError:
        return "it is not valid JSON"
    validator = validator_for(schema, Draft202012Validator)(schema)
    try:
        error = next(iter(sorted(validator.iter_errors(value), key=relevance, reverse=True)), None)
    except RecursionError:
        return "its schema leads back to itself"
    return f"{_place('$', error.absolute_path)}: {_short(error.message)}" if error else None


def _place(where: str, path: Iterable[str | int]) -> str:
    return where + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _depth(part: object, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise RecursionError
    children: list[object] = []
    if isinstance(part, dict):
        children = list(cast("dict[str, object]", part).values())
    elif isinstance(part, list):
        children = cast("list[object]", part)
    for child in children:
        _depth(child, depth + 1)


def _references(part: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        for name, value in cast("dict[str, object]", part).items():
            if name in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield f"{where}.{name}", value
            else:
                yield from _references(value, f"{where}.{name}")
    elif isinstance(part, list):
        for index, value in enumerate(cast("list[object]", part)):
            yield from _references(value, f"{where}[{index}]")


def _leads_somewhere(schema: Schema, reference: str) -> bool:
    if reference != "#" and not reference.startswith("#/"):
        return reference[1:] in _anchors(schema)
    here = cast("object", schema)
    for step in reference.removeprefix("#").split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict):
            here = cast("dict[str, object]", here).get(name)
        elif isinstance(here, list) and name.isdigit():
            here = dict(enumerate(cast("list[object]", here))).get(int(name))
        else:
            return False
    return isinstance(here, dict | bool)


def _anchors(part: object) -> Iterator[object]:
    if isinstance(part, dict):
        yield cast("dict[str, object]", part).get("$anchor")
        yield cast("dict[str, object]", part).get("$dynamicAnchor")
        for value in cast("dict[str, object]", part).values():
            yield from _anchors(value)
    elif isinstance(part, list):
        for item in cast("list[object]", part):
            yield from _anchors(item)
