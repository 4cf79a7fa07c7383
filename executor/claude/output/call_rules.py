"""What becomes of a call of the model, by what the request allows and demands. Pure."""

from executor.claude.output.recorder import Fate
from executor.claude.request.body import Request
from executor.claude.request.tool_names import STRUCTURED

FORBIDDEN_CALL = "It called a tool although `tool_choice` forbids it."
OTHER_CALL = "It called another tool than the one that `tool_choice` names."


class CallRules:
    """The rules of one request. Mutable: broken, the rule that the model broke, for the client."""

    def __init__(self, request: Request) -> None:
        self.broken = ""
        self._turn = request.turn
        self._names = request.wire.names
        self._reminds = bool(request.demand)
        self._offered = {tool.name for tool in request.turn.tools}

    def decide(self, name: str, *, demanded: bool, surplus: bool) -> Fate:
        """The fate of a call of `name`. demanded: a call is still to be made. surplus: the caller has one already."""
        turn = self._turn
        called = self._names.to_client(name)
        if turn.schema is not None and name == STRUCTURED:
            return "structured"
        if surplus and not turn.parallel_tools:
            return "surplus"
        # A call of a tool that was never offered is the client's to answer, as with both vendors; but a turn whose calls
        # are answered here, or that only has a structured answer to give, goes on.
        if called not in self._offered and (turn.held or (turn.schema is not None and not turn.tools)):
            return "not_offered"
        if turn.tool_choice == "none":
            self.broken = FORBIDDEN_CALL
            return "undemanded"
        if demanded and turn.tool_choice == "tool" and called != turn.forced_tool:
            # Where the model is only reminded of the demand, it is reminded once more.
            self.broken = self.broken if self._reminds else OTHER_CALL
            return "undemanded"
        return "given"
