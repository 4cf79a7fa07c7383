"""What is around the chats: health, models, keys, errors, ids, and pages of other origins."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx2
import pytest

from tests.support.chat import CHAT_PATH, build_body, parse_error, parse_text, send_chat
from tests.support.scripted.upstream import Upstream
from tests.support.stack import API_KEY, Stack

ORIGIN = "https://page.example"


@pytest.fixture(scope="module")
async def browsed(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs that pages of one origin may call, and with names of their own for models."""
    settings = {
        "ENABLE_CORS": "true",
        "CORS_ORIGINS": ORIGIN,
        "MODEL_ALIASES": '{"my-model": "opus", "gpt-4o": "my-haiku", "my-haiku": "haiku"}',
        "DEFAULT_MODEL": "haiku",
    }
    async with Stack(shared_upstream.url, settings=settings) as stack:
        yield stack


# --- health


async def test_health_tells_what_the_server_is_made_of(stack: Stack):
    """Without a key, and without a path, an account or a prompt."""
    await stack.find_idle_cli()
    async with httpx2.AsyncClient(base_url=stack.url) as client:
        response = await client.get("/health")
    health = response.json()
    version = health.pop("cli_version")
    assert [part.isdigit() for part in version.split(".")] == [True] * 3
    assert (response.status_code, health) == (
        200,
        {
            "status": "ok",
            "claude_cli_found": True,
            "mode": "online",
            "default_model": "sonnet",
            "max_concurrent": 4,
            "executors": [
                {
                    "name": "claude-1",
                    "up": True,
                    "problem": "",
                    "max_concurrent": 4,
                    "running": 0,
                    "max_queue": 32,
                    "waiting": 0,
                    "idle_processes": 1,
                    "held_processes": 0,
                    "max_held": 2,
                }
            ],
            "tools": [],
            "problems": [],
        },
    )


@pytest.mark.parametrize(("path", "status"), [("/health/live", "live"), ("/health/ready", "ready")])
async def test_a_supervisor_needs_no_key(stack: Stack, path: str, status: str):
    """It asks whether the process lives, and whether it can answer."""
    async with httpx2.AsyncClient(base_url=stack.url) as client:
        response = await client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": status})


# --- keys


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": f"Bearer {API_KEY[:-1]}"}, {"authorization": b"Bearer \xff\xfe"}],
)
@pytest.mark.wire(40, 41)
async def test_without_the_key_the_answer_is_401(stack: Stack, headers: Mapping[str, Any]):
    """Missing or wrong, in one envelope, with the way to do it right."""
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers) as client:
        response = await client.post(CHAT_PATH, json=build_body("hi"))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = parse_error(response)
    assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")
    assert "Authorization: Bearer" in error["message"]


# --- errors


@pytest.mark.wire(20)
async def test_a_body_that_is_too_large_is_refused(stack: Stack, upstream: Upstream):
    """At 32 MiB, before it is read to its end."""
    response = await stack.client.post(CHAT_PATH, content=b'{"messages": "' + b"x" * (33 * 1024 * 1024) + b'"}')
    assert (response.status_code, parse_error(response)["code"]) == (413, "request_too_large")
    assert not upstream.requests


# --- ids


@pytest.mark.wire(43)
async def test_a_callers_id_is_kept(stack: Stack):
    """So that logs can be joined."""
    response = await send_chat(stack, headers={"x-request-id": "my-id.1_2"})
    assert response.headers["x-request-id"] == "my-id.1_2"
    assert "request_id=my-id.1_2" in stack.read_logs()


# --- models


async def test_each_listed_model_can_be_looked_up(stack: Stack):
    """By the very id that is listed, and by what a request may make of it."""
    for model in (await stack.client.get("/v1/models")).json()["data"]:
        assert (await stack.client.get(f"/v1/models/{model['id']}")).json() == model
    assert (await stack.client.get("/v1/models/SONNET")).json()["id"] == "sonnet"


@pytest.mark.parametrize(
    ("name", "family"),
    [("Opus", "opus"), ("gpt-3.5-turbo", "haiku"), (None, "sonnet")],
)
@pytest.mark.wire(19)
async def test_a_models_name_means_a_model(stack: Stack, upstream: Upstream, name: str | None, family: str):
    """What the service is asked for, and what the answer says it is from."""
    response = await send_chat(stack, model=name)
    model = upstream.requests[0].body["model"]
    assert family in model
    assert response.json()["model"] == model


async def test_a_full_id_is_passed_on(stack: Stack, upstream: Upstream):
    """The service knows best what it has; the CLI neither tries the model first nor puts a newer one in its place."""
    parse_text(await send_chat(stack, model="claude-from-the-future-9"))
    [received] = upstream.requests
    assert received.body["model"] == "claude-from-the-future-9"


@pytest.mark.parametrize(("name", "family"), [("gpt-4o", "haiku"), (None, "haiku")])
@pytest.mark.wire(19)
async def test_the_owners_names_come_first(browsed: Stack, upstream: Upstream, name: str | None, family: str):
    """MODEL_ALIASES overrides what is built in, and may name an alias; DEFAULT_MODEL is asked when none is named."""
    parse_text(await send_chat(browsed, model=name))
    assert family in upstream.requests[0].body["model"]


async def test_the_owners_names_are_listed(browsed: Stack):
    """As not Anthropic's."""
    model = (await browsed.client.get("/v1/models/my-model")).json()
    assert model == {"id": "my-model", "object": "model", "created": 0, "owned_by": "claude-api-server"}


# --- other origins


@pytest.mark.wire(45)
async def test_a_page_can_read_answers_and_errors(browsed: Stack, upstream: Upstream):
    """Also that its key is wrong, that there is nothing here, and that its request is refused."""
    page = {"origin": ORIGIN}
    responses = [
        await send_chat(browsed, headers=page),
        await send_chat(browsed, headers=page, stream=True),
        await send_chat(browsed, headers={**page, "authorization": "Bearer wrong"}),
        await send_chat(browsed, headers=page, n=200),
        await browsed.client.get("/nowhere", headers=page),
        await browsed.client.get("/health", headers=page),
    ]
    assert [response.status_code for response in responses] == [200, 200, 401, 400, 404, 200]
    for response in responses:
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "x-request-id" in response.headers["access-control-expose-headers"]


@pytest.mark.wire(45)
async def test_without_enable_cors_no_origin_gets_leave(stack: Stack):
    """The default."""
    response = await stack.client.get("/v1/models", headers={"origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]
