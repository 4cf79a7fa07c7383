"""What one job uses, told by what it says. Pure."""

from shared.events import Done, Failed, Started, TextDelta, ThinkingDelta, ToolArguments, Usage
from shared.tool_jobs import JobDone

# What a token is, roughly, where the service did not count.
CHARACTERS = 4
OK = "succeeded"
LEFT = "client_disconnected"


class Account:
    """Mutable: what was seen of the job so far."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.outcome = LEFT
        self.written = 0

    def saw(self, message: object) -> None:
        """Note what the job says."""
        match message:
            case TextDelta(text) | ThinkingDelta(text) | ToolArguments(text):
                self.written += len(text)
            case Started(model):
                self.model = model or self.model
            case Done(_, usage, cost):
                self.usage, self.cost_usd, self.outcome = usage, cost, OK
            case JobDone():
                self.outcome = OK
            case Failed(kind):
                self.outcome = kind.value
            case _:
                pass

    def counted(self, heard: int) -> Usage:
        """What the service counted; of an answer that was cut off before, what was read and written, by its length."""
        if self.usage is None and self.written:
            return Usage(heard // CHARACTERS, -(-self.written // CHARACTERS))
        return self.usage or Usage()
