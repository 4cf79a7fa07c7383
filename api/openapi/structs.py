"""The service's structs as JSON Schemas, which are what the code reads and writes. Pure.

Law: a name, a type, and whether a field is there always, come from the struct; what a struct can't say (the words, the
limits, JSON that is carried along unread) comes from `request_words`, `response_words`, `answer_words` and `api.openapi.limits`.

msgspec's own schemas would do, but they can't be made of a struct that carries JSON along unread.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct, inspect

from api.openapi.answer_words import ANSWERS, STATE
from api.openapi.completions_words import COMPLETION_LIMITS, COMPLETION_WORDS
from api.openapi.key_words import KEYS
from api.openapi.limits import LIMITS as OF_CHAT
from api.openapi.message_words import MESSAGE_LIMITS, MESSAGE_WORDS
from api.openapi.request_words import REQUEST
from api.openapi.response_words import RESPONSES
from api.openapi.rest_words import REST_LIMITS, REST_WORDS

type Json = dict[str, Any]

WORDS = REQUEST | ANSWERS | STATE | REST_WORDS | RESPONSES | MESSAGE_WORDS | COMPLETION_WORDS | KEYS
LIMITS = OF_CHAT | REST_LIMITS | COMPLETION_LIMITS | MESSAGE_LIMITS
PLACE = "#/components/schemas/"


def reference(name: str) -> Json:
    """A reference to the schema of that name."""
    return {"$ref": PLACE + name}


def schemas(*roots: type[Struct], answers: bool) -> dict[str, Json]:
    """The schemas of these structs and of all that they hold, by name. answers: they are written, not read."""
    return {struct.cls.__name__: _object(struct, answers=answers) for struct in _all(*roots)}


def _all(*roots: type[Struct]) -> Iterator[inspect.StructType]:
    seen: set[type] = set()
    waiting: list[inspect.Type] = list(inspect.multi_type_info(roots))
    while waiting:
        match waiting.pop(0):
            case inspect.StructType(cls=cls) as struct if cls not in seen:
                seen.add(cls)
                yield struct
                waiting.extend(field.type for field in struct.fields)
            case inspect.UnionType(types=types):
                waiting.extend(types)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                waiting.append(item)
            case _:
                pass


def _object(struct: inspect.StructType, *, answers: bool) -> Json:
    name = struct.cls.__name__
    properties: Json = {}
    if struct.tag_field:
        properties[struct.tag_field] = {"const": struct.tag, "description": "What this object is."}
    for field in struct.fields:
        properties[field.encode_name] = described(f"{name}.{field.name}", schema(field.type))
    # A field that is UNSET when it has nothing to say has no default for `inspect`.
    always = [struct.tag_field] if struct.tag_field else []
    always += [
        field.encode_name for field in struct.fields if field.required or (answers and field.default is not NODEFAULT)
    ]
    whole: Json = {"type": "object", "description": WORDS.get(name, ""), "properties": properties}
    return whole | ({"required": always} if always else {}) | LIMITS.get(name, {})


def described(place: str, what: Json) -> Json:
    """The schema of a field with what is said of it. place: `Struct.field`."""
    return what | LIMITS.get(place, {}) | {"description": WORDS.get(place, "")}


def schema(kind: inspect.Type) -> Json:
    """The schema of a type."""
    match kind:
        case inspect.StrType():
            return {"type": "string"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": schema(item)}
        case inspect.StructType(cls=cls):
            return reference(cls.__name__)
        case inspect.UnionType(types=types):
            return _any_of([schema(part) for part in types])
        case _:
            return {}


def _any_of(parts: list[Json]) -> Json:
    real = [part for part in parts if part != {"type": "null"}]
    if len(real) == 1 and len(parts) == 2 and "type" in real[0]:
        nullable = {**real[0], "type": [real[0]["type"], "null"]}
        return nullable | ({"enum": [*real[0]["enum"], None]} if "enum" in real[0] else {})
    return {"anyOf": [*real, *(part for part in parts if part not in real)]}


def plain(value: object) -> Any:
    """A struct as the JSON that is written of it."""
    return msgspec.to_builtins(value)
