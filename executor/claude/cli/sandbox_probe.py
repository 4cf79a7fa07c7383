"""Whether the CLI's sandbox holds on this host: tried at start, in a process of its own that never becomes the CLI.

Law: forked before the executor has a connection or another thread. What is not stopped is told; chat is served all the
same, since a model has no hands in the CLI.
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
    """What this host's sandbox lacks, for people: what is known of its kernel, and what was tried and not stopped."""
    if not sandbox.version:
        return sandbox.missing
    try:
        through = _run_trials(sandbox)
    except (OSError, msgspec.DecodeError):
        return (
            *sandbox.missing,
            "the CLI's sandbox could not be tried; a container may forbid Landlock or seccomp: allow both",
        )
    if not through:
        return sandbox.missing
    return (
        *sandbox.missing,
        f"the CLI's sandbox does not stop: {', '.join(through)}; use a newer kernel, or another host",
    )


def _run_trials(sandbox: CliSandbox) -> list[str]:
    """The trials that succeeded. Raises OSError, DecodeError."""
    heard, told = os.pipe()
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
                    os.write(told, msgspec.msgpack.encode(probe.find_unblocked(trials)))
                os._exit(0)
        os.close(told)
        with os.fdopen(heard, "rb") as said:
            through = msgspec.msgpack.decode(said.read(), type=list[str])
        os.waitpid(child, 0)
    # What the kernel is known not to govern is told in better words.
    known = () if sandbox.version >= landlock.NET_ABI else ("TCP to another port",)
    return [name for name in through if name not in known]
