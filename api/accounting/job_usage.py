"""What one job uses, told by what it says. Pure."""

from shared.events import Done, Failed, Started, TextDelta, ThinkingDelta, ToolArgumentsDelta, Usage
from shared.tool_jobs import JobDone

# What a token is, roughly, where the service did not count.
CHARACTERS_PER_TOKEN = 4
SUCCEEDED = "succeeded"
CLIENT_DISCONNECTED = "client_disconnected"


class JobUsage:
    """Mutable: what was seen of the job so far."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.outcome = CLIENT_DISCONNECTED
        self.output_characters = 0

    def record(self, message: object) -> None:
        """Note what the job says."""
        match message:
            case TextDelta(text) | ThinkingDelta(text) | ToolArgumentsDelta(text):
                self.output_characters += len(text)
            case Started(model):
                self.model = model or self.model
            case Done(_, usage, cost):
                self.usage, self.cost_usd, self.outcome = usage, cost, SUCCEEDED
            case JobDone():
                self.outcome = SUCCEEDED
            case Failed(kind):
                self.outcome = kind.value
            case _:
                pass

    def compute_usage(self, input_characters: int) -> Usage:
        """What the service counted; of an answer that was cut off before, what was read and written, by its length."""
        if self.usage is None and self.output_characters:
            return Usage(input_characters // CHARACTERS_PER_TOKEN, -(-self.output_characters // CHARACTERS_PER_TOKEN))
        return self.usage or Usage()
