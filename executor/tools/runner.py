"""Runs a task in the sandbox and brings what it writes, as it comes.

Law: nothing is held without a bound: what is over the limit of output is read and thrown away, then the job is ended.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Literal

import msgspec

from executor.sandbox.zygote.client import Running, Zygote, ZygoteLost
from executor.sandbox.zygote.reaper import MOST_SAID, Ended
from shared.tool_jobs import CommandEnded, Output

PIECE = 64 * 1024
# How much more than the limit a command may write before it is ended.
PATIENCE = 10

type Stream = Literal["stdout", "stderr"]
type Take = Callable[[Stream, bytes], Awaitable[None]]

_end = msgspec.msgpack.Decoder(Ended)


class KeeperLost(Exception):
    """The job's keeper, or the process that was to do the job, was killed."""


async def ran(zygote: Zygote, asked: bytes, take: Take, *, stdin: bytes | None = None, merged: bool = False) -> Ended:
    """Run it to its end, with a keeper; `take` gets what it writes. Being cancelled ends it. Raises ZygoteLost, KeeperLost.

    merged: all of it comes as `stdout`, in the order in which it was written.
    """
    async with _running(zygote, asked, stdin, merged=merged) as running:
        work = [asyncio.ensure_future(_pump(running.stdout, "stdout", take, running.control))]
        if running.stderr is not None:
            work.append(asyncio.ensure_future(_pump(running.stderr, "stderr", take, running.control)))
        try:
            await asyncio.gather(*work)
            return await _ended(zygote, running)
        finally:
            for each in work:
                each.cancel()


async def ran_alone(zygote: Zygote, asked: bytes, most: int) -> bytes:
    """All that it writes, up to `most` bytes and a piece. Being cancelled ends it. Raises ZygoteLost."""
    written = bytearray()
    async with aclosing(_pieces(zygote.start_alone(asked))) as pieces:
        async for data in pieces:
            written += data
            if len(written) > most:
                break
    if not written and not zygote.lives:
        raise ZygoteLost
    return bytes(written)


async def _ended(zygote: Zygote, running: Running) -> Ended:
    try:
        told = await asyncio.get_running_loop().sock_recv(running.control, MOST_SAID + 4096)
    except ConnectionError:
        told = b""
    if not told:
        raise KeeperLost if zygote.lives else ZygoteLost
    return _end.decode(told)


class Enough(Exception):
    """It wrote too much: it is to be ended."""


class Bounded:
    """Gives output on, up to a limit. Mutable: how much there was."""

    def __init__(self, emit: Callable[[Output], Awaitable[None]], limit: int) -> None:
        self._emit = emit
        self._limit = limit
        self._seen = 0

    async def __call__(self, stream: Stream, data: bytes) -> None:
        room = max(0, self._limit - self._seen)
        self._seen += len(data)
        if room:
            await self._emit(Output(stream, data[:room]))
        if self._seen > self._limit * PATIENCE:
            raise Enough

    @property
    def truncated(self) -> bool:
        return self._seen > self._limit


def command_ended(ended: Ended, *, truncated: bool) -> CommandEnded:
    """The end, in the words of the contract."""
    return CommandEnded(ended.returncode, ended.timed_out, truncated)


@asynccontextmanager
async def _running(zygote: Zygote, asked: bytes, stdin: bytes | None, *, merged: bool) -> AsyncGenerator[Running]:
    running = zygote.start(asked, stdin=stdin is not None, merged=merged)
    source: asyncio.WriteTransport | None = None
    try:
        if running.stdin is not None:
            pipe = os.fdopen(running.stdin, "wb", buffering=0)
            source, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, pipe)
            source.write(stdin or b"")
            # After all of it is read.
            source.close()
        yield running
    finally:
        running.control.close()
        if source:
            source.abort()


async def _pump(descriptor: int, stream: Stream, take: Take, control: socket.socket) -> None:
    enough = False
    async with aclosing(_pieces(descriptor)) as pieces:
        async for data in pieces:
            if not enough:
                try:
                    await take(stream, data)
                except Enough:
                    enough = True
                    with contextlib.suppress(OSError):
                        control.shutdown(socket.SHUT_WR)


async def _pieces(descriptor: int) -> AsyncGenerator[bytes]:
    """What is written to a pipe, as it comes; the pipe is closed at the end."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)
    try:
        while True:
            try:
                data = os.read(descriptor, PIECE)
            except BlockingIOError:
                await _readable(loop, descriptor)
                continue
            if not data:
                return
            yield data
    finally:
        os.close(descriptor)


async def _readable(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)
