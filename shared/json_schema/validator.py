"""Checks the documents of a model against a client's schema."""

from typing import cast

from shared.json_schema.document import EvaluationLimitExceeded
from shared.json_schema.evaluation import evaluate
from shared.json_schema.faults import SchemaFault, shorten
from shared.json_schema.keywords import JsonObject
from shared.json_schema.limits import SchemaBudget
from shared.json_schema.plans import compile_schema
from shared.json_schema.structure import inspect_schema
from shared.json_schema.values import InvalidJson, parse_json
from shared.text.json_path import render_path

MAX_FAULT_LENGTH = 300
MAX_PLACE_LENGTH = 160


class InvalidSchema(Exception):
    """A schema that can't be used; the message has the reason and the place."""


class Validator:
    """Checks documents against a schema.

    Any draft from 4 to 2020-12, by its `$schema`. Numbers are compared exactly; `format` is not checked. The time of a
    check is bounded, whatever the schema and the document are.
    """

    def __init__(self, schema: str) -> None:
        """Raises InvalidSchema."""
        try:
            root = parse_json(schema)
            structure = inspect_schema(root, SchemaBudget())
            self._compiled = compile_schema(cast("JsonObject", root), structure)
        except InvalidJson as error:
            raise InvalidSchema(f"$: {error}") from error
        except SchemaFault as error:
            raise InvalidSchema(shorten(f"{render_path('$', error.path)}: {error}", MAX_FAULT_LENGTH)) from error

    def find_fault(self, document: str) -> str | None:
        """Returns the first fault of a document, with its place; None if it is valid."""
        try:
            found = evaluate(self._compiled, parse_json(document))
        except (InvalidJson, EvaluationLimitExceeded) as error:
            return str(error)
        if found is None:
            return None
        place = render_path("$", found.node.list_steps())
        message = found.message.encode("utf-8", "replace").decode()
        return shorten(f"{shorten(place, MAX_PLACE_LENGTH)}: {message}", MAX_FAULT_LENGTH - 1)
