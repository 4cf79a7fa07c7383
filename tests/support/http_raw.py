"""HTTP written by hand, for tests of what no library would send."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from msgspec import Struct

from tests.support.chat import body
from tests.support.stack import KEY, Stack

CHAT = "/v1/chat/completions"


class Answered(Struct, frozen=True):
    """A response. headers: by their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code or type of an error, in whichever envelope."""
        told: Any = json.loads(self.body)
        error = told.get("error", told)
        return error.get("code") or error.get("type")


class Wire:
    """A connection. Mutable: the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send, and wait until the kernel has it. Raises ConnectionError."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> Answered | None:
        """The next response; None when the connection is closed instead."""
        try:
            line = await self.reader.readline()
            if not line:
                return None
            headers: dict[str, str] = {}
            while field := (await self.reader.readline()).rstrip():
                name, _, value = field.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            status = int(line.split()[1])
            if "content-length" in headers:
                return Answered(status, headers, await self.reader.readexactly(int(headers["content-length"])))
            whole = b""
            while size := int(await self.reader.readline() or b"0", 16):
                whole += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readline()
            return Answered(status, headers, whole)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def all(self) -> list[Answered]:
        """Every response until the connection is closed."""
        answers: list[Answered] = []
        while (answer := await self.answer()) is not None:
            answers.append(answer)
        return answers

    def close(self) -> None:
        """Be gone."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def wires(stack: Stack, count: int) -> AsyncGenerator[list[Wire]]:
    """Connections to the API, which end with the block."""
    connections: list[Wire] = []
    try:
        while len(connections) < count:
            connections.append(Wire(*await asyncio.open_connection("127.0.0.1", stack.port)))
        yield connections
    finally:
        for connection in connections:
            connection.close()
        await asyncio.sleep(0)  # so that the loop forgets them


@contextlib.asynccontextmanager
async def wire(stack: Stack) -> AsyncGenerator[Wire]:
    """One connection."""
    async with wires(stack, 1) as [connection]:
        yield connection


def head(stack: Stack, *lines: str, method: str = "POST", path: str = CHAT, key: bool = True) -> bytes:
    """The head of a request."""
    first = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{stack.port}"]
    return "\r\n".join([*first, *([f"Authorization: Bearer {KEY}"] if key else []), *lines, "", ""]).encode("latin-1")


def chat(stack: Stack, *lines: str, words: str = "hi", path: str = CHAT) -> bytes:
    """A whole chat request."""
    payload = json.dumps(body(words)).encode()
    return head(stack, "Content-Type: application/json", f"Content-Length: {len(payload)}", *lines, path=path) + payload
