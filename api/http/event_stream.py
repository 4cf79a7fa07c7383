"""Answers a request with a job's events, as server-sent events or as one JSON body.

Invariants: the status is decided before the first byte; a stream that has started ends as its dialect ends streams,
whatever happens; a client disconnect, with or without streaming, ends the job at once.

This is an ASGI application and not the framework's stream: when the client disconnects, the framework leaves a
generator that is suspended at `yield` unclosed, and it never notices the disconnect of a client that waits for JSON.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import structlog
from litestar.types import Receive, Scope, Send

from api.core.problems import Problem, problem_from_failure
from shared.errors import ErrorKind
from shared.events import Admitted, Done, Failed, Queued, UsageWindows

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
JSON_HEADERS = {"content-type": "application/json"}
KEEPALIVE_COMMENT = b": keep-alive\n\n"
OFFLINE_HEADER = "x-claude-api-server-mode"
COST_HEADER = "x-cost-usd"
CONVERSATION_HEADER = "x-conversation"

log = structlog.get_logger()


class Encoder[E](Protocol):
    """Encodes the events of one answer in a dialect. Pure."""

    def encode_event(self, event: E, choice: int = 0) -> bytes:
        """Returns the stream's bytes for an event of the answer `choice`; empty if there are none."""
        ...

    def encode_answer(self) -> bytes:
        """Returns the JSON body of the answer, after the last event."""
        ...

    def encode_error(self, problem: Problem) -> bytes:
        """Returns the JSON body of an error."""
        ...


class EventStreamResponse[E]:
    """An ASGI application that answers one request. Mutable: the headers, the cost, whether the stream has started."""

    def __init__(
        self,
        events: AsyncGenerator[tuple[int, E]],
        encoder: Encoder[E | Failed],
        *,
        stream: bool,
        keepalive_interval: float,
        headers: dict[str, str] | None = None,
        keepalive: bytes = KEEPALIVE_COMMENT,
        status: Callable[[Problem], int] = lambda problem: problem.status,
    ) -> None:
        self._events = failures_as_events(events)
        self._encoder = encoder
        self._stream = stream
        self._keepalive_interval = keepalive_interval
        self._headers = headers or {}
        self._keepalive = keepalive
        self._status = status
        self._has_started = False
        self._cost = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        response = asyncio.create_task(self._respond(send))
        disconnect = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({response, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            disconnect.cancel()
            response.cancel()
            await asyncio.gather(response, disconnect, return_exceptions=True)
        if not response.cancelled() and (error := response.exception()):
            raise error

    async def _respond(self, send: Send) -> None:
        async with aclosing(self._events):
            await (self._send_stream(send) if self._stream else self._send_json(send))

    async def _send_json(self, send: Send) -> None:
        while numbered := await self._receive_event():
            choice, event = numbered
            if isinstance(event, Failed):
                return await self._send_problem(problem_from_failure(event), send)
            self._encoder.encode_event(event, choice)
        return await self._send_response(200, JSON_HEADERS, self._encoder.encode_answer(), send)

    async def _send_stream(self, send: Send) -> None:
        """Send each event at once. The headers wait for the first event that decides the status, or for a keep-alive."""
        keepalives = asyncio.create_task(self._send_keepalives(send))
        try:
            while numbered := await self._receive_event():
                choice, event = numbered
                if isinstance(event, Failed) and not self._has_started:
                    keepalives.cancel()
                    return await self._send_problem(problem_from_failure(event), send)
                if is_decisive(event):
                    await self._start_stream(send)
                    if body := self._encoder.encode_event(event, choice):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
            # A client that follows a stream and has its last event already gets an empty one.
            await self._start_stream(send)
            return await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            keepalives.cancel()

    async def _receive_event(self) -> tuple[int, E | Failed] | None:
        """Returns the next event, None after the last."""
        numbered = await anext(self._events, None)
        if numbered:
            self._record_event(numbered[1])
        return numbered

    async def _send_keepalives(self, send: Send) -> None:
        """Send a comment regularly: proxies cut silent connections. The first one starts the stream, with status 200."""
        while True:
            await asyncio.sleep(self._keepalive_interval)
            await self._start_stream(send)
            await send({"type": "http.response.body", "body": self._keepalive, "more_body": True})

    async def _start_stream(self, send: Send) -> None:
        if not self._has_started:
            self._has_started = True
            await _send_start(200, {**STREAM_HEADERS, **self._headers}, send)

    async def _send_problem(self, problem: Problem, send: Send) -> None:
        headers = {**JSON_HEADERS, **problem.build_headers()}
        await self._send_response(self._status(problem), headers, self._encoder.encode_error(problem), send)

    async def _send_response(self, status: int, headers: dict[str, str], body: bytes, send: Send) -> None:
        await _send_start(status, {**headers, **self._headers, "content-length": str(len(body))}, send)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _record_event(self, event: object) -> None:
        match event:
            case Admitted(offline=offline, conversation=conversation):
                if offline:
                    self._headers[OFFLINE_HEADER] = "offline"
                if conversation:
                    self._headers[CONVERSATION_HEADER] = format_conversation(conversation)
            case Failed(kind):
                log.warning("request failed", kind=kind.value)
            case Done(stop_reason, usage, cost):
                log.info("answered", stop_reason=stop_reason, tokens=usage.output_tokens, cost_usd=cost)
                self._cost += cost or 0
                if cost is not None:
                    self._headers[COST_HEADER] = f"{self._cost:.6f}"
            case _:
                pass


def is_decisive(event: object) -> bool:
    """Whether an event decides the response's status: the job produces an answer, or has failed."""
    return not isinstance(event, Queued | Admitted | UsageWindows)


def format_conversation(conversation: str) -> str:
    """Returns the header that says whether a held CLI process continued the conversation, and otherwise why not."""
    return conversation if conversation == "held" else f"replayed; reason={conversation}"


async def failures_as_events[E](events: AsyncGenerator[tuple[int, E]]) -> AsyncGenerator[tuple[int, E | Failed]]:
    """Yields the events. A fault in this program becomes a Failed, as any other failure."""
    async with aclosing(events):
        try:
            async for numbered in events:
                yield numbered
        except Exception:
            log.exception("a job failed")
            yield 0, Failed(ErrorKind.INTERNAL)


async def _send_start(status: int, headers: dict[str, str], send: Send) -> None:
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return when the client disconnects. The request's body was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
