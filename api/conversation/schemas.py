"""JSON Schemas that clients send: usable, or refused. Pure.

Invariants: a schema is refused before anything is spent on it, with the place in it that is at fault.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from api.core.problems import invalid
from shared.json_schema.faults import SchemaFault
from shared.json_schema.limits import Allowance
from shared.json_schema.plans import compile_schema
from shared.json_schema.structure import inspect_schema
from shared.json_schema.validator import SchemaInvalid, Validator
from shared.json_schema.values import NotJson, parse_json
from shared.text.json_path import render
from shared.turn import Tool

type Schema = Mapping[str, object]


def usable(schema: object, where: str, allowance: Allowance | None = None, *, evaluated: bool = True) -> Schema:
    """Returns the schema when it is valid and every reference in it leads somewhere. Raises Problem (400).

    allowance: what the schemas of the request may still take. evaluated: what a model writes is checked against it here,
    so that its patterns must be matchable.
    """
    try:
        structure = inspect_schema(schema, allowance or Allowance())
        if evaluated:
            compile_schema(cast("dict[str, object]", schema), structure)
    except SchemaFault as fault:
        place = render(where, fault.path)
        raise invalid(f"`{place}` {fault.message}.", place, "invalid_schema") from fault
    return cast("Schema", schema)


def read_answer_schema(schema: msgspec.Raw, where: str) -> str:
    """The schema that an answer must meet, as text. Raises Problem (400)."""
    text = bytes(schema).decode()
    try:
        usable(parse_json(text), where)
    except NotJson as error:
        raise invalid(f"`{where}` can't be used: {error.message}.", where, "invalid_schema") from error
    return text


def validator_of(tool: Tool) -> Validator:
    """Returns what checks the arguments of a tool. Raises Problem (400)."""
    try:
        return Validator(tool.schema)
    except SchemaInvalid as error:
        message = f"`tools`: the schema of `{tool.name}` can't be used: {error}."
        raise invalid(message, "tools", "invalid_schema") from error
