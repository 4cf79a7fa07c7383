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
    await stack.wait_until_idle()
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
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {API_KEY}x"},
        {"authorization": f"Bearer {API_KEY[:-1]}"},
        {"authorization": f"Basic {API_KEY}"},
        {"authorization": API_KEY},
        {"x-api-key": "wrong"},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", [CHAT_PATH, "/v1/models", "/v1/models/sonnet"])
@pytest.mark.wire(40, 41)
async def test_without_the_key_the_answer_is_401(stack: Stack, headers: Mapping[str, Any], path: str):
    """Missing or wrong, in one envelope, with the way to do it right."""
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers) as client:
        response = await client.post(path, json=build_body("hi")) if path == CHAT_PATH else await client.get(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = parse_error(response)
    assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")
    assert "Authorization: Bearer" in error["message"]


@pytest.mark.parametrize("headers", [{"authorization": f"bearer {API_KEY}"}, {"x-api-key": API_KEY}])
async def test_the_key_may_come_in_either_form(stack: Stack, headers: dict[str, str]):
    """The scheme's case means nothing (RFC 9110 §11.1); Anthropic's header is taken too."""
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers) as client:
        assert (await client.get("/v1/models")).status_code == 200


# --- errors


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/embeddings", 404, "not_supported"),
        ("POST", "/v1/responses/compact", 404, "not_supported"),
        ("POST", "/v1/conversations", 404, "not_supported"),
        ("GET", CHAT_PATH, 405, "method_not_allowed"),
        ("PUT", CHAT_PATH, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/sonnet", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
    ],
)
@pytest.mark.wire(40, 46)
async def test_an_address_or_a_method_that_is_not_there_is_told_in_the_envelope(
    stack: Stack, method: str, path: str, status: int, code: str
):
    """The framework's own errors too; where there is an address, its methods are named."""
    response = await stack.client.request(method, path)
    assert (response.status_code, parse_error(response)["code"]) == (status, code)
    methods = {CHAT_PATH: "OPTIONS, POST"} | dict.fromkeys(
        ["/v1/models", "/v1/models/sonnet", "/health"], "GET, OPTIONS"
    )
    assert response.headers.get("allow") == methods.get(path)


@pytest.mark.parametrize("content", [b"", b"{", b"not json", b'{"messages": [}', b"\xff\xfe", b'{"messages": "\xff"}'])
@pytest.mark.wire(20)
async def test_what_is_no_json_is_told_so(stack: Stack, upstream: Upstream, content: bytes):
    """400, and nobody is asked."""
    response = await stack.client.post(CHAT_PATH, content=content)
    assert (response.status_code, parse_error(response)["code"]) == (400, "invalid_json")
    assert not upstream.requests


@pytest.mark.parametrize(
    ("request_body", "param"),
    [
        ({}, "messages"),
        ([], None),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "   "}]}, "messages"),
        ({"messages": [{"role": "system", "content": " "}]}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        (build_body([{"role": "user", "content": [{"type": "hologram"}]}]), "messages[0].content[0].type"),
        (build_body([{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text"),
        (build_body("hi", max_tokens=0), "max_tokens"),
        (build_body("hi", max_completion_tokens=-1), "max_completion_tokens"),
        (build_body("hi", max_tokens="many"), "max_tokens"),
        (build_body("hi", stream="yes"), "stream"),
        (build_body("hi", stream_options={"include_usage": True}), "stream_options"),
        (build_body("hi", n=200), "n"),
        (build_body("hi", logit_bias={"50256": -100}), "logit_bias"),
    ],
)
async def test_a_request_that_cannot_be_honoured_names_the_field(
    stack: Stack, upstream: Upstream, request_body: Any, param: str | None
):
    """Refused, not ignored; and nobody is asked."""
    response = await stack.client.post(CHAT_PATH, json=request_body)
    error = parse_error(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert not upstream.requests


@pytest.mark.wire(20)
async def test_a_body_that_is_too_large_is_refused(stack: Stack, upstream: Upstream):
    """At 32 MiB, before it is read to its end."""
    response = await stack.client.post(CHAT_PATH, content=b'{"messages": "' + b"x" * (33 * 1024 * 1024) + b'"}')
    assert (response.status_code, parse_error(response)["code"]) == (413, "request_too_large")
    assert not upstream.requests


@pytest.mark.wire(16)
async def test_what_is_ignored_is_named_in_a_header(stack: Stack, upstream: Upstream):
    """A field that changes nothing of the answer is no reason to refuse."""
    response = await send_chat(stack, temperature=0.3, seed=7, user="me")
    assert parse_text(response) == "Hello world!"
    assert response.headers["x-ignored-parameters"] == "temperature, seed"


# --- ids


@pytest.mark.wire(43)
async def test_every_response_has_an_id_of_its_own(stack: Stack):
    """Errors and health too."""
    responses = [await stack.client.get(path) for path in ("/health", "/nowhere", "/v1/models", "/v1/models")]
    ids = [response.headers["x-request-id"] for response in responses]
    assert len(set(ids)) == 4
    assert all(name.startswith("req_") for name in ids)


@pytest.mark.wire(43)
async def test_a_callers_id_is_kept(stack: Stack):
    """So that logs can be joined."""
    response = await send_chat(stack, headers={"x-request-id": "my-id.1_2"})
    assert response.headers["x-request-id"] == "my-id.1_2"
    assert "request_id=my-id.1_2" in stack.read_logs()


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb"])
@pytest.mark.wire(43)
async def test_an_id_that_is_not_sane_is_replaced(stack: Stack, given: str):
    """It would go into logs and headers."""
    response = await stack.client.get("/health/live", headers={"x-request-id": given})
    assert response.headers["x-request-id"].startswith("req_")


# --- models


async def test_every_name_that_may_be_used_is_listed(stack: Stack):
    """The CLI's own names, what they mean today, and other vendors' names."""
    models = (await stack.client.get("/v1/models")).json()
    assert models["object"] == "list"
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in models["data"])
    ids = [model["id"] for model in models["data"]]
    assert len(ids) == len(set(ids))
    assert {"haiku", "sonnet", "opus", "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo"} <= set(ids)
    assert [name for name in ids if name.startswith("claude-")]


async def test_each_listed_model_can_be_looked_up(stack: Stack):
    """By the very id that is listed, and by what a request may make of it."""
    for model in (await stack.client.get("/v1/models")).json()["data"]:
        assert (await stack.client.get(f"/v1/models/{model['id']}")).json() == model
    assert (await stack.client.get("/v1/models/SONNET")).json()["id"] == "sonnet"


@pytest.mark.parametrize("name", ["no-such-model", "gpt-5", "default", "claude"])
@pytest.mark.wire(19)
async def test_a_model_that_is_not_there_is_404(stack: Stack, upstream: Upstream, name: str):
    """Asked for or looked up."""
    for response in (await send_chat(stack, model=name), await send_chat(stack, model=name, stream=True)):
        error = parse_error(response)
        assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert name in error["message"]
    looked_up = await stack.client.get(f"/v1/models/{name}")
    assert (looked_up.status_code, parse_error(looked_up)["code"]) == (404, "model_not_found")
    assert not upstream.requests


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("haiku", "haiku"),
        ("sonnet", "sonnet"),
        ("opus", "opus"),
        ("Opus", "opus"),
        ("gpt-4o", "opus"),
        ("gpt-4o-mini", "sonnet"),
        ("gpt-3.5-turbo", "haiku"),
        (None, "sonnet"),
    ],
)
@pytest.mark.wire(19)
async def test_a_models_name_means_a_model(stack: Stack, upstream: Upstream, name: str | None, family: str):
    """What the service is asked for, and what the answer says it is from."""
    response = await send_chat(stack, model=name)
    asked = upstream.requests[0].body["model"]
    assert family in asked
    assert response.json()["model"] == asked


@pytest.mark.parametrize("name", ["claude-opus-4-1-20250805", "claude-from-the-future-9"])
async def test_a_full_id_is_passed_on(stack: Stack, upstream: Upstream, name: str):
    """The service knows best what it has; the CLI neither tries the model first nor puts a newer one in its place."""
    parse_text(await send_chat(stack, model=name))
    [received] = upstream.requests
    assert received.body["model"] == name


@pytest.mark.parametrize(
    ("name", "family"), [("my-model", "opus"), ("gpt-4o", "haiku"), ("gpt-4o-mini", "sonnet"), (None, "haiku")]
)
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
async def test_a_page_of_an_allowed_origin_may_ask_before_it_has_a_key(browsed: Stack):
    """A browser's question in advance carries no key."""
    async with httpx2.AsyncClient(base_url=browsed.url) as client:
        response = await client.options(
            CHAT_PATH,
            headers={
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type,x-stainless-lang",
            },
        )
    assert response.status_code in {200, 204}
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower()
    assert "*" in allowed or "authorization" in allowed
    assert "access-control-allow-credentials" not in response.headers


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
async def test_a_page_of_another_origin_gets_no_leave(browsed: Stack):
    """Its browser keeps the answer from it."""
    response = await browsed.client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert response.headers.get("access-control-allow-origin") in {None, ORIGIN}


@pytest.mark.wire(45)
async def test_without_enable_cors_no_origin_gets_leave(stack: Stack):
    """The default."""
    response = await stack.client.get("/v1/models", headers={"origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]
