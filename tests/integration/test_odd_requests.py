"""Odd requests that the API understands, to the real programs: each gets an answer, and no program fails."""

from itertools import cycle
from typing import Any

import pytest

from tests.support.odd_requests import ACCEPTED_BODIES, ACCEPTED_SCHEMAS, BODIES, with_schema
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack


async def send(stack: Stack, body: bytes) -> None:
    """Asserts that the request is answered, or refused by the service, which may find fault with a schema."""
    response = await stack.client.post("/v1/chat/completions", content=body)
    assert response.status_code in {200, 400}, response.text[:500]


@pytest.mark.parametrize("name", ACCEPTED_BODIES)
async def test_odd_body_is_answered(stack: Stack, upstream: Upstream, name: str):
    """Never a fault."""
    await send(stack, BODIES[name])


@pytest.mark.parametrize(("name", "field"), list(zip(ACCEPTED_SCHEMAS, cycle(["tools", "response_format"]))))
async def test_odd_schema_is_used(stack: Stack, upstream: Upstream, name: str, field: str):
    """In tools and response formats in turn; the unit tests have each schema in each field."""

    def answer(received: Any) -> AnswerReply:
        offered = [tool["name"] for tool in received.body.get("tools", [])]
        return AnswerReply(tools=[("toolu_1", offered[0], ['{"a": "x"}'])]) if offered else AnswerReply("{}")

    upstream.script(answer)
    await send(stack, with_schema(field, name))
