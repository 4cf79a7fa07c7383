"""api: the HTTP face of the server.

usage: python -m api [--parent-fd N] [--check]

It listens on HOST:PORT, or on the socket that systemd passes, and sends every job to an executor whose socket is in
RUN_DIR. Its settings come from its environment (.env.example lists them). It holds no credential of the model's
service: one in its environment is removed before anything else happens.

  --parent-fd N    drain when this inherited pipe is closed, so that it ends with its parent
  --check          do not serve: write the problems of settings, database and limits as JSON, for the doctor, and exit

SIGTERM and SIGINT drain: no new work, running jobs get DRAIN_TIMEOUT seconds, then an error event.
Exit status: 0 drained or checked, 1 the address is taken, 2 invalid setting or argument.
"""

import argparse
import asyncio
import gc
import os
import sys
from functools import partial

import msgspec
import uvloop
from pydantic import ValidationError

from api.admin.check import run_check
from api.app import create_app
from api.dialects.error_rendering import render_error_for_path
from api.http.connections.registry import ConnectionLimits, ConnectionRegistry, compute_max_connections
from api.http.drain import Drain
from api.http.server import Server
from api.observability.metrics import Metrics
from api.settings import Settings
from shared import logging
from shared.checks import ApiCheck
from shared.claude_cli import CREDENTIAL_VARIABLES
from shared.process import core_dumps
from shared.process.systemd import notify_watchdog, read_credentials, take_listen_sockets
from shared.process.watchdog import end_when_stalled
from shared.settings import render_validation_errors
from shared.tracing import build_tracing

# How long a thread that decodes a large body may delay the event loop.
SWITCH_INTERVAL = 0.001


def restart_without_credentials() -> None:
    """Re-execute without credentials, so that they are neither in this process' memory nor in /proc/PID/environ."""
    if any(name in os.environ for name in CREDENTIAL_VARIABLES):
        clean = {name: value for name, value in os.environ.items() if name not in CREDENTIAL_VARIABLES}
        options = ["-P"] if sys.flags.safe_path else []
        os.execve(sys.executable, [sys.executable, *options, "-m", "api", *sys.argv[1:]], clean)  # noqa: S606


def main() -> int:
    """Serve until drained."""
    restart_without_credentials()
    core_dumps.disable()
    parser = argparse.ArgumentParser(prog="api", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args()

    credentials = {name.lower(): value for name, value in read_credentials(os.environ, ("API_SECRET_TOKEN",)).items()}
    try:
        settings = Settings(**credentials)  # pyright: ignore[reportCallIssue, reportArgumentType] # its values come from the environment
    except ValidationError as error:
        errors = tuple(render_validation_errors(error.errors()))
        if parsed.check:
            print(msgspec.json.encode(ApiCheck(errors)).decode())
            return 0
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    if parsed.check:
        print(msgspec.json.encode(uvloop.run(run_check(settings))).decode())
        return 0
    logging.configure("api", settings.log_level, settings.log_format)
    drain = Drain(settings.drain_timeout)
    traces = build_tracing("api", os.environ)
    metrics = Metrics()
    limits = ConnectionLimits(
        compute_max_connections(settings.max_connections), settings.read_header_timeout, settings.write_timeout
    )
    app = create_app(settings, drain, traces, metrics)
    registry = ConnectionRegistry(
        limits, partial(metrics.adjust, "http_connections"), partial(metrics.count, "http_refused_connections_total")
    )
    server = Server(
        app, settings.host, settings.port, drain=drain, registry=registry, render_error=render_error_for_path
    )

    sys.setswitchinterval(SWITCH_INTERVAL)
    # Objects that live as long as the process are excluded from garbage collection.
    gc.freeze()
    sockets = take_listen_sockets(os.environ, os.getpid())

    async def serve() -> None:
        watchdogs = [
            asyncio.create_task(notify_watchdog(os.environ, os.getpid())),
            asyncio.create_task(end_when_stalled(settings.watchdog_timeout)),
        ]
        if parsed.parent_fd is not None:
            server.drain_when_closed(parsed.parent_fd)
        await server.serve(sockets or None)
        for watchdog in watchdogs:
            watchdog.cancel()

    try:
        uvloop.run(serve())
    finally:
        traces.close()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
