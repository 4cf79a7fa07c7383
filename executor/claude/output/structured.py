"""A structured answer: the arguments of a tool of ours, checked against the client's schema. Pure.

Invariants: nothing is accepted that does not meet the schema; what is accepted is the model's own text, byte for byte.
"""

import re

from executor.claude.output.validation import Validator
from executor.claude.request.tool_forms import ToolForm

MOST_ATTEMPTS = 5
MOST_DEMANDS = 1
DEMAND = "You must call the tool `StructuredOutput` to complete this request. Call it now."
FAULT = "Output does not match required schema: {fault}"


class StructuredOutput:
    """The attempts at one structured answer. Mutable: how many there were, and what was wrong last.

    problem: what was wrong with the last attempt, for the client.
    """

    def __init__(self, schema: str) -> None:
        """Raises SchemaInvalid where the schema can't be compiled."""
        self.problem = ""
        self._form = ToolForm(schema, is_answer=True)
        self._validator = Validator(self._form.schema)
        self._fault = ""
        self._attempts = 0
        self._demands = 0

    def accept(self, arguments: str) -> str | None:
        """The answer as the client's own schema has it; None where it does not meet the schema."""
        self._attempts += 1
        fault = self._validator.fault(arguments)
        answer = None if fault else self._form.to_client(arguments)
        self._fault = fault or ""
        self.problem = f"Its answer does not meet the schema: {fault}." if fault else ""
        return answer

    def explain(self) -> str:
        """What the model is told of its last attempt, with the place as a JSON pointer, as the CLI has it."""
        place, colon, fault = self._fault.partition(": ")
        pointer = re.sub(r"[.\[]", "/", place.removeprefix("$")).replace("]", "")
        return FAULT.format(fault=f"{pointer or '/'}{colon}{fault}" if place.startswith("$") else self._fault)

    def demand_is_spent(self) -> bool:
        """Whether the model was already asked to call the tool; counts one more demand."""
        self._demands += 1
        return self._demands > MOST_DEMANDS

    def attempts_are_spent(self) -> bool:
        """Whether the model has had all its attempts."""
        return self._attempts >= MOST_ATTEMPTS
