"""Findings about the storage of keys, limits and the ledger, from the API's report."""

import os
from collections.abc import Iterator

from cli.doctor import Finding, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.up.command import DEFAULT_DATA_DIR
from shared.checks import ApiCheck


def check_storage(check: ApiCheck, install: Installation) -> Iterator[Finding]:
    """Yields the findings about DATA_DIR, the database, and the shared limits."""
    folder = install.folder / install.api.get("DATA_DIR", DEFAULT_DATA_DIR)
    hidden = install.kind == "systemd" and folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    if hidden:
        yield warning("data", f"You can't read {folder}.", "Run the doctor as root.")
    elif check.data_problem:
        yield to_finding("data", check.data_problem)
    else:
        yield ok("data", f"{folder} {'can be used' if check.data_dir_exists else 'is created at the first start'}.")
    if check.has_database_url or not (hidden or check.data_problem):
        yield _check_database(check)
    if check.rate_limit_problem:
        yield to_finding("limits", check.rate_limit_problem)
    elif check.has_rate_limit_url:
        yield ok("limits", "RATE_LIMIT_URL answers.")
    else:
        yield ok("limits", "RATE_LIMIT_URL is not set: each API process counts limits in memory.")


def _check_database(check: ApiCheck) -> Finding:
    if check.database_problem:
        return to_finding("database", check.database_problem)
    name = "The database of DATABASE_URL" if check.has_database_url else "The database"
    if check.schema_version:
        return ok("database", f"{name} has version {check.schema_version}.")
    return ok("database", f"{name} has no tables yet, which the first start creates, or another program writes to it.")
