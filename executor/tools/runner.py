"""Runs a task in the sandbox and passes its output on as it arrives.

Invariants: memory is bounded: output over the limit is read and discarded, then the job is ended.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Literal

import msgspec

from executor.sandbox.zygote.client import RunningJob, Zygote, ZygoteCrashed
from executor.sandbox.zygote.reaper import MAX_LAST_MESSAGE_BYTES, JobExit
from executor.tools.task import JobRefused
from shared.events import Failed
from shared.tool_jobs import CommandOutput

CHUNK_SIZE = 64 * 1024
OVERRUN_FACTOR = 10

type Stream = Literal["stdout", "stderr"]
type OutputHandler = Callable[[Stream, bytes], Awaitable[None]]

_exit_decoder = msgspec.msgpack.Decoder(JobExit)
_failure_decoder = msgspec.msgpack.Decoder(Failed)


class ReaperCrashed(Exception):
    """The job's reaper, or the process for the job, was killed."""


async def run_reaped(
    zygote: Zygote, payload: bytes, handle_output: OutputHandler, *, stdin: bytes | None = None, merged: bool = False
) -> JobExit:
    """Runs a job with a reaper to its end; handle_output gets its output. Cancellation ends it.

    Raises ZygoteCrashed, ReaperCrashed, and JobRefused if the job's process refused it. merged: all output arrives as `stdout`, in the order in which it was written.
    """
    async with _start_job(zygote, payload, stdin, merged=merged) as running:
        pumps = [asyncio.ensure_future(_pump(running.stdout, "stdout", handle_output, running.control))]
        if running.stderr is not None:
            pumps.append(asyncio.ensure_future(_pump(running.stderr, "stderr", handle_output, running.control)))
        try:
            await asyncio.gather(*pumps)
            return await _read_exit(zygote, running)
        finally:
            for pump in pumps:
                pump.cancel()


async def run_single(zygote: Zygote, payload: bytes, max_bytes: int) -> bytes:
    """Runs a job without a reaper. Returns its output, up to `max_bytes` and a chunk. Cancellation ends it. Raises ZygoteCrashed."""
    written = bytearray()
    async with aclosing(_read_chunks(zygote.start_single(payload))) as chunks:
        async for data in chunks:
            written += data
            if len(written) > max_bytes:
                break
    if not written and not zygote.is_alive:
        raise ZygoteCrashed
    return bytes(written)


async def _read_exit(zygote: Zygote, running: RunningJob) -> JobExit:
    try:
        report = await asyncio.get_running_loop().sock_recv(running.control, MAX_LAST_MESSAGE_BYTES + 4096)
    except ConnectionError:
        report = b""
    if not report:
        raise ReaperCrashed if zygote.is_alive else ZygoteCrashed
    job_exit = _exit_decoder.decode(report)
    if job_exit.last_message:
        failed = _failure_decoder.decode(job_exit.last_message)
        raise JobRefused(failed.kind, failed.detail)
    return job_exit


class OutputLimitReached(Exception):
    """The job wrote too much and must be ended."""


class LimitedOutput:
    """Passes output on, up to a limit in bytes. Mutable: the bytes so far."""

    def __init__(
        self, emit: Callable[[CommandOutput], Awaitable[None]], limit: int, overrun_factor: int = OVERRUN_FACTOR
    ) -> None:
        """overrun_factor: the job is ended when its output is so many times as long as the limit."""
        self._emit = emit
        self._limit = limit
        self._overrun_factor = overrun_factor
        self._total_bytes = 0

    async def __call__(self, stream: Stream, data: bytes) -> None:
        room = max(0, self._limit - self._total_bytes)
        self._total_bytes += len(data)
        if room:
            await self._emit(CommandOutput(stream, data[:room]))
        if self._total_bytes > self._limit * self._overrun_factor:
            raise OutputLimitReached

    @property
    def truncated(self) -> bool:
        return self._total_bytes > self._limit


@asynccontextmanager
async def _start_job(
    zygote: Zygote, payload: bytes, stdin: bytes | None, *, merged: bool
) -> AsyncGenerator[RunningJob]:
    running = zygote.start_reaped(payload, stdin=stdin is not None, merged=merged)
    source: asyncio.WriteTransport | None = None
    try:
        if running.stdin is not None:
            pipe = os.fdopen(running.stdin, "wb", buffering=0)
            source, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, pipe)
            source.write(stdin or b"")
            # The pipe closes after the job has read all of it.
            source.close()
        yield running
    finally:
        running.control.close()
        if source:
            source.abort()


async def _pump(descriptor: int, stream: Stream, handle_output: OutputHandler, control: socket.socket) -> None:
    limit_reached = False
    async with aclosing(_read_chunks(descriptor)) as chunks:
        async for data in chunks:
            if not limit_reached:
                try:
                    await handle_output(stream, data)
                except OutputLimitReached:
                    limit_reached = True
                    with contextlib.suppress(OSError):
                        control.shutdown(socket.SHUT_WR)


async def _read_chunks(descriptor: int) -> AsyncGenerator[bytes]:
    """Yields what arrives through a pipe, and closes the pipe at the end."""
    reader = asyncio.StreamReader(CHUNK_SIZE)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while data := await reader.read(CHUNK_SIZE):
            yield data
    finally:
        transport.close()
