"""HTTP written by hand, for tests of what no library would send."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from msgspec import Struct

from tests.support.chat import build_body
from tests.support.stack import API_KEY, Stack

CHAT_PATH = "/v1/chat/completions"


class RawResponse(Struct, frozen=True):
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


class RawConnection:
    """A connection. Mutable: the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send, and wait until the kernel has it. Raises ConnectionError."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def read_response(self) -> RawResponse | None:
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
                return RawResponse(status, headers, await self.reader.readexactly(int(headers["content-length"])))
            whole = b""
            while size := int(await self.reader.readline() or b"0", 16):
                whole += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readline()
            return RawResponse(status, headers, whole)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def read_all(self) -> list[RawResponse]:
        """Every response until the connection is closed."""
        answers: list[RawResponse] = []
        while (answer := await self.read_response()) is not None:
            answers.append(answer)
        return answers

    def close(self) -> None:
        """Be gone."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def open_connections(stack: Stack, count: int) -> AsyncGenerator[list[RawConnection]]:
    """Connections to the API, which end with the block."""
    connections: list[RawConnection] = []
    try:
        while len(connections) < count:
            connections.append(RawConnection(*await asyncio.open_connection("127.0.0.1", stack.port)))
        yield connections
    finally:
        for connection in connections:
            connection.close()
        await asyncio.sleep(0)  # so that the loop forgets them


@contextlib.asynccontextmanager
async def open_connection(stack: Stack) -> AsyncGenerator[RawConnection]:
    """One connection."""
    async with open_connections(stack, 1) as [connection]:
        yield connection


def build_head(stack: Stack, *lines: str, method: str = "POST", path: str = CHAT_PATH, key: bool = True) -> bytes:
    """The head of a request."""
    first = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{stack.port}"]
    return "\r\n".join([*first, *([f"Authorization: Bearer {API_KEY}"] if key else []), *lines, "", ""]).encode(
        "latin-1"
    )


def build_chat_request(stack: Stack, *lines: str, words: str = "hi", path: str = CHAT_PATH) -> bytes:
    """A whole chat request."""
    payload = json.dumps(build_body(words)).encode()
    return (
        build_head(stack, "Content-Type: application/json", f"Content-Length: {len(payload)}", *lines, path=path)
        + payload
    )
