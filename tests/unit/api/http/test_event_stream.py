"""The answer as an ASGI application: what is sent when, and what happens to the job when nobody listens any more."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.problems import STATUS_AND_CODE, Problem
from api.executors.stream_merger import NumberedEvent
from api.http.event_stream import EventStreamResponse, is_decisive
from shared.errors import ERROR_INFO, ErrorKind
from shared.events import Admitted, Done, Event, Failed, Queued, Started, TextDelta, Usage
from tests.support.built_values import events as any_event
from tests.support.timeouts import TEST_TIMEOUT

ADMITTED = Admitted(pooled=True, offline=False)
DONE = Done("end_turn", Usage(1, 2))
WHOLE: list[Event] = [ADMITTED, Started("claude-x"), TextDelta("Hel"), TextDelta("lo"), DONE]
BUSY = Failed(ErrorKind.QUEUE_FULL, retry_after=2)
both_ways = pytest.mark.parametrize("stream", [True, False])

type Message = dict[str, Any]


class Plain:
    """A dialect as plain as can be: each event is a line of its own name. told: the events it was told of."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def encode_event(self, event: Event, choice: int = 0) -> bytes:
        """One line; nothing for what no dialect speaks of."""
        self.told.append(event)
        match event:
            case TextDelta(text):
                return f"text {text}\n".encode()
            case Failed(kind):
                return f"error {kind.value}\nend\n".encode()
            case Done():
                return b"end\n"
            case Started():
                return b"start\n"
            case _:
                return b""

    def encode_answer(self) -> bytes:
        """All the text."""
        return "".join(event.text for event in self.told if isinstance(event, TextDelta)).encode()

    def encode_error(self, problem: Problem) -> bytes:
        """Its code."""
        return f"problem {problem.code}".encode()


class Job:
    """Events as a job gives them. Mutable: how far it got, and whether it was closed."""

    def __init__(self, *script: Event | asyncio.Event) -> None:
        self.script = script
        self.given: list[Event] = []
        self.waiting = asyncio.Event()
        self.closed = asyncio.Event()

    async def events(self) -> AsyncGenerator[NumberedEvent]:
        """The script: events are given, asyncio's are waited for."""
        try:
            for step in self.script:
                if isinstance(step, asyncio.Event):
                    self.waiting.set()
                    await step.wait()
                else:
                    self.given.append(step)
                    yield 0, step
        finally:
            self.closed.set()


class Client:
    """The other end of an ASGI application. Mutable: what came, whether it reads, and whether it is there."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.came = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.blocked = asyncio.Event()
        self.gone = asyncio.Event()
        self._first: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Message:
        """An empty rest of the request, then nothing until it disconnects."""
        if self._first:
            return self._first.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What the application sends; waits while the client does not read, for ever if need be."""
        if not self.reads.is_set():
            self.blocked.set()
            await self.reads.wait()
        self.sent.append(message)
        self.came.set()

    @property
    def status(self) -> int:
        """The status, which came first and once."""
        kinds = [message["type"] for message in self.sent]
        assert kinds == ["http.response.start"] + ["http.response.body"] * (len(kinds) - 1)
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        """The headers, none of them twice."""
        headers = [(name.decode(), value.decode("latin-1")) for name, value in self.sent[0]["headers"]]
        assert len(headers) == len(dict(headers))
        return dict(headers)

    @property
    def chunks(self) -> list[bytes]:
        """The pieces of the body."""
        return [message["body"] for message in self.sent[1:]]

    @property
    def body(self) -> bytes:
        """The whole body, which was ended once, at its end."""
        assert [message["more_body"] for message in self.sent[1:]] == [True] * (len(self.sent) - 2) + [False]
        return b"".join(self.chunks)


def answering(
    job: Job,
    client: Client,
    *,
    stream: bool,
    headers: dict[str, str] | None = None,
    encoder: Plain | None = None,
    keep_alive: float = TEST_TIMEOUT,
) -> asyncio.Task[None]:
    """An answer under way."""
    answer = EventStreamResponse(
        job.events(), encoder or Plain(), stream=stream, keepalive_interval=keep_alive, headers=headers
    )
    return asyncio.create_task(_call(answer, client))


async def _call(answer: EventStreamResponse, client: Client) -> None:
    await answer(cast("Any", {"type": "http"}), cast("Any", client.receive), cast("Any", client.send))


async def answered(
    script: Sequence[Event], *, stream: bool, headers: dict[str, str] | None = None, encoder: Plain | None = None
) -> Client:
    """What a client that stays and reads gets of these events; the job is closed in the end."""
    job, client = Job(*script), Client()
    async with asyncio.timeout(TEST_TIMEOUT):
        await answering(job, client, stream=stream, headers=headers, encoder=encoder)
    assert job.closed.is_set()
    return client


async def until(condition: Callable[[], bool]) -> None:
    """Give the other tasks their turns until this holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


async def test_a_stream_is_its_events_each_sent_as_it_comes() -> None:
    """One piece an event, then the end; nothing is gathered."""
    client = await answered(WHOLE, stream=True)
    assert client.status == 200
    assert client.chunks == [b"start\n", b"text Hel\n", b"text lo\n", b"end\n", b""]
    assert client.body.endswith(b"end\n")


async def test_a_stream_without_an_event_is_an_empty_one() -> None:
    """As for who follows a stream from after its end: nothing is left to tell, and nothing went wrong."""
    client = await answered([], stream=True)
    assert (client.status, client.body) == (200, b"")
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.wire(28, 59)
async def test_a_streams_headers_keep_proxies_from_holding_it_back() -> None:
    """Type, no cache, no buffering; no length."""
    client = await answered(WHOLE, stream=True, headers={"x-ignored-parameters": "seed"})
    assert client.headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        "x-ignored-parameters": "seed",
    }


async def test_a_whole_answer_is_one_body_with_its_length() -> None:
    """JSON, sent when the answer is done."""
    client = await answered(WHOLE, stream=False, headers={"x-ignored-parameters": "seed"})
    assert (client.status, client.body) == (200, b"Hello")
    assert client.headers == {
        "content-type": "application/json",
        "content-length": "5",
        "x-ignored-parameters": "seed",
    }


@pytest.mark.parametrize("before", [[], [Queued(3)], [Queued(3), ADMITTED]])
@pytest.mark.parametrize("kind", ErrorKind)
@both_ways
@pytest.mark.wire(28, 40)
async def test_a_failure_before_the_first_word_is_a_status_and_a_json_problem(
    stream: bool,  # noqa: FBT001
    kind: ErrorKind,
    before: list[Event],
) -> None:
    """Streaming or not: a client's library decides by the status whether to try again."""
    client = await answered([*before, Failed(kind, retry_after=2)], stream=stream)
    status, code = STATUS_AND_CODE[kind]
    assert (client.status, client.body) == (status, f"problem {code}".encode())
    assert client.headers["content-type"] == "application/json"
    assert client.headers["content-length"] == str(len(client.body))
    assert client.headers["x-should-retry"] == ("true" if ERROR_INFO[kind].retryable else "false")
    assert (client.headers["retry-after"], client.headers["retry-after-ms"]) == ("2", "2000")


@pytest.mark.parametrize("waits", [[Queued(0)], [Queued(2), ADMITTED], [ADMITTED]])
@pytest.mark.wire(28)
async def test_nothing_is_sent_before_an_event_decides_the_status(waits: list[Event]) -> None:
    """Waiting for a place and getting one decide nothing; the model's first word does."""
    gate = asyncio.Event()
    job, client = Job(*waits, gate, *WHOLE), Client()
    async with asyncio.timeout(TEST_TIMEOUT):
        task = answering(job, client, stream=True)
        await job.waiting.wait()
        assert client.sent == []
        gate.set()
        await task
    assert client.status == 200


@pytest.mark.wire(38)
async def test_each_piece_of_a_stream_is_sent_before_the_next_event_is_asked_for() -> None:
    """A client sees a word when the model says it; a slow client slows the model down."""
    gate = asyncio.Event()
    job, client = Job(Started("x"), TextDelta("a"), gate, DONE), Client()
    async with asyncio.timeout(TEST_TIMEOUT):
        task = answering(job, client, stream=True)
        await job.waiting.wait()
        assert client.chunks == [b"start\n", b"text a\n"]
        client.reads.clear()
        gate.set()
        await client.blocked.wait()
        assert job.given[-1] == DONE
        client.reads.set()
        await task


@pytest.mark.wire(38)
async def test_a_client_that_does_not_read_holds_the_events_back() -> None:
    """No more than one event is taken from the job that can't be sent."""
    job, client = Job(*WHOLE), Client()
    client.reads.clear()
    async with asyncio.timeout(TEST_TIMEOUT):
        task = answering(job, client, stream=True)
        await client.blocked.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        assert job.given == WHOLE[:2]
        client.reads.set()
        await task
    assert client.body == b"start\ntext Hel\ntext lo\nend\n"


@pytest.mark.wire(36)
async def test_a_failure_in_the_middle_of_a_stream_is_the_dialects_error_and_end() -> None:
    """The status stands; the stream is ended, not cut."""
    client = await answered([ADMITTED, Started("x"), TextDelta("a"), Failed(ErrorKind.UPSTREAM_CUT)], stream=True)
    assert client.status == 200
    assert client.body == b"start\ntext a\nerror upstream_cut\nend\n"


async def test_a_failure_in_the_middle_of_a_whole_answer_is_a_problem() -> None:
    """Half an answer is never passed off as one: nothing of it is sent."""
    client = await answered([ADMITTED, Started("x"), TextDelta("a"), Failed(ErrorKind.UPSTREAM_CUT)], stream=False)
    assert (client.status, client.body) == (502, b"problem upstream_cut")


@given(st.lists(any_event.filter(lambda event: not isinstance(event, Done | Failed)), max_size=8), st.booleans())
async def test_every_event_reaches_the_dialect_once_and_in_order(script: list[Event], stream: bool) -> None:  # noqa: FBT001
    """And what the dialect makes of it reaches the client whole."""
    encoder = Plain()
    client = await answered([*script, DONE], stream=stream, encoder=encoder)
    if stream:
        assert encoder.told == [event for event in [*script, DONE] if is_decisive(event)]
        again = Plain()
        assert client.body == b"".join(again.encode_event(event) for event in [*script, DONE])
    else:
        assert encoder.told == [*script, DONE]
        assert client.body == "".join(event.text for event in script if isinstance(event, TextDelta)).encode()


@both_ways
async def test_an_offline_answer_says_so_in_a_header(stream: bool) -> None:  # noqa: FBT001
    """Nobody takes the offline model for a model; an online answer has no such header."""
    offline: list[Event] = [Admitted(pooled=True, offline=True), *WHOLE[1:]]
    assert (await answered(offline, stream=stream)).headers["x-claude-api-server-mode"] == "offline"
    failed = await answered([offline[0], BUSY], stream=stream)
    assert failed.headers["x-claude-api-server-mode"] == "offline"
    assert "x-claude-api-server-mode" not in (await answered(WHOLE, stream=stream)).headers


async def hang_up(job: Job, client: Client, task: asyncio.Task[None]) -> None:
    """The client goes; in bounded time the job is closed and the application is through."""
    client.gone.set()
    async with asyncio.timeout(TEST_TIMEOUT):
        await job.closed.wait()
        await task


@pytest.mark.parametrize("before", [[], [Queued(1)], [ADMITTED], [ADMITTED, Started("x")], WHOLE[:3]])
@both_ways
@pytest.mark.wire(39)
async def test_a_disconnect_while_waiting_ends_the_job(stream: bool, before: list[Event]) -> None:  # noqa: FBT001
    """In every phase: queued, admitted, answering; streaming or not. Nothing more is sent."""
    job, client = Job(*before, asyncio.Event(), DONE), Client()
    task = answering(job, client, stream=stream)
    async with asyncio.timeout(TEST_TIMEOUT):
        await job.waiting.wait()
    sent = len(client.sent)
    await hang_up(job, client, task)
    assert len(client.sent) == sent
    assert job.given == before


@both_ways
async def test_a_disconnect_while_a_send_blocks_ends_the_job(stream: bool) -> None:  # noqa: FBT001
    """The generator is suspended at `yield` then, and must be closed all the same."""
    job, client = Job(*WHOLE), Client()
    client.reads.clear()
    task = answering(job, client, stream=stream)
    async with asyncio.timeout(TEST_TIMEOUT):
        await client.blocked.wait()
    assert job.closed.is_set() == (not stream)  # a whole answer is sent when the job is over
    await hang_up(job, client, task)
    assert client.sent == []


@pytest.mark.wire(39)
async def test_a_disconnect_during_a_stream_ends_the_job() -> None:
    """The same after the headers and some words were sent."""
    gate = asyncio.Event()
    job, client = Job(*WHOLE[:3], gate, *WHOLE[3:]), Client()
    task = answering(job, client, stream=True)
    async with asyncio.timeout(TEST_TIMEOUT):
        await job.waiting.wait()
        client.reads.clear()
        gate.set()
        await client.blocked.wait()
    assert not job.closed.is_set()
    await hang_up(job, client, task)
    assert client.chunks == [b"start\n", b"text Hel\n"]


@both_ways
async def test_an_answer_that_is_cancelled_closes_its_job(stream: bool) -> None:  # noqa: FBT001
    """The server itself may end a request."""
    job, client = Job(ADMITTED, asyncio.Event()), Client()
    task = answering(job, client, stream=stream)
    async with asyncio.timeout(TEST_TIMEOUT):
        await job.waiting.wait()
        task.cancel()
        await job.closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@both_ways
async def test_a_fault_of_a_dialect_is_raised_and_closes_the_job(stream: bool) -> None:  # noqa: FBT001
    """It is ours to see, and the job is not left running."""

    class Faulty(Plain):
        def encode_event(self, event: Event, choice: int = 0) -> bytes:
            raise LookupError

    job, client = Job(*WHOLE), Client()
    async with asyncio.timeout(TEST_TIMEOUT):
        with pytest.raises(LookupError):
            await answering(job, client, stream=stream, encoder=Faulty())
    assert job.closed.is_set()


@both_ways
async def test_nothing_of_an_answer_runs_on_when_it_is_over(stream: bool) -> None:  # noqa: FBT001
    """The watch for a disconnect and the keep-alive end with it."""
    before = asyncio.all_tasks()
    await answered(WHOLE, stream=stream)
    await until(lambda: asyncio.all_tasks() <= before)


# A silence that counts as long after hardly any time.
RESTLESS = 0.001


async def alive(client: Client, pulses: int) -> None:
    """Wait until so many comments kept the connection alive."""
    async with asyncio.timeout(TEST_TIMEOUT):
        while client.chunks.count(b": keep-alive\n\n") < pulses:
            client.came.clear()
            await client.came.wait()


@pytest.mark.wire(35, 54)
async def test_a_silent_stream_is_kept_alive_by_comments() -> None:
    """Again and again, before the first word too; a comment is no event for a client."""
    gate, more = asyncio.Event(), asyncio.Event()
    job, client = Job(Queued(0), gate, *WHOLE[:3], more, *WHOLE[3:]), Client()
    task = answering(job, client, stream=True, keep_alive=RESTLESS, headers={"x-ignored-parameters": "seed"})
    await alive(client, 2)
    assert client.status == 200
    assert client.headers["x-ignored-parameters"] == "seed"
    gate.set()
    await alive(client, 4)
    more.set()
    async with asyncio.timeout(TEST_TIMEOUT):
        await task
    said = [chunk for chunk in client.chunks if not chunk.startswith(b":")]
    assert said == [b"start\n", b"text Hel\n", b"text lo\n", b"end\n", b""]
    assert client.body.endswith(b"end\n")


@pytest.mark.wire(35, 36)
async def test_a_failure_after_a_keep_alive_is_told_inside_the_stream() -> None:
    """The status is out by then; the error and the end are the dialect's."""
    gate = asyncio.Event()
    job, client = Job(Queued(0), gate, BUSY), Client()
    task = answering(job, client, stream=True, keep_alive=RESTLESS)
    await alive(client, 1)
    gate.set()
    async with asyncio.timeout(TEST_TIMEOUT):
        await task
    assert client.status == 200
    assert client.body.endswith(b"error queue_full\nend\n")


@pytest.mark.wire(35, 39)
async def test_a_disconnect_between_keepalives_ends_the_job() -> None:
    """Also when the comment is what can't be sent."""
    job, client = Job(ADMITTED, asyncio.Event()), Client()
    task = answering(job, client, stream=True, keep_alive=RESTLESS)
    await alive(client, 1)
    client.reads.clear()
    async with asyncio.timeout(TEST_TIMEOUT):
        await client.blocked.wait()
    await hang_up(job, client, task)


async def test_a_whole_answer_is_not_kept_alive() -> None:
    """A JSON body can't hold comments: its status is decided at the end, however long that takes."""
    gate = asyncio.Event()
    job, client = Job(ADMITTED, gate, BUSY), Client()
    task = answering(job, client, stream=False, keep_alive=RESTLESS)
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, later.set)
    async with asyncio.timeout(TEST_TIMEOUT):
        await later.wait()
        assert client.sent == []
        gate.set()
        await task
    assert client.status == 429


@both_ways
async def test_a_header_that_can_not_be_written_does_not_break_the_answer(stream: bool) -> None:  # noqa: FBT001
    """Names of parameters are the client's own words."""
    client = await answered(WHOLE, stream=stream, headers={"x-ignored-parameters": "naïve, 名"})
    assert client.headers["x-ignored-parameters"] == "naïve, ?"


def test_waiting_and_admission_decide_nothing_and_all_else_does() -> None:
    """`decided` is what a status can be given on."""
    undecided = [
        event for event in (Queued(0), ADMITTED, Started("x"), TextDelta(""), DONE, BUSY) if not is_decisive(event)
    ]
    assert undecided == [Queued(0), ADMITTED]
