"""`claude-api-server doctor` on where keys, limits and the ledger are kept, and on what a running server says of it.

Invariants: looking makes nothing and changes nothing.
"""

import contextlib
import os
import socket
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec import structs

from cli.doctor import Finding, network, program_checks
from cli.doctor.program_checks import check_storage
from cli.up.readiness import ExecutorHealth, Health
from shared.checks import ApiCheck
from tests.deploy.test_doctor import SECRET, folder, here, of, one  # noqa: F401 # pyright: ignore[reportUnusedImport] # a fixture
from tests.integration.test_keys import POSTGRESQL, REDIS
from tests.support.stack import Stack, find_free_port


async def looked(folder: Path, **settings: str) -> list[Finding]:  # noqa: F811
    """What is found of the API in this folder."""
    return await program_checks.check_api(here(folder, **settings))


def facts(folder: Path) -> dict[str, tuple[int, int, int]]:  # noqa: F811
    """All that lies there: who has it, of what size, and when it was changed."""
    return {
        str(path): (each.st_uid, each.st_size, each.st_mtime_ns) for path in folder.rglob("*") for each in [path.stat()]
    }


async def test_addresses_at_which_nobody_answers_are_errors(folder: Path):  # noqa: F811
    """Of the database and of what counts limits; their passwords are not told."""
    database = f"postgresql://me:{SECRET}@127.0.0.1:{find_free_port()}/keys"
    found = await looked(
        folder, DATABASE_URL=database, RATE_LIMIT_URL=f"redis://:{SECRET}@127.0.0.1:{find_free_port()}/0"
    )
    assert "DATABASE_URL" in one(found, "database", "error", "does not answer").fix
    assert "fix the URL" in one(found, "limits", "error", "RATE_LIMIT_URL does not answer").fix
    assert SECRET not in str(found)


async def test_what_answers_is_well(folder: Path):  # noqa: F811
    """Where one answers; it is asked for no more than its version."""
    for port in (5432, 6379):
        try:
            socket.create_connection(("127.0.0.1", port), 3).close()
        except OSError:
            pytest.skip(f"nothing answers at 127.0.0.1:{port}")
    found = await looked(folder, DATABASE_URL=f"{POSTGRESQL}/postgres", RATE_LIMIT_URL=REDIS)
    one(found, "database", "ok", "The database of DATABASE_URL")
    one(found, "limits", "ok", "RATE_LIMIT_URL answers")


async def test_a_folder_that_can_t_be_used_is_an_error(folder: Path):  # noqa: F811
    """A file in its place, and a pepper that others may read."""
    (folder / "file").touch()
    found = await looked(folder, DATA_DIR=str(folder / "file"))
    assert "Set DATA_DIR" in one(found, "data", "error", "DATA_DIR can't be used (Not a directory)").fix
    assert of(found, "database") == []
    (folder / ".data").mkdir()
    (folder / ".data/pepper").write_text("0" * 64, encoding="ascii")
    (folder / ".data/pepper").chmod(0o644)
    one(await looked(folder), "data", "error", "could be read by others")


def database(folder: Path, version: str) -> Path:  # noqa: F811
    """A file with tables of a version; its connection is closed."""
    (folder / ".data").mkdir(mode=0o700)
    path = folder / ".data/server.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES (?)", [version])
        made.commit()
    return path


async def test_a_database_is_read_as_it_lies_there(folder: Path):  # noqa: F811
    """Its version is told; nothing is made beside it, which would be root's where root looks."""
    database(folder, "0001")
    before = facts(folder)
    one(await looked(folder), "database", "ok", "has version 0001")
    assert facts(folder) == before


async def test_what_is_no_database_or_too_new_is_an_error(folder: Path):  # noqa: F811
    """As the server would say it."""
    path = database(folder, "9999")
    one(await looked(folder), "database", "error", "is of version 9999")
    path.write_bytes(b"no database " * 1000)
    assert "backup" in one(await looked(folder), "database", "error", "is damaged or not a database").fix
    path.write_bytes(b"SQLite format 3\0" + b"no database " * 1000)
    one(await looked(folder), "database", "error", "damaged")


async def test_a_database_that_somebody_writes_to_is_left_alone(folder: Path):  # noqa: F811
    """What lies there may be between two states."""
    path = database(folder, "0001")
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("CREATE TABLE more (a)")
        before = facts(folder)
        one(await looked(folder), "database", "ok", "another program writes to it")
        assert facts(folder) == before


async def test_who_is_not_root_is_told_to_look_as_root(folder: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """At the folder of a service; what stands in the way of the look is no fault of the folder's."""
    (folder / ".data").mkdir(mode=0o700)
    server = structs.replace(here(folder), kind="systemd")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = list(
        check_storage(
            ApiCheck(data_problem="DATA_DIR can't be used (Permission denied). Set it.", data_dir_exists=True), server
        )
    )
    assert one(found, "data", "warning", "You can't read").fix == "Run the doctor as root."
    assert of(found, "database") == []


@pytest.fixture
async def without_database(folder: Path) -> AsyncGenerator[Stack]:  # noqa: F811
    """A server that runs, whose database does not answer."""
    url = f"postgresql://me@127.0.0.1:{find_free_port()}/keys"
    async with Stack(None, api_settings={"DATABASE_URL": url}, credential={}) as stack:
        yield stack


async def test_problems_of_a_running_server_are_reported_with_the_fix(folder: Path, without_database: Stack):  # noqa: F811
    """Its own words, and no hint at executors, with which all is well."""
    server = here(folder, PORT=str(without_database.port))
    one(await network.check_port(server), "port", "ok", "This server runs at")
    found = await network.check_running_server(server)
    assert "DATABASE_URL" in one(found, "running", "error", "The database does not answer").fix
    assert [each for each in found if "sockets" in each.fix] == []


def test_executors_that_a_running_server_can_t_use_are_named():
    """Of either role; one without any is down."""
    parts = (ExecutorHealth("claude-1", up=False), ExecutorHealth("claude-2"))
    state = Health("degraded", executors=parts, tools=(ExecutorHealth("tools-1", up=False),))
    assert "`sockets`" in one(network.interpret_health(state), "running", "warning", "can't use claude-1, tools-1").fix
    one(network.interpret_health(Health("down")), "running", "error", "no executor")
    one(network.interpret_health(Health("draining")), "running", "ok", "draining")
    one(network.interpret_health(None), "running", "warning", "does not report its health")
