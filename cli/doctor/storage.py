"""Where keys, limits and the ledger are kept, by the API's own word."""

import os
from collections.abc import Iterator

from cli.doctor import Finding, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.up.command import DEFAULT_DATA_DIR
from shared.checks import ApiCheck


def check_storage(check: ApiCheck, install: Installation) -> Iterator[Finding]:
    """What keys, limits and the ledger are kept in."""
    folder = install.folder / install.api.get("DATA_DIR", DEFAULT_DATA_DIR)
    hidden = install.kind == "systemd" and folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    if hidden:
        yield warning("data", f"{folder} can't be looked at by you.", "Look again as root.")
    elif check.data_problem:
        yield to_finding("data", check.data_problem)
    else:
        yield ok("data", f"{folder} {'can be used' if check.data_dir_exists else 'is made at the first start'}.")
    if check.has_database_url or not (hidden or check.data_problem):
        yield _check_database(check)
    if check.rate_limit_problem:
        yield to_finding("limits", check.rate_limit_problem)
    elif check.has_rate_limit_url:
        yield ok("limits", "RATE_LIMIT_URL answers.")
    else:
        yield ok("limits", "Limits are counted in memory: no RATE_LIMIT_URL is set.")


def _check_database(check: ApiCheck) -> Finding:
    if check.database_problem:
        return to_finding("database", check.database_problem)
    what = "The database of DATABASE_URL" if check.has_database_url else "The database"
    if check.schema_version:
        return ok("database", f"{what} is of version {check.schema_version}.")
    return ok("database", f"{what} has no tables yet, which a start makes, or is being written to.")
