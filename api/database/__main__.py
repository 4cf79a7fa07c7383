"""Upgrades the database without a server: `python -m api.database upgrade` brings its tables to this version.

Exit status: 0 upgraded, 1 the database can't be used, 2 invalid setting or argument.
"""

import asyncio
import sys

from pydantic import ValidationError

from api.database.engine import DatabaseUnavailable, build_engine, upgrade
from api.database.folder import prepare_folder
from api.database.tables import SCHEMA_VERSION
from api.settings import Settings
from shared.settings import render_validation_errors


async def run_upgrade(settings: Settings) -> str:
    """Upgrades the database; returns a sentence for the operator. Raises DatabaseUnavailable."""
    folder = settings.data_dir.absolute()
    prepare_folder(folder)
    engine = build_engine(settings.database_url.get_secret_value() if settings.database_url else None, folder)
    try:
        before = await upgrade(engine, folder)
    finally:
        await engine.dispose()
    return f"The database is of version {SCHEMA_VERSION}; before: {before}."


def main() -> int:
    """Upgrade and print the result."""
    if sys.argv[1:] != ["upgrade"]:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] # its values come from the environment
    except ValidationError as error:
        print(*render_validation_errors(error.errors()), sep="\n", file=sys.stderr)
        return 2
    try:
        print(asyncio.run(run_upgrade(settings)))
    except DatabaseUnavailable as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
