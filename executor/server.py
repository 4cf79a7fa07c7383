"""The executor's socket: bound for its owner and group only, before it listens; drained before it closes."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from executor.claude.role import ClaudeRole
from executor.session import Session
from executor.tools.role import ToolsRole
from shared.process.peers import TrustedPeers, find_folder_problem, find_trusted_peers
from shared.process.systemd import notify, notify_watchdog, take_listen_sockets
from shared.process.watchdog import end_when_stalled
from shared.tracing import Tracing

FOLDER_MODE = 0o750
SOCKET_MODE = 0o660
# The size of sun_path (unix(7)), less the final NUL.
MAX_SOCKET_PATH = 107

# From Python 3.13 on, a loop removes the socket's file when it closes; a file that systemd made must stay.
START_SERVER_OPTIONS: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}

log = structlog.get_logger()


class BindError(Exception):
    """The socket can't be bound; the message says why, and the fix."""


def bind_socket(path: Path) -> socket.socket:
    """Returns the socket that systemd passed, or one bound at `path` that does not listen yet. Raises BindError."""
    if passed := take_listen_sockets(os.environ, os.getpid()):
        return passed[0]
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise BindError(f"RUN_DIR: {path} is longer than a Unix socket's path may be. Set RUN_DIR to a shorter path.")
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if problem := find_folder_problem(path.parent):
            raise BindError(problem)
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o777 - SOCKET_MODE)
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
    except OSError as error:
        raise BindError(
            f"RUN_DIR: {path} can't be made: {error.strerror}. Set RUN_DIR to a writable folder."
        ) from error
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            path.unlink(missing_ok=True)
        else:
            raise BindError(f"{path}: an executor of this name is running. End it, or give this one another --name.")


class Server:
    """Serves connections. Mutable: the running sessions, and whether the server drains."""

    def __init__(
        self,
        role: ClaudeRole | ToolsRole,
        path: Path,
        drain_timeout: float,
        tracing: Tracing | None = None,
        trust: TrustedPeers | None = None,
        *,
        watchdog: float = 0,
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        """trust: which peers it serves; None: those that its present user may serve. watchdog: seconds; 0 for none.

        on_drain: is called when the server starts to drain.
        """
        self._on_drain = on_drain
        self._watchdog = watchdog
        self._trust = trust
        self._tracing = tracing or Tracing()
        self._owns_socket_file = True
        self._role = role
        self._path = path
        self._drain_timeout = drain_timeout
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Refuses new jobs from now on; a second call has no effect."""
        self._draining.set()

    def abandon(self) -> None:
        """Drains without waiting for running jobs, because no process is left that could finish them."""
        self._drain_timeout = 0
        self._draining.set()

    async def serve(self, sock: socket.socket) -> None:
        """Serves until drained: running jobs get `drain_timeout` seconds, then end with an error."""
        # A socket that listens already was made by systemd, which also removes it.
        self._owns_socket_file = not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        self._trust = self._trust or find_trusted_peers(sock)
        server = await asyncio.start_unix_server(self._handle_connection, sock=sock, **START_SERVER_OPTIONS)
        health_tasks = [
            asyncio.create_task(notify_watchdog(os.environ, os.getpid())),
            asyncio.create_task(end_when_stalled(self._watchdog)),
        ]
        try:
            notify(os.environ, "READY=1")
            await self._draining.wait()
            notify(os.environ, "STOPPING=1")
            self._on_drain()
            self._remove_socket_file()
            server.close()
            log.info("draining", jobs=len(self._sessions))
            if self._sessions:
                await asyncio.wait(list(self._sessions), timeout=self._drain_timeout)
            for session in self._sessions.values():
                session.abort()
            if self._sessions:
                await asyncio.wait(list(self._sessions), timeout=1)
        finally:
            for task in health_tasks:
                task.cancel()
            server.close()
            for task in self._sessions:
                task.cancel()
            self._remove_socket_file()

    def _remove_socket_file(self) -> None:
        if not self._owns_socket_file:
            return
        # A process that dropped root may not remove it; the next executor of this name will.
        with contextlib.suppress(PermissionError):
            self._path.unlink(missing_ok=True)

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        session = Session(self._role, reader, writer, self._tracing)
        if self._trust and not self._trust.accepts(writer.get_extra_info("socket")):
            await session.refuse()
            return
        self._sessions[task] = session
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await session.serve(draining=self._draining.is_set())
        finally:
            del self._sessions[task]


def drain_on_signals(server: Server, parent_fd: int | None) -> None:
    """Drains the server on SIGTERM, SIGINT, and when the program that started it ends."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.drain)
    if parent_fd is not None:
        loop.add_reader(parent_fd, server.drain)
