"""Thinking that a client brings back reaches the model as it was given out: the service checks its signature."""

import asyncio

import pytest

from api.asking import Asking
from api.dispatch import Dispatch
from api.drain import Drain
from api.executors import Executors
from shared.events import Done
from shared.turn import Message, RedactedThinking, Text, Thinking, Tool, ToolResult, ToolUse, Turn
from tests.scripted.upstream import Upstream
from tests.stack import Stack

TOOL = Tool("get_time", "The time.", '{"type":"object","properties":{}}')


@pytest.mark.parametrize("redacted", [False, True])
async def test_thinking_before_a_call_comes_back_in_place(either: Stack, upstream: Upstream, *, redacted: bool):
    """Block for block, before the call that came of it."""
    thought = RedactedThinking("ZGF0YQ==") if redacted else Thinking("Hm.\n", "c2lnbmF0dXJl")
    history = (
        Message("user", (Text("When?"),)),
        Message("assistant", (thought, Text("Let me see."), ToolUse("toolu_1", "get_time", "{}"))),
        Message("user", (ToolResult("toolu_1", (Text("noon"),)),)),
    )
    dispatch = Dispatch(Executors(either.run_dir, "claude"), Drain(30), 60)
    async with asyncio.timeout(30):
        events = [event async for event in dispatch.run(Turn("opus", history, tools=(TOOL,)), Asking("req_back"))]
    assert isinstance(events[-1], Done)
    [_, said, _] = upstream.requests[-1].conversation
    expected = (
        {"type": "redacted_thinking", "data": "ZGF0YQ=="}
        if redacted
        else {"type": "thinking", "thinking": "Hm.\n", "signature": "c2lnbmF0dXJl"}
    )
    assert said["content"][0] == expected
    assert [block["type"] for block in said["content"][1:]] == ["text", "tool_use"]
