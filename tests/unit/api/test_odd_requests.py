"""Odd requests to the application itself, without an executor: each is understood or refused as the document says."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from api.app import create_app
from api.http.drain import Drain
from api.openapi.replies import CHAT_ERRORS
from api.settings import Settings
from tests.support.odd_requests import ACCEPTED_BODIES, ACCEPTED_SCHEMAS, BODIES, FIELDS, SCHEMAS, with_schema

KEY = "sk-tests-0f1e2d3c4b5a6978"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[AsyncTestClient[Any]]:
    """A client that has the key. No executor is there, so a request that is understood gets a 503."""
    settings = Settings.model_validate({"api_secret_token": KEY, "run_dir": tmp_path_factory.mktemp("run")})
    async with AsyncTestClient(create_app(settings, Drain(1))) as made:
        made.headers.update({"authorization": f"Bearer {KEY}"})
        yield made


async def is_understood(client: AsyncTestClient[Any], body: bytes) -> bool:
    """Whether the request would reach an executor. A refusal has a documented status and does not repeat the request."""
    response = await client.post("/v1/chat/completions", content=body)
    assert response.status_code in CHAT_ERRORS, response.text[:500]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert len(response.content) < 5_000
    assert response.status_code < 500 or error["code"] == "no_executor", error
    return response.status_code == 503


@pytest.mark.parametrize("name", BODIES)
async def test_odd_body_is_understood_or_refused(client: AsyncTestClient[Any], name: str):
    """What is understood is also sent through the real programs."""
    assert await is_understood(client, BODIES[name]) == (name in ACCEPTED_BODIES)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", SCHEMAS)
async def test_odd_schema_is_understood_or_refused(client: AsyncTestClient[Any], name: str, field: str):
    """In each field that takes a schema."""
    assert await is_understood(client, with_schema(field, name)) == (name in ACCEPTED_SCHEMAS)


@pytest.mark.parametrize("name", ["%00", "%ff", "a%2Fb", "a/b", "é", "x" * 5000, "%0d%0aset-cookie:a=b"])
async def test_odd_model_name_in_the_address_is_a_404(client: AsyncTestClient[Any], name: str):
    """Never a fault."""
    response = await client.get(f"/v1/models/{name}")
    assert response.status_code == 404, response.text
