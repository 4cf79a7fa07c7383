"""Converts the answers of /mcp to a media type that the client accepts.

The SDK answers with event streams or JSON, and requires clients to accept both. Here a client may accept only one of
them, because each answer can be converted.

Invariants: a client that accepts both, or has no `Accept` header, gets what the SDK sends. An error's body is always JSON
(RFC 9110 §15.5.7 allows it). An answer as JSON is the response only, without notifications such as progress.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar.types import Send
from msgspec import Struct

from api.core.problems import Problem

JSON = "application/json"
STREAM = "text/event-stream"
BOTH_TYPES = frozenset((JSON, STREAM))
ANY_TYPE = "*/*"
NO_RESPONSE_BODY = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"The session ended before there was an answer."}}'
)


class JsonRpcEvent(Struct, frozen=True):
    """The field that requests and notifications have, and responses do not."""

    method: str | None = None


_event = msgspec.json.Decoder(JsonRpcEvent)


def parse_accept(accept: str) -> frozenset[str]:
    """Returns which of the two types an `Accept` allows (RFC 9110 §12.5.1). None at all allows everything."""
    weights: dict[str, float] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name:
            weights[name] = max(weights.get(name, 0), _parse_weight(parameters))
    if not weights:
        return BOTH_TYPES
    return frozenset(kind for kind in BOTH_TYPES if _find_weight(kind, weights) > 0)


def _find_weight(kind: str, weights: dict[str, float]) -> float:
    """Returns the weight of the most specific range that includes a media type."""
    ranges = (kind, f"{kind.partition('/')[0]}/*", ANY_TYPE)
    return next((weights[name] for name in ranges if name in weights), 0)


def _parse_weight(parameters: list[str]) -> float:
    weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return float(weight)
    except ValueError:
        return 1


def not_acceptable_problem(kinds: str) -> Problem:
    """Returns the problem of a client that accepts neither type. kinds: the types that it must accept."""
    return Problem(406, "not_acceptable", f"Send Accept: {kinds}.")


def adapt_send(send: Send, kinds: frozenset[str], is_disconnected: Callable[[], bool]) -> Send:
    """Returns a `send` that converts answers to a type that the client accepts."""
    if kinds == BOTH_TYPES or not kinds:
        return send
    return JsonSender(send, is_disconnected) if JSON in kinds else StreamSender(send)


class JsonSender:
    """Sends the single response of an event stream as JSON. Mutable: what it read so far."""

    def __init__(self, send: Send, is_disconnected: Callable[[], bool]) -> None:
        self._send = send
        self._is_disconnected = is_disconnected
        self._start: Any = None
        self._rest = b""
        self._response = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start" and _get_content_type(message).startswith(STREAM):
            self._start = message
        elif message["type"] == "http.response.body" and self._start:
            self._read_events(message["body"])
            if not message.get("more_body"):
                await self._send_response(self._start)
        else:
            await self._send(message)

    def _read_events(self, data: bytes) -> None:
        """Reads events, whose data is one line of JSON. Ignores comments and other fields than `data`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            name, _, value = line.strip().partition(b":")
            if name == b"data" and _event.decode(value).method is None:
                self._response = value.strip()

    async def _send_response(self, start: Any) -> None:
        if not self._response and self._is_disconnected():
            return
        body = self._response or NO_RESPONSE_BODY
        await self._send(_replace_content_type(start, JSON, status=200 if self._response else 500, length=len(body)))
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


class StreamSender:
    """Sends a JSON answer as an event stream of one event. Mutable: whether the answer is JSON."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._json = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._json = message["status"] == 200 and _get_content_type(message).startswith(JSON)
            message = _replace_content_type(message, STREAM) if self._json else message
        elif message["type"] == "http.response.body" and self._json and message["body"]:
            message = {**message, "body": b"event: message\r\ndata: %b\r\n\r\n" % message["body"]}
        await self._send(message)


def _get_content_type(message: Any) -> str:
    headers = {name.lower(): value for name, value in message.get("headers", ())}
    return headers.get(b"content-type", b"").decode("latin-1").lower()


def _replace_content_type(start: Any, kind: str, *, status: int = 200, length: int | None = None) -> Any:
    """Returns the start of an answer with another media type."""
    replaced = {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering"}
    headers = [(name, value) for name, value in start.get("headers", ()) if name.lower() not in replaced]
    headers.append((b"content-type", kind.encode()))
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    if kind == STREAM:
        headers += [(b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no")]
    return {"type": "http.response.start", "status": status, "headers": headers}
