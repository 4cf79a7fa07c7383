"""What a pytest-xdist worker has for itself: users, whose processes the kernel counts.

A bomb takes all the processes that its user may have, so no two workers run jobs as the same user.
"""

import os
import pwd

NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# An ordinary user, who need not have an account.
ORDINARY_UID = 4711 + 10 * NUMBER
# Accounts that Debian has and that own no process.
ACCOUNTS = ("nobody", "games", "news", "uucp", "irc", "list", "backup", "proxy")


def tools_user() -> str:
    """The account that a tools executor started as root becomes."""
    existing = {entry.pw_name for entry in pwd.getpwall()}
    accounts = [name for name in ACCOUNTS if name in existing]
    return accounts[NUMBER % len(accounts)]
