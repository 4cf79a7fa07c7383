"""Without a credential the server still answers, and says what it is."""

from collections.abc import AsyncGenerator

import pytest

from tests.support.chat import Stream, join_text, list_finish_reasons, open_stream, parse_text, send_chat
from tests.support.stack import Stack

HEADER = "x-claude-api-server-mode"


@pytest.fixture(scope="module")
async def offline() -> AsyncGenerator[Stack]:
    """Programs without a credential and without a service."""
    async with Stack(None, credential={}) as stack:
        yield stack


async def test_an_offline_answer_says_so_and_echoes(offline: Stack):
    """Nobody takes it for a model's."""
    response = await send_chat(offline, "Is anybody there? 🦀")
    text = parse_text(response)
    assert text.startswith("This is the offline model: no Claude login was found")
    assert "Is anybody there? 🦀" in text
    assert response.headers[HEADER] == "offline"
    assert response.json()["usage"]["completion_tokens"] > 0


async def test_an_offline_answer_streams(offline: Stack):
    """In the same words, in more than one piece."""
    stream: Stream
    async with open_stream(offline, "hi") as stream:
        assert stream.response.headers[HEADER] == "offline"
        chunks = await stream.read_rest()
    assert join_text(chunks) == parse_text(await send_chat(offline, "hi"))
    assert len([chunk for chunk in chunks if join_text([chunk])]) > 3
    assert list_finish_reasons(chunks) == ["stop"]


async def test_an_offline_answer_keeps_to_its_limit(offline: Stack):
    """As a model does."""
    response = await send_chat(offline, "hi", max_tokens=3)
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert response.json()["usage"]["completion_tokens"] == 3


async def test_health_says_offline(offline: Stack):
    """It is ready: it answers."""
    health = await offline.fetch_health()
    assert health
    assert (health["status"], health["mode"]) == ("ok", "offline")


async def test_models_are_listed_offline(offline: Stack):
    """What the CLI offers without an account."""
    models = (await offline.client.get("/v1/models")).json()["data"]
    assert {"haiku", "sonnet", "opus", "gpt-4o"} <= {model["id"] for model in models}


async def test_an_online_answer_does_not_say_offline(stack: Stack):
    """The header is only there when it is true."""
    assert HEADER not in (await send_chat(stack)).headers
