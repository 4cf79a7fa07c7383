"""Books by themselves, for tests of what passes through them: the owner's, without limits, their journal in a folder."""

from pathlib import Path

from api.accounting.ledger import Ledger
from api.accounting.meter import Books
from api.accounting.rate_limits import Counters
from api.core.keys import Keyring
from api.executors.pool import Executors
from api.models.catalogue import Catalogue


def books(folder: Path) -> Books:
    """Books that no database ever sees."""
    catalogue = Catalogue(Executors(folder, "claude"), "sonnet", {})
    return Books(Keyring(), Counters(None), Ledger(folder), catalogue)
