"""Books by themselves, for tests of what passes through them: the owner's, without limits, their journal in a folder."""

from pathlib import Path

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.core.keys import Keyring
from api.executors.pool import ExecutorPool
from api.models.catalogue import Catalogue


def build_meter(folder: Path) -> Meter:
    """Books that no database ever sees."""
    catalogue = Catalogue(ExecutorPool(folder, "claude"), "sonnet", {})
    return Meter(Keyring(), RateLimiter(None), Ledger(folder), catalogue)
