"""What the model wrote, held against the client's schema (`shared.json_schema`)."""

from shared.json_schema.validator import SchemaInvalid, Validator

__all__ = ["SchemaInvalid", "Validator"]
