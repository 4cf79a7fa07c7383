"""A JSON Schema as a tree of fields that opens. Pure."""

import json
from collections.abc import Iterator
from typing import cast

from api.openapi.markup import details, element, escaped, sentence
from api.openapi.parameters import MARK
from api.openapi.structs import PLACE, Json

SHUT = (
    ("ignored", "Without effect"),
    ("accepted", "Accepted, and mean nothing here"),
    ("rejected", "Rejected"),
)
LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "minItems": "{} or more",
    "maxItems": "up to {}",
    "pattern": "matches {}",
}


class Tree:
    """The trees of one document's schemas. nullable: say which fields may be null."""

    def __init__(self, schemas: dict[str, Json], *, nullable: bool) -> None:
        self._schemas = schemas
        self._nullable = nullable

    def whole(self, schema: Json) -> str:
        """A schema and all that is in it."""
        name, inner = self._resolved(schema)
        return self._fields(inner, (name,) if name else ())

    def _resolved(self, schema: Json) -> tuple[str, Json]:
        name = str(schema.get("$ref", "")).removeprefix(PLACE)
        return (name, self._schemas[name]) if name else ("", schema)

    def _fields(self, schema: Json, above: tuple[str, ...]) -> str:
        shown: list[str] = []
        shut: dict[str, list[str]] = {}
        for name, field in cast("dict[str, Json]", schema.get("properties", {})).items():
            row = self._field(name, field, name in schema.get("required", ()), above)
            mark = field.get(MARK, "")
            (shut.setdefault(mark, []) if mark in dict(SHUT) else shown).append(row)
        rest = [
            details(f"{words} <span class='count'>{len(shut[mark])}</span>", _list(shut[mark]), class_="shut")
            for mark, words in SHUT
            if mark in shut
        ]
        return _list(shown) + "".join(rest)

    def _field(self, name: str, field: Json, required: bool, above: tuple[str, ...]) -> str:  # noqa: FBT001
        head = element("code", escaped(name), class_="name") + element("span", self._type(field), class_="type")
        if required and not self._nullable:
            head += element("span", "required", class_="must")
        head += "".join(element("span", escaped(words), class_="limit") for words in _limits(field))
        inner = element("div", head, class_="head") + element("p", sentence(field.get("description", "")))
        inner += element("p", values, class_="values") if (values := _values(field)) else ""
        return element("li", inner + "".join(self._opened(field, above)))

    def _opened(self, field: Json, above: tuple[str, ...]) -> Iterator[str]:
        """The objects that a field may hold."""
        for part in _parts(field):
            name, schema = self._resolved(part)
            if "properties" not in schema:
                continue
            title = (
                element("code", escaped(name)) if name else sentence(schema.get("description", "Object").rstrip("."))
            )
            if name and name in above:
                yield element("p", f"{title}, as above.", class_="again")
                continue
            words = element("p", sentence(schema["description"])) if name else ""
            yield details(title, words + self._fields(schema, (*above, name)), class_="object")

    def _type(self, field: Json) -> str:
        parts = [self._named(part) for part in _variants(field)]
        names = dict.fromkeys(part for part in parts if self._nullable or part != "null")
        return escaped(" or ".join(names) or "anything")

    def _named(self, field: Json) -> str:
        if "$ref" in field:
            return str(field["$ref"]).removeprefix(PLACE)
        if "enum" in field or "const" in field:
            return "string"
        match field.get("type"):
            case "array":
                return f"list of {self._type(field['items'])}"
            case list():
                kinds = cast("list[str]", field["type"])
                return " or ".join(self._named({**field, "type": kind}) for kind in kinds if self._shows(kind))
            case str(kind):
                return kind
            case _:
                return "anything"

    def _shows(self, kind: str) -> bool:
        return self._nullable or kind != "null"


def _variants(field: Json) -> list[Json]:
    return field.get("anyOf", [field])


def _parts(field: Json) -> Iterator[Json]:
    """Every schema that what is in a field may have."""
    for part in _variants(field):
        yield from _parts(part["items"]) if "items" in part else (part,)


def _limits(field: Json) -> Iterator[str]:
    for part in _variants(field):
        yield from (
            words.format(f"{value:,}" if isinstance(value, int) else value)
            for name, words in LIMITS.items()
            if (value := part.get(name)) is not None
        )


def _values(field: Json) -> str:
    found = [
        value
        for part in _parts(field)
        for value in [*part.get("enum", ()), *([part["const"]] if "const" in part else [])]
    ]
    return " ".join(element("code", escaped(_word(value))) for value in found if value is not None)


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _list(rows: list[str]) -> str:
    return element("ul", "".join(rows), class_="fields") if rows else ""
