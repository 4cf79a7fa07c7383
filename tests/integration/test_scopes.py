"""Every route requires a declared scope, and a key without it gets an error in the envelope of the API."""

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from api.app import create_app
from api.auth.middleware import PUBLIC
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE, SCOPES
from api.http.drain import Drain
from api.settings import Settings
from tests.support.chat import build_body
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import API_KEY, Stack, wait_until

# Each path and the scope it takes; what is not here needs no key.
SCOPE_BY_PATH = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "chat",
    "/v1/messages": "chat",
    "/v1/messages/count_tokens": "chat",
    "/v1/responses": "chat",
    "/v1/responses/input_tokens": "chat",
    "/v1/responses/{response_id}": "chat",
    "/v1/responses/{response_id}/input_items": "chat",
    "/v1/responses/{response_id}/cancel": "chat",
    "/v1/models": ANY_SCOPE,
    "/v1/models/{model_id}": ANY_SCOPE,
    "/api/models": ANY_SCOPE,
    "/api/usage/me": ANY_SCOPE,
    "/api/held": ANY_SCOPE,
    "/api/chat": "chat",
    "/api/code": "code",
    "/api/analyze": "code",
    "/api/tools/file-read": "files",
    "/api/tools/bash": "bash",
    "/mcp": "mcp",
    "/metrics": "metrics",
    "/api/admin/keys": "admin",
    "/api/admin/keys/{name}": "admin",
    "/api/admin/keys/{name}/rotate": "admin",
    "/api/usage": "admin",
}
READ = {
    *("/v1/models", "/v1/models/{model_id}", "/v1/responses/{response_id}", "/v1/responses/{response_id}/input_items"),
    *("/api/models", "/api/usage", "/api/usage/me", "/api/admin/keys/{name}", "/metrics"),
}
PAGE = ("swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js", "openapi.json", "{path}")
OPEN = {
    *("/", "/v1", "/health", "/health/live", "/health/ready", "/openapi.json"),
    *("/docs", *(f"/docs/{name}" for name in PAGE)),
}


def routes(tmp_path: Path) -> dict[str, set[str]]:
    """Each path of the application, and what its handlers ask for."""
    application: Any = create_app(Settings(api_secret_token=API_KEY, run_dir=tmp_path), Drain(0))  # pyright: ignore[reportArgumentType]
    while not isinstance(application, Litestar):
        application = application._app
    return {
        route.path_format: {
            "open" if handler.opt.get(PUBLIC) else handler.opt.get(REQUIRED_SCOPE, "admin")
            for handler in getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
            if handler and "OPTIONS" not in getattr(handler, "http_methods", ())
        }
        for route in application.routes
    }


def test_every_route_has_the_scope_that_the_table_says(tmp_path: Path):
    """One that is added needs a line here; one that says nothing is the owner's."""
    found = routes(tmp_path)
    assert found == {path: {scope} for path, scope in SCOPE_BY_PATH.items()} | {
        path: {"open"} for path in found if path in OPEN
    }
    assert set(SCOPE_BY_PATH.values()) == {*SCOPES, ANY_SCOPE}


def message(path: str, body: Any) -> str:
    """What an error says, in the envelope of its address."""
    if path.startswith("/api/"):
        return body["detail"]
    return body["error"]["message"]


async def test_a_key_without_the_scope_is_told_which_one_it_takes(api_without_executors: Stack):
    """403 at every endpoint, in its own envelope; with the scope the request is accepted."""
    keys: dict[str, dict[str, str]] = {}
    for scope in SCOPES:
        made = await api_without_executors.client.post("/api/admin/keys", json={"name": scope, "scopes": [scope]})
        keys[scope] = {"authorization": f"Bearer {made.json()['key']}"}
    for template, needed in SCOPE_BY_PATH.items():
        path = template.format(response_id="resp_1", model_id="haiku", name="none")
        method = "GET" if template in READ else "POST"
        for scope, headers in keys.items():
            response = await api_without_executors.client.request(method, path, headers=headers)
            if needed in {ANY_SCOPE, scope}:
                assert response.status_code not in {401, 403}, (path, scope)
            else:
                assert response.status_code == 403, (path, scope)
                assert f"`{needed}`" in message(path, response.json())
                assert f"it has: {scope}." in message(path, response.json())


async def test_every_dialect_has_its_records_in_the_ledger(stack: Stack, upstream: Upstream):
    """With the name of the dialect and of the key."""
    upstream.script(AnswerReply("Hello"))
    made = await stack.client.post("/api/admin/keys", json={"name": "all-dialects", "scopes": list(SCOPES)})
    mine = {"authorization": f"Bearer {made.json()['key']}"}
    requests = {
        "/v1/chat/completions": build_body("hi"),
        "/v1/completions": {"model": "sonnet", "prompt": "hi"},
        "/v1/messages": {"model": "sonnet", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
        "/v1/responses": {"model": "sonnet", "input": "hi"},
        "/api/chat": {"prompt": "hi"},
    }
    for path, sent in requests.items():
        response = await stack.client.post(path, json=sent, headers=mine)
        assert response.status_code == 200, response.text
    refused = await stack.client.post("/api/tools/bash", json={"command": "ls"}, headers=mine)
    assert refused.json()["code"] == "tools_unavailable"
    found: dict[str, Any] = {}

    async def written() -> bool:
        report = (await stack.client.get("/api/usage", params={"by": "dialect", "key": "all-dialects"})).json()
        found.update({row["dialect"]: (row["jobs"], row["failed_jobs"]) for row in report["rows"]})
        return report["totals"]["jobs"] == 6

    await wait_until(written)
    assert found == {"chat": (1, 0), "completions": (1, 0), "messages": (1, 0), "responses": (1, 0), "rest": (2, 1)}
    await stack.client.delete("/api/admin/keys/all-dialects")


@pytest.mark.parametrize(
    ("path", "sent", "names"),
    [
        ("/v1/chat/completions", build_body("hi"), ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests")),
        (
            "/v1/messages",
            {"model": "sonnet", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
            ("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"),
        ),
    ],
)
async def test_the_limit_of_a_key_is_told_in_its_client_s_words(
    api_without_executors: Stack, path: str, sent: Any, names: tuple[str, str]
):
    """While something is left, and when nothing is, with how long to wait."""
    made = await api_without_executors.client.post(
        "/api/admin/keys", json={"name": f"few{path.replace('/', '.')}", "scopes": ["chat"], "requests_per_minute": 1}
    )
    mine = {"authorization": f"Bearer {made.json()['key']}"}
    first, second = [await api_without_executors.client.post(path, json=sent, headers=mine) for _ in range(2)]
    assert (first.status_code, second.status_code) == (503, 429)
    assert [first.headers[name] for name in names] == ["1", "0"]
    assert [second.headers[name] for name in names] == ["1", "0"]
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert "requests_per_minute" in message(path, second.json())
