"""A structured answer: the arguments of a tool of ours, checked against the client's schema. Pure.

Invariants: nothing is accepted that does not meet the schema; what is accepted is the model's own text, byte for byte.
"""

import re

from executor.claude.request.tool_forms import ToolForm
from shared.json_schema.validator import Validator

MAX_ATTEMPTS = 5
MAX_REMINDERS = 1
CALL_REMINDER = "You must call the tool `StructuredOutput` to complete this request. Call it now."
SCHEMA_ERROR = "Output does not match required schema: {fault}"


class StructuredOutput:
    """The attempts at one structured answer. Mutable: how many there were, and what was wrong last.

    problem: what was wrong with the last attempt, for the client.
    """

    def __init__(self, schema: str) -> None:
        """Raises InvalidSchema where the schema can't be compiled."""
        self.problem = ""
        self._form = ToolForm(schema, is_answer=True)
        self._validator = Validator(self._form.schema)
        self._error = ""
        self._attempt_count = 0
        self._reminder_count = 0

    def accept(self, arguments: str) -> str | None:
        """The answer as the client's own schema has it; None where it does not meet the schema."""
        self._attempt_count += 1
        fault = self._validator.find_fault(arguments)
        answer = None if fault else self._form.to_client(arguments)
        self._error = fault or ""
        self.problem = f"Its answer does not meet the schema: {fault}." if fault else ""
        return answer

    def explain(self) -> str:
        """What the model is told of its last attempt, with the place as a JSON pointer, as the CLI has it."""
        place, colon, fault = self._error.partition(": ")
        pointer = re.sub(r"[.\[]", "/", place.removeprefix("$")).replace("]", "")
        return SCHEMA_ERROR.format(fault=f"{pointer or '/'}{colon}{fault}" if place.startswith("$") else self._error)

    def is_reminder_exhausted(self) -> bool:
        """Whether the model was already asked to call the tool; counts one more demand."""
        self._reminder_count += 1
        return self._reminder_count > MAX_REMINDERS

    def has_exhausted_attempts(self) -> bool:
        """Whether the model has had all its attempts."""
        return self._attempt_count >= MAX_ATTEMPTS
