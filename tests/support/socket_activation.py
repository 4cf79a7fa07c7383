"""In systemd's place, for tests: sockets that listen all the time, handed to programs that come and go."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from tests.support.stack import REPOSITORY
from tests.support.timeouts import TEST_TIMEOUT

# A shell knows its own process' id, which the program then has.
ACTIVATION_SCRIPT = 'LISTEN_PID=$$ exec "$@"'


@contextlib.asynccontextmanager
async def start_activated(
    sock: socket.socket, environment: Mapping[str, str], *arguments: str, log: Path | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A program of ours that is handed a socket that listens, as systemd does it."""
    given = {"PATH": os.environ["PATH"], "LISTEN_FDS": "1", **environment}
    with contextlib.ExitStack() as files:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", ACTIVATION_SCRIPT, "sh", sys.executable, "-m", *arguments),
            env=given,
            cwd=REPOSITORY,
            preexec_fn=lambda: os.dup2(sock.fileno(), 3),
            pass_fds=(3,),
            stderr=files.enter_context(log.open("ab")) if log else None,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def open_notify_socket(folder: Path) -> tuple[socket.socket, str]:
    """Where a program tells how it is."""
    path = str(folder / "notify")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    # Systemd's own is everybody's to tell.
    Path(path).chmod(0o777)
    sock.setblocking(False)
    return sock, path


async def wait_for_state(sock: socket.socket, state: str) -> None:
    """Wait until it says so."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(TEST_TIMEOUT):
        while (await loop.sock_recv(sock, 100)).decode() != state:
            pass
