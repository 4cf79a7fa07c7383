"""Requests in the shapes of the clients there are become the turns beside them, in `tests/golden/requests`.

`NAME.request.json` is what the client posts; `NAME.turn.json` is what the model is asked. With UPDATE_GOLDEN=1 the latter
is written instead of compared; read it before you keep it.
"""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from api.conversation.messages import build_messages
from api.conversation.parameters import Policy
from api.dialects.openai_chat.decode import decode
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from shared.turn import Turn
from tests.support.stack import REPOSITORY

FOLDER = REPOSITORY / "tests/golden/requests"
RECORDED = sorted(FOLDER.glob("*.request.json"))


class Understood(Struct, frozen=True):
    """What a request asks of the model, and how its answer is to be written."""

    turn: Turn
    stream: bool
    include_usage: bool
    choices: int
    legacy: bool
    custom: list[str]
    strict: list[str]
    ignored: tuple[str, ...]


def understood(body: bytes) -> Understood:
    """A request, read as the route reads it; nothing is fetched."""
    call = decode(body, Policy())
    turn = call.build_turn(
        call.model or "", asyncio.run(build_messages(call.drafts, RequestFetches(Fetcher(enabled=False), "k")))
    )
    return Understood(
        turn,
        call.stream,
        call.include_usage,
        call.choices,
        call.tool_set.legacy,
        sorted(call.tool_set.custom),
        sorted(call.tool_set.strict),
        call.ignored,
    )


@pytest.mark.wire(1, 2, 7, 8, 12, 13, 17, 61, 65, 67, 68, 75, 77)
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.removesuffix(".request.json"))
def test_what_a_client_posts_is_what_the_model_is_asked(path: Path):
    """Nothing lost, nothing invented, nothing refused."""
    got = msgspec.json.format(msgspec.json.encode(understood(path.read_bytes())), indent=2) + b"\n"
    expected = path.with_name(path.name.replace(".request.", ".turn."))
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(got)
        return
    assert got.decode() == expected.read_text()


def test_every_client_that_is_promised_has_a_recording():
    """The names of the wire checklist."""
    named = {path.name.partition(".")[0].replace("_", "") for path in RECORDED}
    clients = [
        *("cursor", "continue", "openwebui", "n8n", "aider", "langchain", "litellm", "aisdk", "llamaindex"),
        "openaiagents",
    ]
    assert [client for client in clients if not any(name.startswith(client) for name in named)] == []
