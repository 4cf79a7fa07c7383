"""A line of the ledger: one job, told without a word of what was in it. Pure."""

from msgspec import Struct

from shared.events import Usage

DAY = 86400
HOUR = 3600


class LedgerRecord(Struct, frozen=True):
    """A job that has ended. at: when it began, in seconds since 1970. outcome: succeeded, client_disconnected, crashed, or an ErrorKind."""

    id: str
    at: float
    key: str
    dialect: str
    model: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = None
    seconds: float = 0
    outcome: str = "succeeded"

    @property
    def tokens(self) -> int:
        """All of them, as limits count them."""
        usage = self.usage
        return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens


class JobStarted(Struct, frozen=True, tag="begun"):
    """A job begins."""

    line: LedgerRecord


class JobFinished(Struct, frozen=True, tag="ended"):
    """A job has ended; its line is whole."""

    line: LedgerRecord


type JournalEntry = JobStarted | JobFinished
