"""Decides what happens to a call of the model, by what the request allows and demands. Pure."""

from executor.claude.output.recorder import CallStatus
from executor.claude.request.body import ModelRequest
from executor.claude.request.tool_names import STRUCTURED_TOOL_NAME

FORBIDDEN_CALL = "It called a tool although `tool_choice` forbids it."
WRONG_TOOL = "It called another tool than the one that `tool_choice` names."


class CallRules:
    """The rules of one request. Mutable: violation, the rule that the model violated, for the client."""

    def __init__(self, request: ModelRequest) -> None:
        self.violation = ""
        self._turn = request.turn
        self._names = request.wire.names
        self._has_instruction = bool(request.call_instruction)
        self._tool_names = {tool.name for tool in request.turn.tools}

    def decide(self, name: str, *, needs_call: bool, surplus: bool) -> CallStatus:
        """Returns the status of a call of `name`.

        needs_call: the request still demands a call. surplus: the caller already has one.
        """
        turn = self._turn
        called = self._names.to_client(name)
        if turn.schema is not None and name == STRUCTURED_TOOL_NAME:
            return "structured"
        if surplus and not turn.parallel_tools:
            return "surplus"
        # The client gets a call of a tool that was never offered, as with both vendors. A turn whose calls are answered
        # here, or that only demands a structured answer, continues.
        if called not in self._tool_names and (turn.interactive or (turn.schema is not None and not turn.tools)):
            return "not_offered"
        if turn.tool_choice == "none":
            self.violation = FORBIDDEN_CALL
            return "rejected"
        if needs_call and turn.tool_choice == "tool" and called != turn.forced_tool:
            # Where an instruction makes the demand, the model is reminded once instead.
            self.violation = self.violation if self._has_instruction else WRONG_TOOL
            return "rejected"
        return "accepted"
