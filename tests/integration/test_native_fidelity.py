"""However long or large a conversation is, the model sees exactly it: calls, results, pictures and files as what they are."""

import json

import pytest

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    File,
    Picture,
    Result,
    Step,
    Tool,
    User,
    Words,
)
from tests.support.generated.dialects import CHAT
from tests.support.generated.pictures import PDF, png
from tests.support.generated.request_check import RequestCheck
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack

pytestmark = [pytest.mark.wire(3), pytest.mark.wire(4), pytest.mark.wire(5), pytest.mark.wire(6)]

TOOLS = (
    Tool("get_weather", "The weather.\nOf a cïty.", '{"type":"object","properties":{"city":{"type":"string"}}}'),
    Tool("Read", "Reads.", '{"type":"object","properties":{"path":{"type":"string"}}}'),
)


async def assert_reaches(stack: Stack, upstream: Upstream, *steps: Step) -> None:
    """Assert that a conversation reaches the model as it is."""
    conversation = Conversation((), steps, TOOLS)
    body = CHAT.request(conversation, "sonnet", indented=False)
    response = await stack.client.post(CHAT.path, content=body)
    assert response.status_code == 200, response.text
    [received] = upstream.requests
    RequestCheck(received).check(conversation)


async def test_a_hundred_turns_with_tools_keep_their_order(each_credential_stack: Stack, upstream: Upstream):
    """Length changes nothing."""
    steps: list[Step] = []
    for n in range(25):
        call = Call(f"toolu_{n}", "get_weather", json.dumps({"city": f"c{n}"}))
        steps += [User(f"q{n}"), Assistant((Words(f"t{n}"), call)), Result(call, f"r{n}"), Assistant((Words(f"a{n}"),))]
    await assert_reaches(each_credential_stack, upstream, *steps, User("last"))


async def test_megabytes_of_pictures_and_results_arrive_whole(each_credential_stack: Stack, upstream: Upstream):
    """Size changes nothing either."""
    big, call = Picture("image/png", png(1) + bytes(400_000)), Call("toolu_1", "Read", "{}")
    asked = User((big, Words("see"), File("application/pdf", PDF + bytes(2_000_000), "p.pdf")))
    result = Result(call, (Words("x ünï\n" * 200_000), big))
    await assert_reaches(each_credential_stack, upstream, asked, Assistant((call,)), result)
