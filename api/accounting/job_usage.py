"""The usage of one job, from its messages. Pure."""

from shared.events import Done, Failed, Started, TextDelta, ThinkingDelta, ToolArgumentsDelta, Usage
from shared.tool_jobs import JobDone

# An estimate, where the service did not count.
CHARACTERS_PER_TOKEN = 4
SUCCEEDED = "succeeded"
CLIENT_DISCONNECTED = "client_disconnected"


class JobUsage:
    """Mutable: the usage and the outcome so far."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.outcome = CLIENT_DISCONNECTED
        self.output_characters = 0

    def record(self, message: object) -> None:
        """Record a message of the job."""
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
        """Returns the service's counts; for an answer that ended before them, an estimate from the number of characters."""
        if self.usage is None and self.output_characters:
            return Usage(input_characters // CHARACTERS_PER_TOKEN, -(-self.output_characters // CHARACTERS_PER_TOKEN))
        return self.usage or Usage()
