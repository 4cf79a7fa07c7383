"""The wire between the API and an executor, as its specification in `shared/wire.py` has it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import wire
from shared.errors import ErrorKind
from shared.events import Failed, TextDelta
from shared.tool_jobs import ReadFile
from shared.turn import Message, Text, Turn
from shared.wire import (
    LENGTH_BYTES,
    MAX_FRAME,
    PROTOCOL_VERSION,
    GetStatus,
    RunTool,
    Submit,
    ToApi,
    ToExecutor,
    WireError,
    encode_frame,
    read_to_api,
    read_to_executor,
)
from tests.support.built_values import to_api, to_executor
from tests.support.timeouts import TEST_TIMEOUT

type Read = Callable[[asyncio.StreamReader], Awaitable[object]]

SUBMIT = Submit(Turn("opus", (Message("user", (Text("hé"),)),), ("be kind",), 9), "req_1")
READS: list[Read] = [read_to_executor, read_to_api]
# Of a byte, in a frame of any length. A draw inside of an async test could end anyio's runner, which all tests share.
places = st.integers(0, 2**16 - 1)
both_ways = pytest.mark.parametrize("read", READS)


def reader(received: bytes, *, closed: bool = True) -> asyncio.StreamReader:
    """A connection on which this has come, and maybe its end."""
    stream = asyncio.StreamReader()
    stream.feed_data(received)
    if closed:
        stream.feed_eof()
    return stream


def framed(payload: bytes) -> bytes:
    """A frame with any payload."""
    return len(payload).to_bytes(4, "big") + payload


async def read_all(read: Read, received: bytes, *, closed: bool = True) -> object:
    """What is read, in bounded time."""
    async with asyncio.timeout(TEST_TIMEOUT):
        return await read(reader(received, closed=closed))


async def refusal(read: Read, received: bytes, *, closed: bool = True) -> str:
    """Why these bytes are refused."""
    with pytest.raises(WireError) as refused:
        await read_all(read, received, closed=closed)
    return str(refused.value)


def _is_same(one: object, other: object) -> bool:
    """Whether two messages have the same type and fields; NaN, which equals nothing, is the same as itself."""
    return type(one) is type(other) and repr(one) == repr(other)


@given(to_executor)
async def test_everything_the_api_can_say_arrives_as_it_was_said(message: ToExecutor) -> None:
    """Encoding and decoding are inverse, for every message to an executor."""
    assert _is_same(await read_all(read_to_executor, encode_frame(message)), message)


@given(to_api)
async def test_everything_an_executor_can_say_arrives_as_it_was_said(message: ToApi) -> None:
    """Encoding and decoding are inverse, for every event and status."""
    assert _is_same(await read_all(read_to_api, encode_frame(message)), message)


@given(to_api)
def test_a_frame_is_its_length_and_one_msgpack_map_with_a_type(message: ToApi) -> None:
    """The format is the specification's, not whatever both ends happen to agree on."""
    sent = encode_frame(message)
    value: dict[str, Any] = msgspec.msgpack.decode(sent[4:])
    assert int.from_bytes(sent[:4], "big") == len(sent) - 4
    assert isinstance(value["type"], str)


def test_what_the_api_sends_carries_the_version() -> None:
    """An executor can tell whom it talks to before anything else."""
    for message in (SUBMIT, GetStatus()):
        assert msgspec.msgpack.decode(encode_frame(message)[4:])["version"] == PROTOCOL_VERSION


@given(st.lists(to_api, max_size=5))
async def test_frames_in_a_row_are_read_one_by_one_and_then_the_end(messages: list[ToApi]) -> None:
    """A frame takes its own bytes and no more; closing between frames is no error."""
    stream = reader(b"".join(map(encode_frame, messages)))
    async with asyncio.timeout(TEST_TIMEOUT):
        for message in messages:
            assert _is_same(await read_to_api(stream), message)
        assert await read_to_api(stream) is None


async def test_a_frame_to_the_executor_cut_at_any_byte_is_an_error() -> None:
    """Half a message is never taken for a whole one, nor for a polite end."""
    whole = encode_frame(SUBMIT)
    for cut in range(1, len(whole)):
        assert await refusal(read_to_executor, whole[:cut]) == "the connection was closed inside a frame"


@given(to_api, places)
async def test_a_frame_to_the_api_cut_at_any_byte_is_an_error(message: ToApi, place: int) -> None:
    """The same in the other direction, for every message."""
    whole = encode_frame(message)
    cut = 1 + place % (len(whole) - 1)
    assert await refusal(read_to_api, whole[:cut]) == "the connection was closed inside a frame"


@both_ways
async def test_a_connection_closed_before_a_frame_is_the_end(read: Read) -> None:
    """Closing is the only message without a frame."""
    assert await read_all(read, b"") is None


@settings(max_examples=25)
@given(to_api)
async def test_a_frame_that_comes_byte_by_byte_is_the_same_message(message: ToApi) -> None:
    """How the kernel cuts the stream changes nothing; nothing is said before the last byte."""
    stream = asyncio.StreamReader()
    reading = asyncio.create_task(_read_to_api(stream))
    for byte in encode_frame(message):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not reading.done()
        stream.feed_data(bytes([byte]))
    async with asyncio.timeout(TEST_TIMEOUT):
        assert _is_same(await reading, message)


async def _read_to_api(stream: asyncio.StreamReader) -> ToApi | None:
    return await read_to_api(stream)


@both_ways
@pytest.mark.parametrize("size", [MAX_FRAME + 1, 2**31, 2**32 - 1])
async def test_an_oversize_frame_is_refused_from_its_length_alone(read: Read, size: int) -> None:
    """Nothing of the payload is waited for, so nothing of it is kept: the connection is open and silent after the head."""
    said = await refusal(read, size.to_bytes(LENGTH_BYTES, "big"), closed=False)
    assert said == f"a frame of {size} bytes; 1 to {MAX_FRAME} are allowed"


@both_ways
async def test_a_frame_of_the_largest_size_is_waited_for(read: Read) -> None:
    """The limit itself is allowed: only the end of the connection ends the wait."""
    assert await refusal(read, MAX_FRAME.to_bytes(LENGTH_BYTES, "big")) == "the connection was closed inside a frame"


@both_ways
async def test_an_empty_frame_is_refused_at_once(read: Read) -> None:
    """No message is empty; the refusal does not wait for more."""
    assert await refusal(read, bytes(LENGTH_BYTES), closed=False) == f"a frame of 0 bytes; 1 to {MAX_FRAME} are allowed"


def test_a_message_over_the_limit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender hears of it, rather than the other side; one of exactly the limit goes out."""
    size = len(encode_frame(SUBMIT)) - LENGTH_BYTES
    monkeypatch.setattr(wire, "MAX_FRAME", size)
    assert len(encode_frame(SUBMIT)) == size + LENGTH_BYTES
    monkeypatch.setattr(wire, "MAX_FRAME", size - 1)
    with pytest.raises(WireError, match=f"{size} bytes is over the limit of {size - 1}"):
        encode_frame(SUBMIT)


def test_a_number_of_more_than_64_bits_is_not_sent() -> None:
    """The sender hears of it as of what is too large."""
    with pytest.raises(WireError, match="too large"):
        encode_frame(RunTool(ReadFile("/x", 2**70), "req_1"))


@given(to_executor)
async def test_the_api_takes_nothing_that_only_the_api_may_say(message: ToExecutor) -> None:
    """An executor can't ask anything of the API."""
    assert "not a message of this protocol" in await refusal(read_to_api, encode_frame(message))


@given(to_api)
async def test_an_executor_takes_nothing_that_only_an_executor_may_say(message: ToApi) -> None:
    """A client of the socket can't pass events off as the executor's."""
    assert "not a message of this protocol" in await refusal(read_to_executor, encode_frame(message))


@both_ways
@pytest.mark.parametrize(
    "value",
    [
        {"type": "shell", "command": "id"},
        {"type": ""},
        {"type": None},
        {"type": 1},
        {"type": ["text"]},
        {"type": "Text", "text": "hi"},
        {"type": "text"},
        {"type": "text", "text": 1},
        {"type": "done", "stop_reason": "because", "usage": {}},
        {"type": "failed", "kind": "whatever"},
        {"type": "submit", "request_id": "r"},
        {"type": "submit", "request_id": "r", "turn": {"model": "m", "messages": [{"role": "tool", "content": []}]}},
        {"type": "get_status", "version": "1"},
        {"text": "hi"},
        {},
        [],
        "text",
        None,
        7,
    ],
)
async def test_an_unknown_or_malformed_message_is_refused(read: Read, value: object) -> None:
    """What is not wholly a message of the union is none."""
    assert "not a message of this protocol" in await refusal(read, framed(msgspec.msgpack.encode(value)))


async def test_a_field_that_this_version_does_not_know_is_passed_over() -> None:
    """A newer program may say more, as long as it says what must be said."""
    value = {"type": "text", "text": "hi", "tone": {"warm": [1, 2]}}
    assert await read_all(read_to_api, framed(msgspec.msgpack.encode(value))) == TextDelta("hi")


async def test_bytes_after_the_message_inside_its_frame_are_refused() -> None:
    """A payload is one map and nothing else."""
    sent = msgspec.msgpack.encode({"type": "get_status"})
    assert await read_all(read_to_executor, framed(sent)) == GetStatus()
    assert "not a message of this protocol" in await refusal(read_to_executor, framed(sent + b"\x00"))


@both_ways
@given(garbage=st.binary(max_size=200))
@example(garbage=b"\x82\xa4type\xaaget_status\xa1x" + b"\x91" * 100_000)
@example(garbage=b"\x82\xa1x" + b"\x91" * 100_000)
@example(garbage=b"\x81\xa4type\xa7statu\xff?")
@example(garbage=b"\xc1")
@example(garbage=b"\xdf\xff\xff\xff\xff")
async def test_a_garbage_payload_is_a_message_or_a_wire_error(read: Read, garbage: bytes) -> None:
    """No payload, however deep or broken, raises anything else."""
    with contextlib.suppress(WireError):
        await read_all(read, framed(garbage))


@both_ways
@given(garbage=st.binary(max_size=200))
async def test_a_garbage_stream_ends_or_is_a_wire_error(read: Read, garbage: bytes) -> None:
    """The same without even a length that is true."""
    with contextlib.suppress(WireError):
        assert await read_all(read, garbage) is not None or garbage == b""


@given(to_api, places, st.integers(0, 255))
async def test_a_frame_with_one_wrong_byte_is_a_message_or_a_wire_error(message: ToApi, place: int, byte: int) -> None:
    """Nearly right is as safe as wholly wrong."""
    payload = bytearray(encode_frame(message)[LENGTH_BYTES:])
    payload[place % len(payload)] = byte
    with contextlib.suppress(WireError):
        await read_all(read_to_api, framed(bytes(payload)))


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.5])
async def test_no_retry_and_a_retry_at_once_stay_apart(retry_after: float | None) -> None:
    """None and 0 are different things to a client."""
    failed = await read_all(read_to_api, encode_frame(Failed(ErrorKind.INTERNAL, retry_after=retry_after)))
    assert isinstance(failed, Failed)
    assert failed.retry_after == retry_after
