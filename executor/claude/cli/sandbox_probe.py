"""Tests at the start whether the CLI's sandbox works on this host, in a process that never becomes the CLI.

Invariants: the process is forked before the executor has a connection or another thread. An attack that is not stopped is
reported, and chat is served all the same: the CLI has no tools that a model could use for it.
"""

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from executor.claude.cli.sandbox import CliSandbox, prepare_entry
from executor.sandbox import landlock, probe


def find_missing(sandbox: CliSandbox) -> tuple[str, ...]:
    """Returns what the sandbox lacks on this host: what the kernel is known to lack, and the trials that succeeded."""
    if not sandbox.version:
        return sandbox.missing
    try:
        unblocked = _run_trials(sandbox)
    except (OSError, msgspec.DecodeError):
        return (
            *sandbox.missing,
            "the CLI's sandbox could not be tried; a container may forbid Landlock or seccomp: allow both",
        )
    if not unblocked:
        return sandbox.missing
    return (
        *sandbox.missing,
        f"the CLI's sandbox does not stop: {', '.join(unblocked)}; use a newer kernel, or another host",
    )


def _run_trials(sandbox: CliSandbox) -> list[str]:
    """Returns the names of the trials that succeeded. Raises OSError, DecodeError."""
    reader, writer = os.pipe()
    with (
        tempfile.TemporaryDirectory(prefix="cli-trial-") as outside,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        inside = Path(outside) / "inside"
        inside.mkdir()
        port = listening.getsockname()[1]
        with prepare_entry(sandbox, inside) as enter:
            child = os.fork()
            if child == 0:
                with suppress(BaseException):
                    enter()
                    trials = probe.list_cli_trials(port, outside, dns=sandbox.needs_dns)
                    os.write(writer, msgspec.msgpack.encode(probe.find_unblocked(trials)))
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            unblocked = msgspec.msgpack.decode(output.read(), type=list[str])
        os.waitpid(child, 0)
    # `missing` already reports what the kernel is known not to control.
    known = () if sandbox.version >= landlock.NET_ABI else ("TCP to another port",)
    return [name for name in unblocked if name not in known]
