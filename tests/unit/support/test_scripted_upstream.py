"""The scripted Messages API does what its script says, towards plain HTTP clients and towards the real CLI."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest

from tests.support.scripted import start_cli
from tests.support.scripted.upstream import (
    IDENTITY,
    AnswerReply,
    CutReply,
    ErrorEventReply,
    ErrorReply,
    GatedReply,
    ReceivedRequest,
    StalledReply,
    Upstream,
)
from tests.support.timeouts import TEST_TIMEOUT

USER = {"role": "user", "content": "hi"}
ASK: dict[str, Any] = {"model": "claude-x", "max_tokens": 9, "stream": True, "messages": [USER]}
PREFILL = {**ASK, "model": "claude-sonnet-5-5", "messages": [USER, {"role": "assistant", "content": "Well,"}]}


def decoded(body: str) -> list[dict[str, Any]]:
    """The events in a whole stream."""
    return [msgspec.json.decode(part.partition("\ndata: ")[2]) for part in body.split("\n\n") if part]


def texts(events: list[dict[str, Any]]) -> list[str]:
    """The text deltas among events."""
    return [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]


@asynccontextmanager
async def post_message(upstream: Upstream, model: str = "claude-x") -> AsyncGenerator[httpx2.Response]:
    """A stream under way."""
    async with (
        httpx2.AsyncClient(timeout=TEST_TIMEOUT, trust_env=False) as client,
        client.stream("POST", f"{upstream.url}/v1/messages?beta=true", json={**ASK, "model": model}) as response,
    ):
        yield response


async def all_until_lost(response: httpx2.Response) -> str:
    """What comes before the connection is lost."""
    came, whole = await all_that_came(response)
    assert not whole
    return came


async def all_that_came(response: httpx2.Response) -> tuple[str, bool]:
    """What came, and whether the response was whole."""
    came = ""
    try:
        async for piece in response.aiter_text():
            came += piece
    except httpx2.RemoteProtocolError:
        return came, False
    return came, True


async def post(upstream: Upstream, path: str = "/v1/messages", body: Any = ASK) -> httpx2.Response:
    """A whole answer."""
    async with httpx2.AsyncClient(timeout=TEST_TIMEOUT, trust_env=False) as client:
        return await client.post(f"{upstream.url}{path}", json=body)


async def test_a_text_is_the_public_event_sequence_byte_for_byte():
    """The stream is that of https://docs.claude.com/en/api/messages-streaming."""
    async with Upstream() as upstream:
        upstream.script(AnswerReply(("Hel", "lo"), input=25, cache_read=3, cache_write=4))
        response = await post(upstream)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content.split(b"\n\n") == [
        (
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_0","type":"message",'
            b'"role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":'
            b'{"input_tokens":25,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":1}}}'
        ),
        b'event: ping\ndata: {"type":"ping"}',
        (
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
            b'{"type":"text","text":""}}'
        ),
        (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
            b'{"type":"text_delta","text":"Hel"}}'
        ),
        (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
            b'{"type":"text_delta","text":"lo"}}'
        ),
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}',
        (
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
            b'"usage":{"output_tokens":2}}'
        ),
        b'event: message_stop\ndata: {"type":"message_stop"}',
        b"",
    ]


async def test_thinking_text_and_tool_calls_are_blocks_in_that_order():
    """Thinking ends with its signature; a call starts with no input, which follows in pieces."""
    async with Upstream() as upstream:
        upstream.script(
            AnswerReply("Let me see.", thinking=("Hm", "."), tools=[("toolu_1", "look", ('{"at":', '"x"}'))])
        )
        events = decoded((await post(upstream)).text)
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ]
    deltas = [(event["index"], event["delta"]["type"]) for event in events if event["type"] == "content_block_delta"]
    assert deltas == [
        (0, "thinking_delta"),
        (0, "thinking_delta"),
        (0, "signature_delta"),
        (1, "text_delta"),
        (2, "input_json_delta"),
        (2, "input_json_delta"),
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_replies_are_used_in_order_and_the_last_one_repeats():
    """A script is a list; functions in it answer by what was asked."""
    async with Upstream() as upstream:
        upstream.script(AnswerReply("one"), lambda received: AnswerReply(received.body["model"]))
        answers = [texts(decoded((await post(upstream)).text)) for _ in range(3)]
    assert answers == [["one"], ["claude-x"], ["claude-x"]]


async def test_a_function_that_raises_fails_the_test_at_the_end_of_the_block():
    """What goes wrong in a script is never only a lost connection."""

    def wrong(_: ReceivedRequest) -> AnswerReply:
        raise AssertionError("not what was expected")

    upstream = await Upstream().__aenter__()
    upstream.script(wrong)
    with pytest.raises(httpx2.RemoteProtocolError):
        await post(upstream)
    with pytest.raises(ExceptionGroup) as raised:
        await upstream.__aexit__()
    assert [str(fault) for fault in raised.value.exceptions] == ["not what was expected"]


async def test_a_refusal_is_an_http_error_in_the_services_envelope():
    """The envelope is that of https://docs.claude.com/en/api/errors."""
    async with Upstream() as upstream:
        upstream.script(ErrorReply(429, "rate_limit_error", "slow down", {"retry-after": "7"}))
        response = await post(upstream)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert response.json()["error"] == {"type": "rate_limit_error", "message": "slow down"}


async def test_a_rate_limit_says_when_to_try_again_unless_the_script_does():
    """Only `x-should-retry: false` makes the CLI give up at once."""
    async with Upstream() as upstream:
        limited = ErrorReply(429, "rate_limit_error")
        upstream.script(
            limited, msgspec.structs.replace(limited, headers={"x-should-retry": "false"}), ErrorReply(500, "x")
        )
        answers = [await post(upstream) for _ in range(3)]
    told = [(each.headers.get("retry-after"), each.headers.get("x-should-retry")) for each in answers]
    assert told == [("1", "true"), ("1", "false"), (None, None)]


async def test_what_the_real_service_refuses_is_recorded_and_takes_no_reply():
    """The body is the test's to look at; the script goes on with the next request."""
    async with Upstream() as upstream:
        upstream.script(AnswerReply("one"), AnswerReply("two"))
        refused = await post(upstream, body=PREFILL)
        assert texts(decoded((await post(upstream)).text)) == ["one"]
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
        assert "prefill" in refused.json()["error"]["message"]
        assert [received.body for received in upstream.requests] == [PREFILL, ASK]
        assert upstream.refused == ["prefill"]


async def test_a_rule_that_a_test_names_is_off_until_the_next_says_otherwise():
    """By the constructor or later."""
    async with Upstream(without={"prefill"}) as upstream:
        assert (await post(upstream, body=PREFILL)).status_code == 200
        upstream.disable_rules("sampling")
        assert (await post(upstream, body=PREFILL)).status_code == 400
        upstream.disable_rules()
        assert (await post(upstream, body=PREFILL)).status_code == 400
        with pytest.raises(AssertionError, match="prefil"):
            upstream.disable_rules("prefil")


@pytest.mark.parametrize("more", [{}, {"thinking": {"type": "adaptive"}}], ids=["absent", "adaptive"])
async def test_a_model_that_always_thinks_begins_with_an_empty_thinking_block(more: dict[str, Any]):
    """Its signature is taken back behind what was asked, and the block counts for no output."""
    asked = {**ASK, "model": "claude-sonnet-5-5", **more}
    async with Upstream() as upstream:
        upstream.script(AnswerReply("one"))
        events = decoded((await post(upstream, body=asked)).text)
        thought, said = [event["content_block"] for event in events if event["type"] == "content_block_start"]
        [signature] = [event["delta"]["signature"] for event in events if event.get("delta", {}).get("signature")]
        back = [*asked["messages"], {"role": "assistant", "content": [{**thought, "signature": signature}]}, USER]
        assert (await post(upstream, body={**asked, "messages": back})).status_code == 200
    assert (thought["type"], said["type"]) == ("thinking", "text")
    assert events[-2]["usage"]["output_tokens"] == 1


@pytest.mark.parametrize(
    ("model", "thinking"), [("claude-sonnet-5-5", "between_tools"), ("claude-haiku-5-5", "disabled"), ("claude-x", "")]
)
async def test_nothing_is_thought_where_thinking_is_off(model: str, thinking: str):
    """Nor by a model that is not known to think always."""
    async with Upstream() as upstream:
        more = {"thinking": {"type": thinking}} if thinking else {}
        events = decoded((await post(upstream, body={**ASK, "model": model, **more})).text)
    assert [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"] == ["text"]


@pytest.mark.parametrize("fails", [CutReply(0), ErrorEventReply(0)])
async def test_what_fails_before_any_delta_fails_before_the_thinking(fails: CutReply | ErrorEventReply):
    """A number of deltas is that of the script's own."""
    async with Upstream() as upstream:
        upstream.script(fails)
        async with post_message(upstream, "claude-sonnet-5-5") as response:
            came, _ = await all_that_came(response)
    assert "content_block_start" not in came


async def test_anything_but_a_request_for_a_message_is_noted_and_not_found():
    """The script is for messages alone."""
    async with Upstream() as upstream:
        upstream.script(AnswerReply("one"), AnswerReply("two"))
        missing = await post(upstream, "/v1/elsewhere")
        assert texts(decoded((await post(upstream)).text)) == ["one"]
        assert missing.status_code == 404
        assert [received.path for received in upstream.others] == ["/v1/elsewhere"]
        assert [received.path for received in upstream.requests] == ["/v1/messages"]


@pytest.mark.parametrize("after", [0, 2])
async def test_a_cut_loses_the_connection_after_the_deltas_and_before_any_end(after: int):
    """What was sent arrives; the HTTP response stays unfinished."""
    async with Upstream() as upstream:
        upstream.script(CutReply(after))
        async with post_message(upstream) as response:
            came = await all_until_lost(response)
        assert upstream.hangups == 0
    assert len(texts(decoded(came))) == after
    assert "message_delta" not in came
    assert "content_block_stop" not in came


async def test_a_break_is_an_error_event_after_the_deltas():
    """The service may report an error inside a stream that began with 200."""
    async with Upstream() as upstream:
        upstream.script(ErrorEventReply(("a",)))
        events = decoded((await post(upstream)).text)
    assert texts(events) == ["a"]
    assert events[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


async def test_a_gated_delta_is_sent_only_when_released():
    """Before a release nothing arrives; after it, exactly one delta does."""
    async with Upstream() as upstream:
        upstream.script(GatedReply(("a", "b")))
        async with post_message(upstream) as response:
            pieces = response.aiter_text()
            came = ""
            while "content_block_start" not in came:
                came += await anext(pieces)
            assert texts(decoded(came)) == []
            await upstream.release()
            came += await anext(pieces)
            assert texts(decoded(came)) == ["a"]
            await upstream.release()
            came += "".join([piece async for piece in pieces])
    assert texts(decoded(came)) == ["a", "b"]
    assert decoded(came)[-1] == {"type": "message_stop"}


async def test_a_release_moves_every_stream_that_is_held():
    """Two streams go in step."""
    async with Upstream() as upstream:
        upstream.script(GatedReply(2))
        asked = [asyncio.create_task(post(upstream)) for _ in range(2)]
        await upstream.wait_until(lambda: len(upstream.held) == 2)
        await upstream.release()
        assert len(upstream.held) == 2
        await upstream.release()
        assert upstream.answering == 0
        assert [texts(decoded(response.text)) for response in await asyncio.gather(*asked)] == [["w0 ", "w1 "]] * 2


@pytest.mark.parametrize("after", [0, 1])
async def test_a_stall_ends_properly_when_released(after: int):
    """Silence is not an end."""
    async with Upstream() as upstream:
        upstream.script(StalledReply(after))
        asked = asyncio.create_task(post(upstream))
        await upstream.release()
        events = decoded((await asked).text)
    assert len(texts(events)) == after
    assert events[-1] == {"type": "message_stop"}


async def test_a_client_that_leaves_a_stall_is_a_hangup():
    """A hangup is seen at once, with nothing to write."""
    async with Upstream() as upstream:
        upstream.script(StalledReply())
        async with post_message(upstream):
            await upstream.wait_until(lambda: upstream.answering == 1)
        await upstream.wait_until(lambda: upstream.hangups == 1 and upstream.open_connections == 0)
        assert upstream.answering == 0


async def test_a_client_that_leaves_between_answers_is_no_hangup():
    """Only an answer that is not whole is disconnected; one connection may carry many."""
    async with Upstream() as upstream:
        async with httpx2.AsyncClient(timeout=TEST_TIMEOUT, trust_env=False) as client:
            for _ in range(3):
                await client.post(f"{upstream.url}/v1/messages", json=ASK)
            assert upstream.open_connections == 1
        await upstream.wait_until(lambda: upstream.open_connections == 0)
        assert upstream.hangups == 0


async def test_waiting_in_vain_names_the_state():
    """A bound wait that fails says what was there instead."""
    async with Upstream() as upstream:
        with pytest.raises(TimeoutError, match="requests=0 answering=0 held=0 hangups=0 connections=0"):
            await upstream.wait_until(lambda: False, timeout=0)


async def test_the_end_of_the_block_ends_a_stream_under_way():
    """A test that fails midway leaves nothing behind."""
    async with Upstream() as upstream:
        upstream.script(StalledReply())
        asked = asyncio.create_task(post(upstream))
        await upstream.wait_until(lambda: upstream.answering == 1)
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        await asked
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", urlsplit(upstream.url).port)


async def test_sixteen_paced_streams_are_all_whole_and_in_order():
    """A pace changes when deltas come, never which."""
    async with Upstream() as upstream:
        upstream.script(AnswerReply(20, per_second=1000))
        answers = await asyncio.gather(*(post(upstream) for _ in range(16)))
    assert [texts(decoded(answer.text)) for answer in answers] == [[f"w{n} " for n in range(20)]] * 16


def test_what_the_cli_adds_is_not_part_of_the_conversation():
    """Only the first two lines can be the CLI's: the same words later are the client's."""
    mark = {"cache_control": {"type": "ephemeral"}}
    system = ["x-anthropic-billing-header: a=b;", IDENTITY, "Be kind.", IDENTITY]
    received = ReceivedRequest(
        0,
        "POST",
        "/v1/messages",
        {},
        {
            "system": [{"type": "text", "text": text, **mark} for text in system],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "yes", **mark}]},
                {"role": "system", "content": "# Environment"},
            ],
        },
    )
    assert received.system_texts == ["Be kind.", IDENTITY]
    assert received.conversation == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
    ]


def test_the_clients_system_messages_are_told_by_their_place_in_the_conversation():
    """Neither the CLI's note nor its message without words is the client's."""
    asked = {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "# Environment\nYou are here."},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "go"},
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
            {"role": "assistant", "content": "on"},
            {"role": "user", "content": "now"},
            {"role": "system", "content": [{"type": "text", "text": text} for text in ("Be brief.", "Be kind.")]},
        ],
        "tools": [{"name": "look", "input_schema": {}, "cache_control": {"type": "ephemeral"}}],
    }
    received = ReceivedRequest(0, "POST", "/v1/messages", {}, asked)
    assert received.instructions == [(5, "Be brief."), (5, "Be kind.")]
    assert [message["role"] for message in received.conversation] == ["user", "assistant", "user", "assistant", "user"]
    assert received.tools_by_name == {"look": {"name": "look", "input_schema": {}}}


async def test_the_real_cli_gets_each_delta_when_it_is_released_and_sends_what_it_was_told(tmp_path: Path):
    """The CLI takes the script for the service: nothing is held back, and the request is seen as it was."""
    async with Upstream() as upstream:
        upstream.script(GatedReply(("Hel", "lo")))
        async with start_cli(upstream.url, tmp_path) as process:
            setup = {"subtype": "initialize", "systemPrompt": ["Be kind."], "systemPromptSnapshot": False}
            process.write({"type": "control_request", "request_id": "1", "request": setup})
            process.send_message("hi")
            assert (await process.read("content_block_delta"))["delta"]["type"] == "signature_delta"
            for word in ("Hel", "lo"):
                await upstream.release()
                event = await process.read("content_block_delta")
                assert event["delta"] == {"type": "text_delta", "text": word}
            result = await process.read("result")
        assert (result["result"], result["usage"]["output_tokens"]) == ("Hello", 2)
        assert [received.conversation for received in upstream.requests] == [
            [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
        ]
        assert upstream.requests[0].system_texts == ["Be kind."]
        assert upstream.requests[0].headers["x-api-key"] == "sk-ant-invented"


async def test_a_real_cli_that_is_killed_is_a_hangup(tmp_path: Path):
    """The service sees it at once."""
    async with Upstream() as upstream:
        upstream.script(StalledReply())
        async with start_cli(upstream.url, tmp_path) as process:
            process.send_message("hi")
            await process.read("content_block_delta")
        await upstream.wait_until(lambda: upstream.hangups == 1 and upstream.open_connections == 0)
