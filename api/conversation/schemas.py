"""Checks the JSON Schemas that clients send. Pure.

Invariants: an unusable schema raises a Problem before a job starts, with the place of the fault in it.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from api.core.problems import invalid_problem
from shared.json_schema.faults import SchemaFault
from shared.json_schema.limits import SchemaBudget
from shared.json_schema.plans import compile_schema
from shared.json_schema.structure import inspect_schema
from shared.json_schema.validator import InvalidSchema, Validator
from shared.json_schema.values import InvalidJson, parse_json
from shared.text.json_path import render_path
from shared.turn import Tool

type Schema = Mapping[str, object]


def check_schema(
    schema: object, where: str, allowance: SchemaBudget | None = None, *, evaluated: bool = True
) -> Schema:
    """Returns the schema if it and all its references are valid. Raises Problem (400).

    allowance: the remaining budget for the schemas of the request. evaluated: the server validates the model's output
    against the schema, so its patterns must be supported.
    """
    try:
        structure = inspect_schema(schema, allowance or SchemaBudget())
        if evaluated:
            compile_schema(cast("dict[str, object]", schema), structure)
    except SchemaFault as fault:
        place = render_path(where, fault.path)
        raise invalid_problem(f"`{place}` {fault.message}.", place, "invalid_schema") from fault
    return cast("Schema", schema)


def parse_answer_format(kind: str, schema: msgspec.Raw, where: str, place: str) -> str | None:
    """Returns the JSON text of the schema of an answer's format. where, place: of the format and schema. Raises Problem."""
    match kind:
        case "text":
            return None
        case "json_object":
            return '{"type":"object"}'
        case "json_schema":
            return read_answer_schema(schema, place)
        case _:
            known = "text, json_object or json_schema"
            raise invalid_problem(f"`{where}.type` must be {known}, not `{kind}`.", f"{where}.type")


def read_answer_schema(schema: msgspec.Raw, where: str) -> str:
    """Returns the schema of an answer as text. Raises Problem (400)."""
    text = bytes(schema).decode()
    try:
        check_schema(parse_json(text), where)
    except InvalidJson as error:
        raise invalid_problem(f"`{where}` can't be used: {error}.", where, "invalid_schema") from error
    return text


def build_validator(tool: Tool) -> Validator:
    """Returns the validator of a tool's arguments. Raises Problem (400)."""
    try:
        return Validator(tool.schema)
    except InvalidSchema as error:
        message = f"`tools`: the schema of `{tool.name}` can't be used: {error}."
        raise invalid_problem(message, "tools", "invalid_schema") from error
