"""The server: uvicorn with a drain that starts at the signal, for streams too, and with this package's connections."""

import asyncio
import functools
import os
import signal
import socket
from types import FrameType

import uvicorn
from litestar.types import ASGIApp

from api.http.connections.connection import Connection
from api.http.connections.early_responses import ErrorRenderer
from api.http.connections.registry import ConnectionRegistry
from api.http.drain import Drain
from shared.process.systemd import notify

# After the grace period every stream has ended; this is for one that cannot.
FORCED_EXIT_DELAY = 1.0
IDLE_TIMEOUT = 75
TICKS_PER_SECOND = 10


class Server(uvicorn.Server):
    """Serves until a signal, then drains. Mutable: whether it drains."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        drain: Drain,
        registry: ConnectionRegistry,
        render_error: ErrorRenderer,
    ) -> None:
        config = uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType] # Litestar's and uvicorn's ASGI types differ in name only
            host=host,
            port=port,
            loop="uvloop",
            http=functools.partial(Connection, registry, render_error),  # pyright: ignore[reportArgumentType] # uvicorn calls it like the class
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # A caller's address is decided in one place (api/http/client_address.py).
            proxy_headers=False,
            date_header=True,
            timeout_keep_alive=IDLE_TIMEOUT,
            timeout_graceful_shutdown=int(drain.grace + FORCED_EXIT_DELAY + 0.5),
        )
        super().__init__(config)
        self._drain = drain
        self._registry = registry

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, on `sockets` if given, and notify systemd."""
        await super().startup(sockets)
        if self.started:
            notify(os.environ, "READY=1")

    async def on_tick(self, counter: int) -> bool:
        """Run uvicorn's tick, ten times a second, and check the connections' timeouts once a second."""
        if counter % TICKS_PER_SECOND == 0:
            self._registry.check_timeouts(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # a signal handler's signature
        """Start the drain; a second SIGINT ends it. uvicorn's own handler would raise the signal again after the drain."""
        notify(os.environ, "STOPPING=1")
        self._start_drain()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def _start_drain(self) -> None:
        # At once, so that new connections go to the next process that listens on the inherited socket.
        for server in getattr(self, "servers", ()):
            asyncio.get_running_loop().call_soon_threadsafe(server.close)
        self._drain.begin()

    def drain_when_closed(self, parent_fd: int) -> None:
        """Also drain when the pipe `parent_fd` is closed."""

        def on_closed() -> None:
            asyncio.get_running_loop().remove_reader(parent_fd)
            self._start_drain()
            self.should_exit = True

        asyncio.get_running_loop().add_reader(parent_fd, on_closed)
