"""Named keys, limits and the ledger, over the real programs; two APIs over a real PostgreSQL and a real Redis."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import uuid
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from api.admin.decode import build_key, merge_query, parse_fields, parse_usage_query
from api.core.problems import Problem
from api.database import usage
from api.database.engine import build_engine, upgrade
from api.database.ledger_record import LedgerRecord
from tests.support.chat import CHAT_PATH, build_body
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

POSTGRESQL = "postgresql://root@127.0.0.1:5432"
REDIS = "redis://127.0.0.1:6379/9"


async def made(stack: Stack, name: str, **fields: Any) -> dict[str, str]:
    """A new key, as the headers that send it."""
    response = await stack.client.post("/api/admin/keys", json={"name": name, "scopes": ["chat"], **fields})
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


async def chat(stack: Stack, key: dict[str, str]) -> httpx2.Response:
    return await stack.client.post(CHAT_PATH, json=build_body("hi"), headers=key)


async def totals(stack: Stack, **query: str) -> dict[str, Any]:
    response = await stack.client.get("/api/usage", params=query)
    assert response.status_code == 200, response.text
    return response.json()["totals"]


@contextlib.asynccontextmanager
async def bare(**settings: str) -> AsyncGenerator[Stack]:
    """An API without executors: its jobs fail at once, which is enough for limits and lines."""
    async with Stack(None, executors=0, api_settings=settings) as stack:
        yield stack


async def test_a_key_opens_what_its_scopes_say_and_nothing_else(api_without_executors: Stack):
    """The owner's token opens all; a refusal names the scope; a key is told once and never again."""
    key = await made(api_without_executors, "scoped")
    assert (await chat(api_without_executors, key)).status_code == 503
    refused = await api_without_executors.client.get("/api/usage", headers=key)
    assert refused.status_code == 403
    assert "`admin`" in refused.json()["detail"]
    listed = (await api_without_executors.client.get("/api/admin/keys")).text
    assert key["authorization"].removeprefix("Bearer ") not in listed
    stored = b"".join(
        path.read_bytes() for path in (api_without_executors.folder / "data").rglob("*") if path.is_file()
    )
    assert key["authorization"].removeprefix("Bearer ").encode() not in stored
    assert (api_without_executors.folder / "data").stat().st_mode & 0o777 == 0o700
    assert (api_without_executors.folder / "data" / "pepper").stat().st_mode & 0o777 == 0o600


async def test_disabled_rotated_and_removed_keys_are_shut_out_at_once(api_without_executors: Stack):
    """Each with words that say which it is, where the key is still known."""
    key = await made(api_without_executors, "changing")
    await api_without_executors.client.patch("/api/admin/keys/changing", json={"disabled": True})
    assert (await chat(api_without_executors, key)).json()["error"]["code"] == "key_disabled"
    await api_without_executors.client.patch("/api/admin/keys/changing", json={"disabled": False})
    assert (await chat(api_without_executors, key)).status_code == 503
    rotated = await api_without_executors.client.post("/api/admin/keys/changing/rotate")
    assert (await chat(api_without_executors, key)).json()["error"]["code"] == "invalid_api_key"
    key = {"authorization": f"Bearer {rotated.json()['key']}"}
    assert (await chat(api_without_executors, key)).status_code == 503
    assert (await api_without_executors.client.delete("/api/admin/keys/changing")).status_code == 204
    assert (await chat(api_without_executors, key)).status_code == 401
    assert (await api_without_executors.client.delete("/api/admin/keys/changing")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "x", "scopes": ["chat", "fly"]}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "owner", "scopes": ["chat"]}, "name"),
        ({"name": "a b", "scopes": ["chat"]}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": ["chat"], "usd_per_day": -1}, "usd_per_day"),
        ({"name": "x", "scopes": ["chat"], "requests_per_minute": 1.5}, "requests_per_minute"),
        ({"name": "x", "scopes": ["chat"], "expires_at": "2020-01-01"}, "expires_at"),
        ({"name": "x", "scopes": ["chat"], "expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at"),
        ({"name": "x", "scopes": ["chat"], "speed": 1}, "speed"),
    ],
)
def test_what_can_t_be_said_of_a_key_is_refused_by_its_field(fields: dict[str, Any], field: str):
    """With the field's name, for programs and in the sentence."""
    with pytest.raises(Problem) as refusal:
        build_key(parse_fields(msgspec.json.encode(fields), name=True), 1.7e9)
    assert refusal.value.param == field
    assert f"`{field}`" in refusal.value.message


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=speed", "by"),
        ("since=yesterday", "since"),
        ("since=1969-12-31", "since"),
        ("until=9999-12-31T23:59:59-23:00", "until"),
        ("since=2026-02-01&until=2026-01-01", "since"),
        ("key=%00", "key"),
        ("key=a&key=b", "key"),
        ("format=xml", "format"),
        ("speed=1", "speed"),
    ],
)
def test_what_can_t_be_asked_of_usage_is_refused_by_its_field(query: str, field: str):
    """Whatever the database would make of it."""
    with pytest.raises(Problem) as refusal:
        parse_usage_query(merge_query(parse_qsl(query)), 1.7e9)
    assert (refusal.value.status, refusal.value.param) == (400, field)
    assert f"`{field}`" in refusal.value.message
    assert parse_usage_query(merge_query(parse_qsl("by=key&by=model")), 1.7e9).by == ("key", "model")


@pytest.mark.parametrize("name", ["%00", "a%20b", "x" * 65, "none"])
async def test_a_name_that_no_key_has_is_not_found(stack: Stack, name: str):
    """Though no key could have it."""
    for method in ("GET", "PATCH", "DELETE"):
        response = await stack.client.request(method, f"/api/admin/keys/{name}", json={})
        assert (response.status_code, response.json()["code"]) == (404, "key_not_found")


async def test_a_taken_name_is_a_409(api_without_executors: Stack):
    """And the key that has it stays as it is."""
    key = await made(api_without_executors, "taken")
    response = await api_without_executors.client.post("/api/admin/keys", json={"name": "taken", "scopes": ["chat"]})
    assert response.status_code == 409
    assert (await chat(api_without_executors, key)).status_code == 503


async def test_requests_beyond_the_minute_are_refused_with_what_the_sdks_read(api_without_executors: Stack):
    """429 with Retry-After and x-ratelimit headers; another key is not touched."""
    key, other = (
        await made(api_without_executors, "minute", requests_per_minute=1),
        await made(api_without_executors, "free"),
    )
    first = await chat(api_without_executors, key)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    refused = await chat(api_without_executors, key)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    assert (await chat(api_without_executors, other)).status_code == 503


async def test_every_job_has_a_line_with_its_tokens_and_nothing_of_its_words(stack: Stack, upstream: Upstream):
    """By key and model; the budget of a key counts it at once; a table is CSV."""
    upstream.script(AnswerReply(("marmalade",)))
    name = f"n{uuid.uuid4().hex[:8]}"
    key = await made(stack, name, tokens_per_day=1)
    assert (await chat(stack, key)).status_code == 200
    refused = await chat(stack, key)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    # What would be answered later is refused now.
    later = await stack.client.post("/v1/responses", json={"input": "hi", "background": True}, headers=key)
    assert (later.status_code, later.json()["error"]["code"]) == (429, "insufficient_quota")

    async def written() -> bool:
        return (await totals(stack, key=name))["jobs"] == 1

    await wait_until(written)
    found = await totals(stack, key=name)
    assert found["output_tokens"] > 0
    assert found["failed_jobs"] == 0
    table = await stack.client.get(
        "/api/usage", params={"by": "key,dialect", "key": name}, headers={"accept": "text/csv"}
    )
    assert table.text.startswith("key,dialect,jobs,")
    assert f"{name},chat,1," in table.text
    for path in (stack.folder / "data").rglob("*"):
        assert not path.is_file() or b"marmalade" not in path.read_bytes()
    me = (await stack.client.get("/api/usage/me", headers=key)).json()
    assert [(limit["name"], limit["remaining"]) for limit in me["limits"]] == [("tokens_per_day", 0)]
    await stack.client.delete(f"/api/admin/keys/{name}")


async def test_long_jobs_of_one_key_keep_no_other_out(upstream: Upstream):
    """However many it sends: a small job of another is answered beside them."""

    def answer(received: ReceivedRequest) -> AnswerReply | StalledReply:
        return StalledReply() if "long" in str(received.conversation[-1]) else AnswerReply("Small.")

    upstream.script(answer)
    async with Stack(upstream.url, settings={"MAX_CONCURRENT": "2"}) as stack:
        busy, other = await made(stack, "busy"), await made(stack, "other")
        post = partial(stack.client.post, CHAT_PATH)
        long = [asyncio.create_task(post(json=build_body("long"), headers=busy)) for _ in range(5)]
        await upstream.wait_until(lambda: len(upstream.held) == 1)
        assert (await post(json=build_body("small"), headers=other)).json()["choices"][0]["message"][
            "content"
        ] == "Small."
        assert len(upstream.held) == 1
        for task in long:
            task.cancel()
        await asyncio.gather(*long, return_exceptions=True)


async def test_a_key_may_name_only_its_models(stack: Stack, upstream: Upstream):
    """By any name of theirs; the list shows no others."""
    name = f"n{uuid.uuid4().hex[:8]}"
    key = await made(stack, name, models=["haiku"])
    refused = await chat(stack, key)
    assert refused.status_code == 404
    assert "haiku" in refused.json()["error"]["message"]
    shown = {model["id"] for model in (await stack.client.get("/v1/models", headers=key)).json()["data"]}
    assert {"haiku", "gpt-3.5-turbo"} <= shown
    assert not shown & {"sonnet", "opus"}
    await stack.client.delete(f"/api/admin/keys/{name}")


async def test_no_line_is_lost_when_the_api_is_killed():
    """Whatever was not in the database yet is there after the next start, once."""
    async with bare() as stack:
        key = await made(stack, "one")
        await asyncio.gather(*(chat(stack, key) for _ in range(20)))
        stack.api.send_signal(signal.SIGKILL)
        await stack.api.wait_for_exit()
        await stack.api.start()
        await wait_until(stack.fetch_health)
        assert (await totals(stack))["jobs"] == 20
        assert list((stack.folder / "data" / "journal").glob("*.journal")) == []


async def test_without_its_database_chat_works_and_health_says_why():
    """The owner is served; requests that need the database get a 503 with the reason."""
    stack = Stack(None, executors=0)
    (stack.folder / "data").mkdir(mode=0o700)
    (stack.folder / "data" / "server.db").write_bytes(b"no database " * 1000)
    async with stack:
        health = await stack.fetch_health()
        assert health
        assert "damaged" in health["problems"][0]
        response = await stack.client.get("/api/admin/keys")
        assert response.status_code == 503
        assert "damaged" in response.json()["detail"]
        assert (await chat(stack, stack.headers)).json()["error"]["code"] == "no_executor"
        assert (await chat(stack, {"authorization": "Bearer sk-cas-unknown"})).status_code == 503


async def test_a_database_that_is_locked_later_stops_no_chat():
    """Keys that were read hold, changes wait for nobody's good will, and lines are there when the lock is gone."""
    async with bare() as stack:
        key = await made(stack, "one")
        database = sqlite3.connect(stack.folder / "data" / "server.db", isolation_level=None)
        with contextlib.closing(database):
            database.execute("BEGIN IMMEDIATE")
            assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
            refused = await stack.client.patch("/api/admin/keys/one", json={"disabled": True})
            assert refused.status_code == 503
            assert refused.json()["code"] == "database_unavailable"
            assert "locked by another program" in refused.json()["detail"]

            async def has_problem() -> bool:
                health = await stack.fetch_health()
                return bool(health and any("locked" in problem for problem in health["problems"]))

            await wait_until(has_problem)
            assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
            database.execute("ROLLBACK")

        async def well() -> bool:
            health = await stack.fetch_health()
            return health is not None and health["problems"] == [] and (await totals(stack))["jobs"] == 2

        await wait_until(well)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user can't mount a small disk")
    yield folder
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_stops_no_chat(small_disk: Path):
    """Health reports the full disk with the fix; keys stay valid; when there is space again, no record is missing."""
    async with bare(DATA_DIR=str(small_disk / "data")) as stack:
        key = await made(stack, "one")
        assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        # What is reserved already is used up by these.
        for _ in range(100):
            assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
        refused = await stack.client.post("/api/admin/keys", json={"name": "x" * 64, "scopes": ["chat"]})
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert "Free disk space" in refused.json()["detail"]

        async def has_problem() -> bool:
            health = await stack.fetch_health()
            return bool(health and any("Free disk space" in problem for problem in health["problems"]))

        await wait_until(has_problem)
        assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
        filler.unlink()

        async def well() -> bool:
            health = await stack.fetch_health()
            return health is not None and health["problems"] == [] and (await totals(stack))["jobs"] == 102

        await wait_until(well)


async def test_a_database_that_goes_missing_is_not_taken_for_an_empty_one():
    """The keys that were read hold; when its file is put back, all is as it was."""
    async with bare() as stack:
        key = await made(stack, "one")
        file, away = stack.folder / "data" / "server.db", stack.folder / "away.db"

        file.rename(away)

        async def has_problem() -> bool:
            health = await stack.fetch_health()
            return bool(health and any("missing from DATA_DIR" in problem for problem in health["problems"]))

        await wait_until(has_problem)
        assert not file.exists()
        assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"
        refused = await stack.client.get("/api/admin/keys")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert "missing from DATA_DIR" in refused.json()["detail"]
        away.rename(file)

        async def well() -> bool:
            health = await stack.fetch_health()
            return health is not None and health["problems"] == [] and (await totals(stack))["jobs"] == 1

        await wait_until(well)
        assert [each["name"] for each in (await stack.client.get("/api/admin/keys")).json()["data"]] == ["one"]
        assert (await chat(stack, key)).json()["error"]["code"] == "no_executor"


@pytest.fixture
async def shared() -> AsyncGenerator[dict[str, str]]:
    """Settings of a database of this test's own, and of a Redis that others may use at the same time.

    There every key's name has the id of a key of this test's in it, and ends by itself within two minutes: to remove what
    looks alike would take away what another run counts.
    """
    name = f"cas_{uuid.uuid4().hex[:12]}"
    try:
        admin = await asyncpg.connect(f"{POSTGRESQL}/postgres", timeout=TEST_TIMEOUT)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
    redis = Redis.from_url(REDIS)
    try:
        await redis.ping()
    except Exception:  # noqa: BLE001 # whatever it is, there is none
        await admin.close()
        await redis.aclose()
        pytest.skip("no Redis answers at 127.0.0.1:6379")
    await admin.execute(f"CREATE DATABASE {name}")
    yield {
        "DATABASE_URL": f"{POSTGRESQL}/{name}",
        "RATE_LIMIT_URL": REDIS,
        "KEY_PEPPER": os.urandom(16).hex(),
    }
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
    await redis.aclose()


async def test_two_apis_share_keys_limits_and_the_ledger(shared: dict[str, str]):
    """A key made by one opens the other within a second; a minute's requests count at both; both see all lines."""
    async with bare(**shared) as one, bare(**shared) as two:
        key = await made(one, f"n{uuid.uuid4().hex[:8]}", requests_per_minute=3)

        async def known() -> bool:
            return (await two.client.get("/v1/models", headers=key)).status_code == 200

        await wait_until(known)

        async def shut() -> bool:
            return (await two.client.get("/v1/models", headers=key)).status_code == 401

        [name] = [each["name"] for each in (await one.client.get("/api/admin/keys")).json()["data"]]
        await one.client.patch(f"/api/admin/keys/{name}", json={"disabled": True})
        await wait_until(shut)
        await one.client.patch(f"/api/admin/keys/{name}", json={"disabled": False})
        await wait_until(known)
        statuses = [(await chat(stack, key)).status_code for stack in (one, two, one, two, one)]
        # Were it so, each would have counted by itself.
        assert not any("limits are not shared" in stack.api.log.read_text() for stack in (one, two))
        assert statuses == [503, 503, 503, 429, 429]
        for stack in (one, two):

            async def written(stack: Stack = stack) -> bool:
                return (await totals(stack))["jobs"] == 3

            await wait_until(written)
            health = await stack.fetch_health()
            assert health
            assert health["problems"] == []


async def test_a_line_that_the_database_does_not_take_keeps_no_other_out(shared: dict[str, str], tmp_path: Path):
    """Of a batch all else is written; a model's name with characters that PostgreSQL has not is written without them."""
    engine = build_engine(shared["DATABASE_URL"], tmp_path)
    await upgrade(engine, tmp_path)
    names = ["one", "two", "k" * 500, "four", "five"]
    lines = [LedgerRecord(str(at), 1.7e9, name, "chat", "claude-\0\ud800x") for at, name in enumerate(names)]
    assert await usage.write_records(engine, lines) == 1
    assert await usage.write_records(engine, lines) == 1
    rows = await usage.sum_usage(engine, usage.UsageQuery(("key", "model"), 1.6e9, 1.8e9))
    assert {row["key"]: row["jobs"] for row in rows} == {"one": 1, "two": 1, "four": 1, "five": 1}
    assert {row["model"] for row in rows} == {"claude-\ufffd?x"}
    await engine.dispose()


async def test_hosts_with_different_peppers_are_told(shared: dict[str, str]):
    """Their keys would not be valid at the other host."""
    async with bare(**shared), bare(**{**shared, "KEY_PEPPER": os.urandom(16).hex()}) as other:
        health = await other.fetch_health()
        assert health
        assert "another pepper" in health["problems"][0]


async def test_a_redis_that_does_not_answer_stops_nothing():
    """Limits are counted by the process itself, and health says so."""
    async with bare(RATE_LIMIT_URL="redis://127.0.0.1:1/0") as stack:
        key = await made(stack, "one", requests_per_minute=1)
        assert [(await chat(stack, key)).status_code for _ in range(2)] == [503, 429]
        health = await stack.fetch_health()
        assert health
        assert "RATE_LIMIT_URL" in health["problems"][0]
