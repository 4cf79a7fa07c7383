"""A record of the ledger: one job, without any of its content. Pure."""

from msgspec import Struct

from shared.events import Usage

DAY = 86400
HOUR = 3600
# The journal's tags and field names stay as they are, so that a newer version can recover an older one's journal.


class LedgerRecord(Struct, frozen=True):
    """A finished job. at: its start, in seconds since 1970. outcome: succeeded, client_disconnected, crashed or an ErrorKind."""

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
        """All tokens, as limits count them."""
        usage = self.usage
        return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens


class JobStarted(Struct, frozen=True, tag="begun", rename={"record": "line"}):
    """The start of a job."""

    record: LedgerRecord


class JobFinished(Struct, frozen=True, tag="ended", rename={"record": "line"}):
    """The end of a job; its record is complete."""

    record: LedgerRecord


type JournalEntry = JobStarted | JobFinished
