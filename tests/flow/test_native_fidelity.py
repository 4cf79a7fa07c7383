"""Whatever a conversation holds, the model sees exactly it: calls, results, pictures and files as what they are."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.calls import called, calling, function, result
from tests.chat import Json, answered, ask
from tests.generated.pictures import PDF, png
from tests.scripted.upstream import Received, Upstream
from tests.stack import Stack


@pytest.fixture
def stack(either: Stack) -> Stack:
    """Both launches of the CLI."""
    return either


pytestmark = [pytest.mark.wire(3), pytest.mark.wire(4), pytest.mark.wire(5), pytest.mark.wire(6)]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def picture(data: bytes, media_type: str) -> Json:
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{encoded(data)}", "detail": "low"}}


def file(data: bytes, name: str | None, media_type: str) -> Json:
    inner = {"file_data": f"data:{media_type};base64,{encoded(data)}"}
    return {"type": "file", "file": inner | ({"filename": name} if name else {})}


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


# --- What the model must see, by the law and not by the code -----------------------------------------------------------


def block(part: Json) -> Json | None:
    """A part as the Messages API has it; a text without a visible character can't be said."""
    match part:
        case {"type": "text", "text": words}:
            return text(words) if words.strip() else None
        case {"type": "image_url", "image_url": {"url": url}}:
            media_type, _, data = url.removeprefix("data:").partition(";base64,")
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
        case {"type": "file", "file": {"file_data": url, **more}}:
            media_type, _, data = url.removeprefix("data:").partition(";base64,")
            source = {"type": "base64", "media_type": media_type, "data": data}
            if media_type == "text/plain":
                source = {"type": "text", "media_type": media_type, "data": base64.b64decode(data).decode()}
            return {"type": "document", "source": source} | ({"title": more["filename"]} if more else {})
        case _:
            raise AssertionError(part)


def blocks(content: Any) -> list[Json]:
    parts = [text(content)] if isinstance(content, str) else content or []
    return [found for part in parts if (found := block(part))]


def expected(messages: Sequence[Json]) -> list[Json]:
    """The conversation that the model must see: results are the user's, and what users say in a row is one message."""
    conversation: list[Json] = []
    for message in messages:
        match message:
            case {"role": "system" | "developer"}:
                continue
            case {"role": "tool", "tool_call_id": call, "content": content}:
                role, said = "user", [{"type": "tool_result", "tool_use_id": call, "content": blocks(content)}]
            case {"role": role, "content": content, **more}:
                said = blocks(content) + [
                    {
                        "type": "tool_use",
                        "id": call["id"],
                        "name": call["function"]["name"],
                        "input": json.loads(call["function"]["arguments"]),
                    }
                    for call in more.get("tool_calls", ())
                ]
            case _:
                raise AssertionError(message)
        if not said:
            continue
        if conversation and conversation[-1]["role"] == role == "user":
            conversation[-1]["content"].extend(said)
        else:
            conversation.append({"role": role, "content": said})
    return conversation


def system(messages: Sequence[Json]) -> list[str]:
    """The system texts are one text, a blank line between them."""
    joined = "\n\n".join(m["content"] for m in messages if m["role"] in {"system", "developer"} and m["content"])
    return [joined] if joined else []


def assert_seen(received: Received, messages: Sequence[Json], tools: Sequence[Json]) -> None:
    """Assert that the model was told exactly this, and offered exactly these."""
    assert received.conversation == expected(messages)
    assert received.system_texts == system(messages)
    functions = sorted((tool["function"] for tool in tools), key=lambda f: f["name"].casefold())
    offered = [
        {"name": f["name"], "description": f.get("description", ""), "input_schema": f["parameters"]} for f in functions
    ]
    assert received.body.get("tools", []) == offered


TOOLS = [
    function("get_weather", description="The weather.\nOf a cïty."),
    function("Read", {"type": "object", "properties": {"path": {"type": "string"}}}),
    function("Bash", {"type": "object", "properties": {}}, description="d"),
]


async def test_everything_at_once_reaches_the_model_in_order(either: Stack, upstream: Upstream):
    """Every kind of part and message, side by side."""
    dot = picture(png(128), "image/png")
    messages = [
        {"role": "system", "content": "Be kind."},
        user([text("look: "), dot, text(" and read "), file(PDF, "p.pdf", "application/pdf"), text("…")]),
        calling(
            called("toolu_1", "get_weather", '{"city": "Zürich", "days": [1, 2.5, null]}'),
            called("toolu_2", "Read", "{}"),
            content="Let me see.",
        ),
        result("toolu_2", [text("a "), dot, text(" b")]),
        result("toolu_1", '{"temperature": -3}'),
        user([file("naïve\r\n".encode(), "n.txt", "text/plain"), text("and?")]),
        calling(called("toolu_3", "Bash"), content=""),
        result("toolu_3", ""),
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "Cold."},
        user("thanks"),
    ]
    assert answered(await ask(either, messages, tools=TOOLS)) == "Hello world!"
    [received] = upstream.requests
    assert_seen(received, messages, TOOLS)


async def test_a_hundred_turns_with_tools_keep_their_order(stack: Stack, upstream: Upstream):
    """Length changes nothing."""
    messages: list[Json] = []
    for n in range(25):
        call = called(f"toolu_{n}", "get_weather", json.dumps({"city": f"c{n}"}))
        messages += [user(f"q{n}"), calling(call, content=f"t{n}"), result(f"toolu_{n}", f"r{n}")]
        messages += [{"role": "assistant", "content": f"a{n}"}]
    messages.append(user("last"))
    assert answered(await ask(stack, messages, tools=TOOLS)) == "Hello world!"
    [received] = upstream.requests
    assert_seen(received, messages, TOOLS)


async def test_megabytes_of_pictures_and_results_arrive_whole(stack: Stack, upstream: Upstream):
    """Size changes nothing either. (A picture beyond the model's own limits the CLI makes smaller, as the service would.)"""
    big = picture(png(1) + bytes(400_000), "image/png")
    messages = [
        user([big, text("see"), file(PDF + bytes(2_000_000), "p.pdf", "application/pdf")]),
        calling(called("toolu_1", "Read")),
        result("toolu_1", [text("x ünï\n" * 200_000), big]),
    ]
    assert answered(await ask(stack, messages, tools=TOOLS)) == "Hello world!"
    [received] = upstream.requests
    assert_seen(received, messages, TOOLS)


async def test_the_ids_of_another_vendor_stay_tied_together(stack: Stack, upstream: Upstream):
    """An id with characters that the service refuses travels as another, the same in the call and in its result."""
    odd = "call:été/1 | {x}"
    messages = [user("hi"), calling(called(odd, "Read")), result(odd, "r")]
    assert answered(await ask(stack, messages, tools=TOOLS)) == "Hello world!"
    [received] = upstream.requests
    _, call, brought_back = received.conversation
    [use], [back] = call["content"], brought_back["content"]
    assert use["id"] == back["tool_use_id"]
    assert use["id"].replace("_", "").isalnum()
