"""`claude-api-server keys` and `db`, as processes of their own, on a running server."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cli import StartupError
from cli.running_server import find_server
from cli.up.token_file import load_or_create_token
from tests.support.stack import REPOSITORY, Stack


@pytest.fixture(scope="module")
async def api() -> AsyncGenerator[Stack]:
    """An API without executors. Each test removes the keys that it makes."""
    async with Stack(None, executors=0) as stack:
        yield stack


async def command(
    stack: Stack | None, *arguments: str, folder: Path = REPOSITORY, **settings: str
) -> tuple[int, str, str]:
    """Run a command of the server's owner; how it ended, and what it wrote."""
    own = {"API_SECRET_TOKEN": stack.key, "PORT": str(stack.port)} if stack else {}
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "200", "PYTHONWARNINGS": "error", **own, **settings}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=environment,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_keys_are_made_listed_renewed_shut_out_and_removed(api: Stack):
    """What is printed as JSON is what the server answers; a table shows no key but the new one."""
    status, out, err = await command(
        *(api, "keys", "add", "notes", "--scope", "chat", "--scope", "files", "--model", "haiku"),
        *("--expires", "2099-01-31", "--limit", "requests_per_minute=5", "--limit", "usd_per_day=1.5", "--json"),
    )
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert made["scopes"] == ["chat", "files"]
    assert (made["models"], made["expires_at"]) == (["haiku"], "2099-01-31T00:00:00Z")
    assert (made["requests_per_minute"], made["usd_per_day"], made["tokens_per_day"]) == (5, 1.5, None)
    mine = {"authorization": f"Bearer {made['key']}"}
    assert (await api.client.get("/api/usage/me", headers=mine)).json()["key"] == "notes"

    _, out, _ = await command(api, "keys", "list")
    for shown in (
        "notes",
        "chat files",
        "haiku",
        "2099-01-31",
        "enabled",
        "requests_per_minute=5",
        "usd_per_day=1.5",
    ):
        assert shown in out
    assert made["key"] not in out

    _, out, _ = await command(api, "keys", "rotate", "notes")
    renewed = out.strip().splitlines()[-1]
    assert renewed.startswith("sk-cas-")
    assert (await api.client.get("/api/usage/me", headers=mine)).status_code == 401
    mine = {"authorization": f"Bearer {renewed}"}
    assert (await api.client.get("/api/usage/me", headers=mine)).status_code == 200

    assert json.loads((await command(api, "keys", "disable", "notes", "--json"))[1])["disabled"] is True
    assert (await api.client.get("/api/usage/me", headers=mine)).json()["code"] == "key_disabled"
    assert "enabled" in (await command(api, "keys", "enable", "notes"))[1]
    assert (await api.client.get("/api/usage/me", headers=mine)).status_code == 200

    assert (await command(api, "keys", "rm", "notes"))[:2] == (0, "notes is removed.\n")
    assert json.loads((await command(api, "keys", "list", "--json"))[1]) == {"data": []}
    assert (await api.client.get("/api/usage/me", headers=mine)).status_code == 401


async def test_a_narrow_terminal_shows_every_value_whole(api: Stack):
    """Numbers in full; what does not fit into a column goes on below."""
    limits = {"tokens_per_day": "1234567", "tokens_per_month": "98765432109", "usd_per_day": "0.00005"}
    given = [word for name, value in limits.items() for word in ("--limit", f"{name}={value}")]
    name, expires = "a-name-that-is-quite-long", "2099-01-31T00:00:00Z"
    _, out, _ = await command(
        *(api, "keys", "add", name, "--scope", "chat", "--scope", "metrics", "--model", "claude-sonnet-5"),
        *("--expires", expires, *given),
        COLUMNS="80",
    )
    for shown in (out, (await command(api, "keys", "list", COLUMNS="80"))[1]):
        lines = [line for line in shown.splitlines() if line.startswith("│")]
        assert {len(line) for line in lines} == {80}
        assert "…" not in shown
        columns = zip(*([cell.strip() for cell in line.strip("│").split("│")] for line in lines), strict=True)
        cells = ["".join(cell) for cell in columns]
        wanted = "".join(f"{name}={value}" for name, value in limits.items())
        assert cells[:5] == [name, "chatmetrics", "claude-sonnet-5", expires, "enabled"]
        assert sorted(cells[5]) == sorted(wanted)
        assert all(f"{name}={value}" in cells[5] for name, value in limits.items())
    await api.client.delete("/api/admin/keys/a-name-that-is-quite-long")


async def test_in_the_api_s_image_the_commands_find_the_key_among_the_secrets(api: Stack, tmp_path: Path):
    """By what is copied into that image, and nothing else of the checkout."""
    dockerfile = (REPOSITORY / "deploy/compose/Dockerfile").read_text(encoding="utf-8")
    for name in re.findall(r"^COPY ((?:shared|api|deploy/\S+)(?: \S+)*) \S+$", dockerfile, re.MULTILINE):
        for part in name.split():
            place = tmp_path / "image" / part
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
            copy(REPOSITORY / part, place)
    (tmp_path / "API_SECRET_TOKEN").write_text(api.key + "\n", encoding="ascii")
    given = {"PORT": str(api.port), "HOST": "0.0.0.0", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    done = await command(None, "keys", "list", "--json", folder=tmp_path / "image", **given)
    assert done == (0, '{\n  "data": []\n}\n', "")


def test_under_systemd_root_s_key_is_that_of_the_units(tmp_path: Path):
    """Unless one is set, or a start made one here. Who may not read it is told."""
    units = tmp_path / "api-secret-token"
    with pytest.raises(StartupError, match="as root"):
        find_server({}, tmp_path, None, units)
    units.write_text("of-the-units-0f1e2d3c\n", encoding="ascii")
    assert find_server({}, tmp_path, None, units).key == "of-the-units-0f1e2d3c"
    assert find_server({"API_SECRET_TOKEN": "set"}, tmp_path, None, units).key == "set"
    (tmp_path / ".run").mkdir()
    made = load_or_create_token(tmp_path / ".run/api-token").value
    assert find_server({}, tmp_path, None, units).key == made


REFUSED = (
    (("add", "x", "--scope", "fly"), "`scopes` must be"),
    (("add", "x", "--scope", "chat", "--limit", "speed=1"), "unknown limit 'speed'"),
    (("add", "x", "--scope", "chat", "--limit", "usd_per_day=nan"), "usd_per_day needs a number"),
    (("add", "taken", "--scope", "chat"), "There is a key `taken` already"),
    (("rm", "none"), "There is no key `none`"),
)


async def test_what_can_t_be_done_is_said_in_the_server_s_words(api: Stack):
    """On stderr, with a status that scripts see."""
    await api.client.post("/api/admin/keys", json={"name": "taken", "scopes": ["chat"]})
    for arguments, words in REFUSED:
        status, out, err = await command(api, "keys", *arguments)
        assert status in {1, 2}
        assert out == ""
        assert words in err
    await api.client.delete("/api/admin/keys/taken")


async def test_without_a_server_or_its_key_the_error_names_the_fix(tmp_path: Path):
    """No trace of the program's inside; help needs neither."""
    status, _, err = await command(None, "keys", "list", RUN_DIR=str(tmp_path))
    assert status == 1
    assert "set API_SECRET_TOKEN" in err
    status, _, err = await command(None, "keys", "--url", "http://127.0.0.1:1", "list", API_SECRET_TOKEN="x")
    assert status == 1
    assert "No server answers at http://127.0.0.1:1" in err
    status, out, _ = await command(None, "keys", "add", "--help", RUN_DIR=str(tmp_path))
    assert status == 0
    assert "--scope" in out


async def test_the_database_can_be_upgraded_without_a_server(tmp_path: Path):
    """It is created if there is none, and refused when it is newer."""
    data = tmp_path / "data"
    assert await command(None, "db", "upgrade", DATA_DIR=str(data)) == (
        *(0, "The database is of version 0001; before: none.\n", ""),
    )
    with contextlib.closing(sqlite3.connect(data / "server.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    status, _, err = await command(None, "db", "upgrade", DATA_DIR=str(data))
    assert status == 1
    assert "version 9999" in err
    status, _, err = await command(None, "db", "upgrade", DATA_DIR="/proc/none")
    assert status == 1
    assert "DATA_DIR can't be used" in err
