"""A structured answer's JSON held against its schema. Stand-in until the checked one is merged."""

import jsonschema_rs
import msgspec


class SchemaInvalid(Exception):
    """The schema can't be compiled."""


class Validator:
    def __init__(self, schema: str) -> None:
        try:
            self._validator = jsonschema_rs.validator_for(schema)
        except ValueError as error:
            raise SchemaInvalid(str(error)[:300]) from error

    def fault(self, document: str) -> str | None:
        try:
            value = msgspec.json.decode(document)
        except msgspec.DecodeError:
            return "it is not valid JSON"
        for error in self._validator.iter_errors(value):
            return f"/{'/'.join(map(str, error.instance_path))}: {error.message}"[:300]
        return None
