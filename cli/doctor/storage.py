"""Where keys, limits and the ledger are kept, by the API's own word."""

import os
from collections.abc import Iterator

from cli.doctor import Finding, ok, warning, wrong
from cli.doctor.install import Install
from cli.up.command import DEFAULT_DATA_DIR
from shared.checks import ApiCheck


def kept(check: ApiCheck, install: Install) -> Iterator[Finding]:
    """What keys, limits and the ledger are kept in."""
    folder = install.folder / install.api.get("DATA_DIR", DEFAULT_DATA_DIR)
    hidden = install.kind == "systemd" and folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    if hidden:
        yield warning("data", f"{folder} can't be looked at by you.", "Look again as root.")
    elif check.data:
        yield wrong("data", check.data)
    else:
        yield ok("data", f"{folder} {'can be used' if check.made else 'is made at the first start'}.")
    if check.server or not (hidden or check.data):
        yield _database(check)
    if check.limits:
        yield wrong("limits", check.limits)
    elif check.shared:
        yield ok("limits", "RATE_LIMIT_URL answers.")
    else:
        yield ok("limits", "Limits are counted in memory: no RATE_LIMIT_URL is set.")


def _database(check: ApiCheck) -> Finding:
    if check.database:
        return wrong("database", check.database)
    what = "The database of DATABASE_URL" if check.server else "The database"
    if check.version:
        return ok("database", f"{what} is of version {check.version}.")
    return ok("database", f"{what} has no tables yet, which a start makes, or is being written to.")
