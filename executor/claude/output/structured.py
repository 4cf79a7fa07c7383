"""A structured answer: the arguments of the executor's own tool, checked against the client's schema. Pure.

Invariants: an answer that violates the schema is never accepted; an accepted answer is the model's own text, byte for byte.
"""

import re

from executor.claude.request.tool_forms import ToolForm
from shared.json_schema.validator import Validator

MAX_ATTEMPTS = 5
MAX_REMINDERS = 1
CALL_REMINDER = "You must call the tool `StructuredOutput` to complete this request. Call it now."
SCHEMA_ERROR = "Output does not match required schema: {fault}"


class StructuredOutput:
    """Checks the attempts at one structured answer. Mutable: the number of attempts, and the last error.

    problem: the error of the last attempt, for the client.
    """

    def __init__(self, schema: str) -> None:
        """Raises InvalidSchema if the schema can't be compiled."""
        self.problem = ""
        self._form = ToolForm(schema, is_answer=True)
        self._validator = Validator(self._form.schema)
        self._error = ""
        self._attempt_count = 0
        self._reminder_count = 0

    def accept(self, arguments: str) -> str | None:
        """Returns the answer in the form of the client's own schema; None if it violates the schema."""
        self._attempt_count += 1
        fault = self._validator.find_fault(arguments)
        self._error = fault or ""
        self.problem = f"Its answer does not meet the schema: {fault}." if fault else ""
        return None if fault else self._form.to_client(arguments)

    def explain(self) -> str:
        """Builds the message to the model about its last attempt, with a JSON pointer to the place, like the CLI."""
        place, colon, fault = self._error.partition(": ")
        pointer = re.sub(r"[.\[]", "/", place.removeprefix("$")).replace("]", "")
        return SCHEMA_ERROR.format(fault=f"{pointer or '/'}{colon}{fault}" if place.startswith("$") else self._error)

    def is_reminder_exhausted(self) -> bool:
        """Counts one more reminder to call the tool. Returns whether that is more than are allowed."""
        self._reminder_count += 1
        return self._reminder_count > MAX_REMINDERS

    def has_exhausted_attempts(self) -> bool:
        """Whether the model has had all its attempts."""
        return self._attempt_count >= MAX_ATTEMPTS
