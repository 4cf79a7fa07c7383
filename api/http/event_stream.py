"""Events and an encoder, as an HTTP response: the only place that knows the traps of streaming.

Law: the status is decided before the first byte; a stream that has begun ends with its dialect's own end, whatever
happened; a client that hangs up, streaming or not, ends its job at once.

An ASGI application instead of the framework's own stream: that one leaves a generator that is suspended at `yield`
unclosed when the client goes, and never sees a client of a plain JSON answer go.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import structlog
from litestar.types import Receive, Scope, Send

from api.core.problems import Problem, problem_from_failure
from api.executors.turn_client import is_decisive
from shared.errors import ErrorKind
from shared.events import Admitted, Done, Failed

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
JSON_HEADERS = {"content-type": "application/json"}
KEEPALIVE_COMMENT = b": keep-alive\n\n"
OFFLINE_HEADER = "x-claude-api-server-mode"
COST_HEADER = "x-cost-usd"

log = structlog.get_logger()


class Encoder[E](Protocol):
    """What a dialect makes of the events of one answer. Pure."""

    def encode_event(self, event: E, choice: int = 0) -> bytes:
        """The bytes of a stream that say `event` of the answer `choice`; empty when there is nothing to say."""
        ...

    def encode_answer(self) -> bytes:
        """The JSON body of the answer, after the last event was seen."""
        ...

    def encode_error(self, problem: Problem) -> bytes:
        """The JSON body of an error."""
        ...


class EventStreamResponse[E]:
    """An ASGI application that answers one request with the events of one job."""

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
        self._events = events
        self._encoder = encoder
        self._stream = stream
        self._keepalive_interval = keepalive_interval
        self._headers = headers or {}
        self._keepalive = keepalive
        self._status = status
        self._has_started = False
        self._cost = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        respond = asyncio.create_task(self._respond(send))
        hangup = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({respond, hangup}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hangup.cancel()
            respond.cancel()
            await asyncio.gather(respond, hangup, return_exceptions=True)
        if not respond.cancelled() and (error := respond.exception()):
            raise error

    async def _respond(self, send: Send) -> None:
        async with aclosing(failures_as_events(self._events)) as events:
            if self._stream:
                await self._send_stream(events, send)
            else:
                await self._send_json(events, send)

    async def _send_json(self, events: AsyncGenerator[tuple[int, E | Failed]], send: Send) -> None:
        async for choice, event in events:
            self._record_event(event)
            if isinstance(event, Failed):
                return await self._send_problem(problem_from_failure(event), send)
            self._encoder.encode_event(event, choice)
        return await self._send_response(200, JSON_HEADERS, self._encoder.encode_answer(), send)

    async def _send_stream(self, events: AsyncGenerator[tuple[int, E | Failed]], send: Send) -> None:
        """Headers wait for the first event that decides the status, but not for ever; then every event as it comes."""
        pulse = asyncio.create_task(self._send_keepalives(send))
        try:
            async for choice, event in events:
                self._record_event(event)
                if isinstance(event, Failed) and not self._has_started:
                    pulse.cancel()
                    return await self._send_problem(problem_from_failure(event), send)
                if is_decisive(event):
                    await self._start_stream(send)
                    if body := self._encoder.encode_event(event, choice):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
            # Who follows a stream and has its last event already is told nothing.
            await self._start_stream(send)
            return await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            pulse.cancel()

    async def _send_keepalives(self, send: Send) -> None:
        """Say that we are alive: proxies cut silent connections, so that the status can't wait for ever either."""
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
            case Admitted(offline=True):
                self._headers[OFFLINE_HEADER] = "offline"
            case Failed(kind):
                log.warning("no answer", kind=kind.value)
            case Done(stop_reason, usage, cost):
                log.info("answered", stop_reason=stop_reason, tokens=usage.output_tokens, cost_usd=cost)
                self._cost += cost or 0
                if cost is not None:
                    self._headers[COST_HEADER] = f"{self._cost:.6f}"
            case _:
                pass


async def failures_as_events[E](events: AsyncGenerator[tuple[int, E]]) -> AsyncGenerator[tuple[int, E | Failed]]:
    """The events; a fault of ours among them ends the answer as any other failure does."""
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
    """Return when the client has gone. The request's body was read before."""
    while (await receive())["type"] != "http.disconnect":
        pass
