"""JSON Schemas that clients send: usable, or refused. Pure.

Invariants: a schema is refused before anything is spent on it, with the place in it that is at fault.
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
    """Returns the schema when it is valid and every reference in it leads somewhere. Raises Problem (400).

    allowance: what the schemas of the request may still take. evaluated: what a model writes is checked against it here,
    so that its patterns must be matchable.
    """
    try:
        structure = inspect_schema(schema, allowance or SchemaBudget())
        if evaluated:
            compile_schema(cast("dict[str, object]", schema), structure)
    except SchemaFault as fault:
        place = render_path(where, fault.path)
        raise invalid_problem(f"`{place}` {fault.message}.", place, "invalid_schema") from fault
    return cast("Schema", schema)


def read_answer_schema(schema: msgspec.Raw, where: str) -> str:
    """The schema that an answer must meet, as text. Raises Problem (400)."""
    text = bytes(schema).decode()
    try:
        check_schema(parse_json(text), where)
    except InvalidJson as error:
        raise invalid_problem(f"`{where}` can't be used: {error}.", where, "invalid_schema") from error
    return text


def build_validator(tool: Tool) -> Validator:
    """Returns what checks the arguments of a tool. Raises Problem (400)."""
    try:
        return Validator(tool.schema)
    except InvalidSchema as error:
        message = f"`tools`: the schema of `{tool.name}` can't be used: {error}."
        raise invalid_problem(message, "tools", "invalid_schema") from error
