"""Without a credential the server still answers, and says what it is."""

from collections.abc import AsyncGenerator

import pytest

from tests.support.chat import Stream, answered, ask, finish_of, streaming, text_of
from tests.support.stack import Stack

HEADER = "x-claude-api-server-mode"


@pytest.fixture(scope="module")
async def offline() -> AsyncGenerator[Stack]:
    """Programs without a credential and without a service."""
    async with Stack(None, credential={}) as stack:
        yield stack


async def test_an_offline_answer_says_so_and_echoes(offline: Stack):
    """Nobody takes it for a model's."""
    response = await ask(offline, "Is anybody there? 🦀")
    text = answered(response)
    assert text.startswith("This is the offline model: no Claude login was found")
    assert "Is anybody there? 🦀" in text
    assert response.headers[HEADER] == "offline"
    assert response.json()["usage"]["completion_tokens"] > 0


async def test_an_offline_answer_streams(offline: Stack):
    """In the same words, in more than one piece."""
    stream: Stream
    async with streaming(offline, "hi") as stream:
        assert stream.response.headers[HEADER] == "offline"
        chunks = await stream.rest()
    assert text_of(chunks) == answered(await ask(offline, "hi"))
    assert len([chunk for chunk in chunks if text_of([chunk])]) > 3
    assert finish_of(chunks) == ["stop"]


async def test_an_offline_answer_keeps_to_its_limit(offline: Stack):
    """As a model does."""
    response = await ask(offline, "hi", max_tokens=3)
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert response.json()["usage"]["completion_tokens"] == 3


async def test_health_says_offline(offline: Stack):
    """It is ready: it answers."""
    health = await offline.health()
    assert health
    assert (health["status"], health["mode"]) == ("ok", "offline")


async def test_models_are_listed_offline(offline: Stack):
    """What the CLI offers without an account."""
    models = (await offline.client.get("/v1/models")).json()["data"]
    assert {"haiku", "sonnet", "opus", "gpt-4o"} <= {model["id"] for model in models}


async def test_an_online_answer_does_not_say_offline(stack: Stack):
    """The header is only there when it is true."""
    assert HEADER not in (await ask(stack)).headers
