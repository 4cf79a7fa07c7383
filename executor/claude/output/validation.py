"""What the model wrote, held against the client's schema (`shared.json_schema`)."""

from shared.json_schema.validator import InvalidSchema, Validator

__all__ = ["InvalidSchema", "Validator"]
