"""The database of keys and ledger: what is written, what is refused, and what its faults are called."""

import asyncio
import contextlib
import re
import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.core.keys import Allowance, Key
from api.database import engine as engine_module
from api.database import keys as stored
from api.database import usage
from api.database.engine import (
    DATABASE_FILE,
    DatabaseUnavailable,
    build_engine,
    describe_error,
    read_version,
    transaction,
    upgrade,
)
from api.database.ledger_record import DAY, LedgerRecord
from api.database.tables import SCHEMA_VERSION, metadata
from shared.events import Usage
from tests.support.stack import wait_until

NOW = 20_000.5 * DAY
KEY = Key("1", "notes", "d1", ("chat",), allowance=Allowance(usd_per_day=2))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[AsyncEngine]:
    """A database of this version."""
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    yield engine
    await engine.dispose()


def line(name: str, **more: Any) -> LedgerRecord:
    return msgspec.structs.replace(LedgerRecord(name, NOW, "notes", "chat", "opus", Usage(10, 5), 0.25), **more)


async def test_a_new_database_is_what_the_migrations_make(tmp_path: Path) -> None:
    """It is made without them; both ways end in the same tables and the same version."""
    engine = build_engine(None, tmp_path)

    def migrated(connection: Connection) -> list[Any]:
        config = Config()
        config.set_main_option("script_location", str(Path(engine_module.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with engine.begin() as connection:
        assert await connection.run_sync(migrated) == []
    assert await read_version(engine) == SCHEMA_VERSION
    await engine.dispose()


async def test_a_database_of_a_version_that_never_was_is_called_so(tmp_path: Path) -> None:
    """No step leads from there, and nothing of it changes."""
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    assert await upgrade(engine, tmp_path) == SCHEMA_VERSION
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(DatabaseUnavailable, match="version 0000, which no version of this program made"):
        await upgrade(engine, tmp_path)
    assert await read_version(engine) == "0000"
    await engine.dispose()


async def test_a_line_counts_once_however_often_it_is_written(engine: AsyncEngine) -> None:
    """A crash between two writes may bring it twice."""
    await usage.write_records(engine, [line("a"), line("b")])
    await usage.write_records(engine, [line("b"), line("c", key="other", cost_usd=None)])
    day = int(NOW // DAY)
    assert await usage.read_spending(engine, ["notes", "none"], day) == {"notes": {day: (0.5, 30)}}
    (row,) = await usage.sum_usage(engine, usage.UsageQuery(("dialect",), NOW - 1, NOW + 1))
    assert (row["jobs"], row["input_tokens"], row["cost_usd"]) == (3, 30, 0.5)


async def test_what_is_old_is_forgotten_but_for_what_a_month_s_budget_needs(engine: AsyncEngine) -> None:
    """Lines go by the setting; what was spent stays for a month at least."""
    await usage.write_records(engine, [line("a"), line("b", at=NOW - 10 * DAY), line("c", at=NOW - 40 * DAY)])
    await usage.delete_expired(engine, NOW, 5)
    rows = await usage.sum_usage(engine, usage.UsageQuery(("day",), 0, NOW + DAY))
    assert [row["day"] for row in rows] == [20_000]
    assert set((await usage.read_spending(engine, ["notes"], 0))["notes"]) == {20_000, 19_990}


async def test_keys_are_kept_as_they_are_and_each_change_is_seen(engine: AsyncEngine) -> None:
    """A name is taken once; a change raises the mark that every process looks at."""
    before = await stored.read_keys_version(engine)
    await stored.add(engine, KEY)
    assert await stored.list_keys(engine) == [KEY]
    with pytest.raises(stored.DuplicateKeyName):
        await stored.add(engine, msgspec.structs.replace(KEY, id="2", digest="d2"))
    marks = {before, await stored.read_keys_version(engine)}
    assert await stored.change(engine, "none", lambda key: key) is None
    changed = await stored.change(engine, "notes", lambda key: msgspec.structs.replace(key, disabled=True))
    assert changed is not None
    assert await stored.find_key(engine, "notes") == changed
    marks.add(await stored.read_keys_version(engine))
    assert await stored.remove(engine, "notes")
    assert not await stored.remove(engine, "notes")
    marks.add(await stored.read_keys_version(engine))
    assert len(marks) == 4


async def test_two_changes_at_once_are_both_kept(engine: AsyncEngine) -> None:
    """A key that is rotated while another field of it changes does not get its old digest back."""
    await stored.add(engine, KEY)
    await asyncio.gather(
        stored.change(engine, "notes", lambda key: msgspec.structs.replace(key, digest="new")),
        stored.change(engine, "notes", lambda key: msgspec.structs.replace(key, disabled=True)),
        stored.change(engine, "notes", lambda key: msgspec.structs.replace(key, models=("haiku",))),
    )
    assert await stored.list_keys(engine) == [
        msgspec.structs.replace(KEY, digest="new", disabled=True, models=("haiku",))
    ]


async def test_the_first_pepper_is_everyone_s(engine: AsyncEngine) -> None:
    """Another one is told."""
    assert await stored.match_pepper(engine, "one")
    assert await stored.match_pepper(engine, "one")
    assert not await stored.match_pepper(engine, "two")


async def test_a_locked_database_is_called_so(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, with what to do; it is used again when the lock is gone."""
    monkeypatch.setattr(engine_module, "DATABASE_TIMEOUT", 0.1)
    impatient = build_engine(None, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnavailable, match="locked by another program"):
            await stored.add(impatient, KEY)
        other.execute("ROLLBACK")
    await stored.add(impatient, KEY)
    await impatient.dispose()


async def test_a_full_database_is_called_so(tmp_path: Path) -> None:
    """SQLite's own limit of pages gives the error that a full disk does."""
    engine = build_engine(None, tmp_path)
    await upgrade(engine, tmp_path)
    async with engine.connect() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar()
        await connection.execute(text(f"PRAGMA max_page_count={pages}"))
    lines = [line(str(number), model="m" * 128) for number in range(2000)]
    with pytest.raises(DatabaseUnavailable, match="disk of the database is full"):
        await usage.write_records(engine, lines)
    await engine.dispose()


async def test_a_file_that_is_no_database_is_called_so(tmp_path: Path) -> None:
    """With the fix; nothing of it is held on to, however often it is tried."""
    (tmp_path / DATABASE_FILE).write_bytes(b"no database " * 500)
    engine = build_engine(None, tmp_path)
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable, match="damaged or not a database"):
            await upgrade(engine, tmp_path)
    # A thread goes a moment after it has said so.
    await wait_until(lambda: threading.active_count() <= before)
    await engine.dispose()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite3.OperationalError("unable to open database file"), "can't be opened"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "can't be written"),
        (sqlite3.OperationalError("no such table: keys"), "lacks its tables"),
        (sqlite3.DatabaseError("database disk image is malformed"), "damaged"),
        (Exception('relation "keys" does not exist'), "lacks its tables"),
        (Exception('database "x" does not exist'), "no such database or role"),
        (Exception('password authentication failed for user "x"'), "refuses the password"),
        (Exception("permission denied for table keys"), "refuses this user"),
        (ConnectionRefusedError("127.0.0.1"), "does not answer"),
        (Exception("secret-word"), r"can't be used \(Exception\)"),
    ],
)
def test_each_fault_is_reported_with_its_fix(error: Exception, words: str) -> None:
    """In words of ours: a driver's may have an address, a user or a password in them."""
    said = describe_error(error)
    assert re.search(words, said)
    assert not re.search('127|secret|"x"', said)


async def test_a_newer_database_is_left_alone(engine: AsyncEngine, tmp_path: Path) -> None:
    """Its version is told, and nothing of it changes."""
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match="version 9999"):
        await upgrade(engine, tmp_path)
    assert await read_version(engine) == "9999"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "does not answer"),
        ("postgresql://nobody:secret-word@127.0.0.1:1/none", "does not answer"),
    ],
)
async def test_a_server_that_does_not_answer_is_called_so_without_its_address(
    url: str, words: str, tmp_path: Path
) -> None:
    """Nothing of an address, a user or a password is in a sentence."""
    engine = build_engine(url, tmp_path)
    with pytest.raises(DatabaseUnavailable, match=words) as raised:
        await read_version(engine)
    for secret in ("nobody", "secret-word", "127.0.0.1", "none"):
        assert secret not in str(raised.value)
    await engine.dispose()
