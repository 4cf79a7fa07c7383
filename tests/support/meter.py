"""A meter for tests: for the owner, without limits, with its journal in a folder."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.auth.revocation import AdmissionDenied
from api.core.caller import Caller
from api.core.keys import Keyring
from api.executors.pool import ExecutorPool
from api.models.catalogue import Catalogue
from shared.events import Failed


def build_meter(folder: Path) -> Meter:
    """A meter whose records never reach a database."""
    catalogue = Catalogue(ExecutorPool(folder, "claude").fetch_statuses, "sonnet", {})
    return Meter(Keyring(), RateLimiter(None), Ledger(folder), catalogue)


async def meter_messages[M](
    meter: Meter, messages: AsyncGenerator[M], caller: Caller, model: str = "", input_characters: int = 0
) -> AsyncGenerator[M | Failed]:
    """The messages of a job that is admitted and recorded; a Failed alone if it is denied."""
    async with aclosing(messages):
        try:
            async with meter.meter_job(caller, model, input_characters) as usage:
                async for message in messages:
                    usage.record(message)
                    yield message
        except AdmissionDenied as denied:
            yield denied.failed
