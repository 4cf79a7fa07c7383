"""What is around a chat, by the application itself: probes, ids, origins, envelopes and statuses. No socket is opened."""

import gzip
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient
from litestar.types import ASGIApp

from api.app import create_app
from api.http.drain import Drain
from api.settings import Settings

KEY = "sk-tests-0f1e2d3c4b5a6978"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
CHAT = "/v1/chat/completions"
HI = {"messages": [{"role": "user", "content": "hi"}]}


def application(folder: Path, **fields: Any) -> ASGIApp:
    """The API, with no executor behind it."""
    settings = Settings.model_validate({"api_secret_token": KEY, "run_dir": folder, **fields})
    return create_app(settings, Drain(1))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[AsyncTestClient[Any]]:
    """A client that has the key."""
    async with AsyncTestClient(application(tmp_path)) as made:
        made.headers.update(AUTHORIZED)
        yield made


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[AsyncTestClient[Any]]:
    """A page of an allowed origin, without a key."""
    app = application(tmp_path, enable_cors=True, cors_origins=("https://page.example",))
    async with AsyncTestClient(app) as made:
        made.headers.update({"origin": "https://page.example"})
        yield made


def error_of(response: Any) -> dict[str, Any]:
    """An error in OpenAI's envelope, which has all of its four fields."""
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json().values()
    assert list(error) == ["message", "type", "param", "code"]
    return error


@pytest.mark.wire(46)
@pytest.mark.parametrize("path", ["/", "/v1", "/v1/models", "/health", "/health/live"])
async def test_what_clients_probe_answers_in_json_and_head_is_get_without_a_body(
    client: AsyncTestClient[Any], path: str
):
    """They look whether anyone is there before they ask anything."""
    got = await client.get(path)
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("application/json")
    assert isinstance(got.json(), dict)
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.wire(20, 40, 41, 46)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/v1/chat/completions", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/models/nobody", 404),
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
    ],
)
async def test_an_address_that_is_not_there_is_an_error_object(
    client: AsyncTestClient[Any], method: str, path: str, status: int
):
    """Not a page of the framework's, and nothing to try again."""
    response = await client.request(method, path, json={} if method == "POST" else None)
    assert response.status_code == status
    assert error_of(response)["type"] == "invalid_request_error"
    assert response.headers["x-should-retry"] == "false"
    methods = {CHAT: "OPTIONS, POST", "/v1/models": "GET, OPTIONS"}
    assert response.headers.get("allow") == (methods[path] if status == 405 else None)


@pytest.mark.wire(20)
async def test_a_slash_at_the_end_of_an_address_changes_nothing(client: AsyncTestClient[Any]):
    """Some base addresses end in one."""
    for path in (CHAT, f"{CHAT}/"):
        assert (await client.post(path, content=b"{")).json()["error"]["code"] == "invalid_json"


@pytest.mark.wire(40, 41, 64)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic eDp5"}])
async def test_a_missing_key_is_a_401_with_the_words_that_libraries_look_for(tmp_path: Path, headers: dict[str, str]):
    """Not 403: and `WWW-Authenticate` says how."""
    async with AsyncTestClient(application(tmp_path)) as client:
        response = await client.post(CHAT, json=HI, headers=headers)
    error = error_of(response)
    assert (response.status_code, error["code"]) == (401, "invalid_api_key")
    assert "Incorrect API key provided" in error["message"]
    assert response.headers["www-authenticate"] == "Bearer"


ERROR_FIELDS = {
    ("GET", "/v1/models"): {"error"},
    ("POST", CHAT): {"error"},
    ("POST", "/v1/completions"): {"error"},
    ("POST", "/v1/responses"): {"error"},
    ("POST", "/v1/messages"): {"type", "error", "request_id"},
    ("POST", "/api/chat"): {"detail", "code"},
    ("GET", "/api/admin/keys"): {"detail", "code"},
    ("GET", "/metrics"): {"error"},
    ("POST", "/mcp"): {"jsonrpc", "id", "error"},
}


@pytest.mark.wire(40, 41)
@pytest.mark.parametrize(("method", "path"), ERROR_FIELDS)
async def test_a_key_among_several_credentials_is_accepted_and_no_key_is_a_401_of_the_api(
    tmp_path: Path, method: str, path: str
):
    """Claude Code and proxies send a token of their own beside the key."""
    foreign = [("authorization", "Bearer sk-ant-oat01-x"), ("api-key", "x"), ("x-api-key", "y")]
    async with AsyncTestClient(application(tmp_path)) as client:
        for name in ("x-api-key", "api-key", "authorization"):
            mine = (name, f"Bearer {KEY}" if name == "authorization" else KEY)
            for headers in ([*foreign, mine], [mine, *foreign]):
                response = await client.request(method, path, headers=headers)  # type: ignore[arg-type]
                assert response.status_code != 401, (path, headers)
        refused = await client.request(method, path, headers=foreign)  # type: ignore[arg-type]
    assert (refused.status_code, set(refused.json())) == (401, ERROR_FIELDS[method, path])


@pytest.mark.wire(19, 41)
@pytest.mark.parametrize("name", ["no-such-model", "gpt-99", "../../etc/passwd", "llama"])
async def test_a_model_that_does_not_exist_is_a_404_that_says_where_to_look(client: AsyncTestClient[Any], name: str):
    """And never a 502."""
    response = await client.post(CHAT, json={**HI, "model": name})
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "GET /v1/models" in error["message"]


@pytest.mark.wire(28, 41, 42)
@pytest.mark.parametrize("stream", [True, False])
async def test_without_an_executor_the_status_is_503_streamed_or_not(client: AsyncTestClient[Any], stream: bool):  # noqa: FBT001
    """Decided before the first byte, with the time after which to try again."""
    response = await client.post(CHAT, json={**HI, "stream": stream})
    assert (response.status_code, error_of(response)["code"]) == (503, "no_executor")
    assert (response.headers["retry-after"], response.headers["x-should-retry"]) == ("1", "true")


@pytest.mark.wire(16, 28)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_of_the_request_is_a_400_also_where_a_stream_was_asked_for(
    client: AsyncTestClient[Any],
    stream: bool,  # noqa: FBT001
):
    """A stream that has begun can't have a status."""
    response = await client.post(CHAT, json={**HI, "stream": stream, "temperature": 3})
    assert (response.status_code, error_of(response)["param"]) == (400, "temperature")


@pytest.mark.wire(20)
@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/json; charset=utf-8"}]
)
async def test_a_packed_body_with_a_mark_before_it_is_read_whatever_its_type(
    client: AsyncTestClient[Any], headers: dict[str, str]
):
    """It gets as far as to the executor that is not there."""
    content = gzip.compress(b"\xef\xbb\xbf" + json.dumps(HI).encode())
    response = await client.post(CHAT, content=content, headers={"content-encoding": "gzip", **headers})
    assert error_of(response)["code"] == "no_executor"


@pytest.mark.wire(43)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/nowhere", "/health", CHAT])
async def test_every_response_has_its_id_and_how_long_it_took(client: AsyncTestClient[Any], path: str):
    """Under the names that both vendors' libraries read; errors of the framework's too."""
    first, second = await client.get(path), await client.get(path)
    assert first.headers["x-request-id"] == first.headers["request-id"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["openai-processing-ms"].isdigit()


@pytest.mark.wire(43)
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("my-id_1.2", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ("", False),
        ("a,b", False),
        ("é", False),
    ],
)
async def test_a_callers_own_id_is_kept_if_it_is_sane(client: AsyncTestClient[Any], given: str, kept: bool):  # noqa: FBT001
    """So that its logs and ours can be joined, and no log line can be forged."""
    response = await client.get("/health", headers=[(b"x-request-id", given.encode())])  # type: ignore[arg-type]
    assert (response.headers["x-request-id"] == given) == kept


@pytest.mark.wire(45)
async def test_a_page_may_ask_before_it_has_a_key(browser: AsyncTestClient[Any]):
    """The browser's own question comes without one; whatever headers the libraries send are allowed."""
    wanted = "authorization,content-type,x-api-key,anthropic-version,x-stainless-lang,openai-beta"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": wanted}
    response = await browser.options(CHAT, headers=asked)
    assert response.status_code in {200, 204}
    assert response.headers["access-control-allow-origin"] == "https://page.example"
    allowed = response.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert "*" in allowed or set(wanted.split(",")) <= set(allowed)
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.wire(45)
@pytest.mark.parametrize(
    ("path", "status"), [(CHAT, 401), ("/v1/models", 401), ("/nowhere", 404), ("/health", 200), ("/", 200)]
)
async def test_a_page_can_read_errors_too(browser: AsyncTestClient[Any], path: str, status: int):
    """A 401 that a page may not read looks like a server that is not there."""
    response = await browser.post(path, json=HI) if path == CHAT else await browser.get(path)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "https://page.example"
    exposed = response.headers["access-control-expose-headers"]
    assert exposed == "*" or "x-request-id" in exposed


@pytest.mark.wire(45)
async def test_nobody_elses_page_may_read_anything(browser: AsyncTestClient[Any], client: AsyncTestClient[Any]):
    """Another origin, or any if the owner did not allow pages at all."""
    other = await browser.get("/health", headers={"origin": "https://evil.example"})
    assert other.headers.get("access-control-allow-origin") != "https://evil.example"
    assert other.headers.get("access-control-allow-origin") != "*"
    closed = await client.get("/health", headers={"origin": "https://page.example"})
    assert "access-control-allow-origin" not in closed.headers


@pytest.mark.wire(46)
async def test_headers_of_other_vendors_libraries_mean_nothing(client: AsyncTestClient[Any]):
    """They tell of the client, and of accounts that are not ours."""
    headers = {
        "x-stainless-lang": "python",
        "x-stainless-retry-count": "1",
        "openai-organization": "org",
        "openai-project": "p",
        "openai-beta": "assistants=v2",
        "http-referer": "https://a.example",
    }
    assert (await client.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.wire(27, 40)
async def test_an_error_is_never_a_200_without_choices(client: AsyncTestClient[Any]):
    """Libraries that read `choices` of every 200 find none missing."""
    for body in (b"", b"{}", json.dumps(HI).encode(), json.dumps({**HI, "n": 0}).encode()):
        response = await client.post(CHAT, content=body)
        assert response.status_code >= 400
        assert error_of(response)["message"]


@pytest.mark.wire(40)
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api", {"detail", "code"}),
        ("/api/nothing", {"detail", "code"}),
        ("/apiary", {"error"}),
        ("/v1/messages/batches?limit=1", {"type", "error", "request_id"}),
        ("/v1/complete", {"type", "error", "request_id"}),
        ("/v1/completed", {"error"}),
        ("/v1/responses/compact", {"error"}),
    ],
)
async def test_each_address_has_its_own_envelope(client: AsyncTestClient[Any], path: str, fields: set[str]):
    """One that is not there too, and what is below it."""
    response = await client.post(path)
    assert (response.status_code, set(response.json())) == (404, fields)
