"""What a client sends, heard between it and the real programs, and the model that answers it.

Invariants: a recording has no key, no path and no name of the machine it was made on, and no prose of the client's maker: a long
text is a number of characters.
"""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec
from msgspec import Struct

from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Reply

RECORDINGS_FOLDER = Path(__file__).parents[2] / "recordings"
HOME = "/home/user"
MAX_LENGTHS = {"description": 12}
DEFAULT_MAX_LENGTH = 40
# What is read by programs, however long.
KEPT_FIELDS = {
    "arguments",
    "encrypted_content",
    "signature",
    "thoughtSignature",
    "data",
    "url",
    "image_url",
    "$schema",
    "pattern",
}
# What is between two neighbours only.
HOP_HEADERS = {"host", "connection", "content-length", "transfer-encoding"}
PRIVATE_HEADERS = {*HOP_HEADERS, "authorization", "x-api-key", "api-key", "traceparent"}
SERVER_ID = re.compile(r"\b(?:resp|rs|fc|ctc|msg|sh)_[0-9a-f]{24,}\b")
UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIMEOUT = 120

type Json = dict[str, Any]


class Exchange(Struct, omit_defaults=True):
    """A request, and what came of it. ids: the server's own in its answer, in order. Mutable: filled in by a replay."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    ids: list[str] = []
    asked: list[Json] = []
    answered: Json = {}


class Session(Struct):
    """All that a client sent in one run. call: the tool that the model calls, and its arguments. answer: of a schema."""

    client: str
    call: tuple[str, str] | None
    answer: str | None
    exchanges: list[Exchange]

    def model(self) -> Callable[[ReceivedRequest], Reply]:
        """The model of this session: what it says depends on what it is asked alone."""

        def reply(received: ReceivedRequest) -> Reply:
            offered = {tool["name"] for tool in received.body.get("tools", ())}
            last = received.conversation[-1]["content"] if received.conversation else []
            number = f"toolu_{len(received.conversation)}"
            for asks in ("StructuredOutput", "json"):
                if self.answer and asks in offered:
                    return AnswerReply(tools=[(number, asks, [self.answer])])
            if self.call and self.call[0] in offered and not any(block["type"] == "tool_result" for block in last):
                return AnswerReply("Let me see.", thinking="Hm.", tools=[(number, *self.call[:1], [self.call[1]])])
            return AnswerReply(("All ", "done."))

        return reply


def shorten_texts(value: Any, name: str = "") -> Any:
    """A JSON value without long texts."""
    match value:
        case dict():
            return {key: shorten_texts(each, key) for key, each in value.items()}
        case list():
            return [shorten_texts(each, name) for each in value]
        case str() if len(value) > MAX_LENGTHS.get(name, DEFAULT_MAX_LENGTH) and name not in KEPT_FIELDS:
            return f"({len(value)} characters)"
        case _:
            return value


class Request(NamedTuple):
    """A request as it came; the names of its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """A server between a client and the real one. Mutable: what it has heard."""

    def __init__(self, target: str, folder: Path) -> None:
        self._target = target
        self._folder = str(folder)
        self.exchanges: list[Exchange] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            method, path, _ = line.split(" ")
            request = Request(method, path, headers, await _body(reader, headers))
            exchange = self._exchange(request)
            self.exchanges.append(exchange)
            answer = await self._pass_on(request, writer)
            if path.partition("?")[0].endswith("/responses"):
                exchange.ids = list(dict.fromkeys(SERVER_ID.findall(answer.decode())))
        writer.close()

    def _exchange(self, request: Request) -> Exchange:
        told = {name: value for name, value in request.headers.items() if name not in PRIVATE_HEADERS}
        told["user-agent"] = told.get("user-agent", "").partition(" (")[0]
        kept = shorten_texts(msgspec.json.decode(request.body)) if request.body else None
        told, kept = msgspec.json.decode(self._clean(msgspec.json.encode([told, kept]).decode()))
        return Exchange(request.method, request.path, told, kept)

    def _clean(self, text: str) -> str:
        text = UUID.sub("00000000-0000-4000-8000-000000000000", text.replace(self._folder, HOME))
        return text.replace(os.uname().nodename, "host").replace(os.uname().release, "6.1.0")

    async def _pass_on(self, request: Request, writer: asyncio.StreamWriter) -> bytes:
        """Ask the real server and hand its answer back as it comes; the whole of it."""
        headers = {name: value for name, value in request.headers.items() if name not in HOP_HEADERS}
        headers["accept-encoding"] = "identity"
        answer = bytearray()
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT) as client,
            client.stream(
                request.method, self._target + request.path, headers=headers, content=request.body or None
            ) as response,
        ):
            print(request.method, request.path, response.status_code, file=sys.stderr)
            fields = {name: value for name, value in response.headers.items() if name not in HOP_HEADERS}
            lines = (f"HTTP/1.1 {response.status_code} Recorded", "Connection: close", *map(": ".join, fields.items()))
            writer.write("\r\n".join((*lines, "", "")).encode("latin-1"))
            async for chunk in response.aiter_raw():
                answer += chunk
                writer.write(chunk)
                await writer.drain()
        return bytes(answer)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    chunks: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)


def load_recording(name: str) -> Session:
    """A recording."""
    return msgspec.json.decode((RECORDINGS_FOLDER / f"{name}.json").read_bytes(), type=Session)


def save_recording(name: str, session: Session) -> None:
    """Keep a recording."""
    RECORDINGS_FOLDER.mkdir(exist_ok=True)
    (RECORDINGS_FOLDER / f"{name}.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(session), indent=1) + b"\n"
    )
