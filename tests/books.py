"""Books by themselves, for tests of what passes through them: the owner's, without limits, their journal in a folder."""

from pathlib import Path

from api.books import Books
from api.catalogue import Catalogue
from api.executors import Executors
from api.keys import Keyring
from api.ledger import Ledger
from api.limits import Counters


def books(folder: Path) -> Books:
    """Books that no database ever sees."""
    catalogue = Catalogue(Executors(folder, "claude"), "sonnet", {})
    return Books(Keyring(), Counters(None), Ledger(folder), catalogue)
