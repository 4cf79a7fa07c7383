"""The network, from inside a job: what listens here is what a job would want to reach, the server's own included.

Invariants: nothing is reached and no name is looked up. Without the defences everything here is.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.security.attack import Attack, code, command
from tests.security.conftest import Unfenced
from tests.support.tools import ToolsProgram

pytestmark = [
    pytest.mark.attack("The network"),
]

BOTH = ("seccomp", "landlock")
MPTCP = 262

ATTACKS: dict[str, Attack] = {
    "the API's port": code("socket.create_connection(('127.0.0.1', port), timeout=5)", down=BOTH),
    "the API's port by IPv6": code("socket.create_connection(('::1', port6), timeout=5)", down=BOTH),
    "the API's port by MPTCP": code(
        f"socket.socket(socket.AF_INET, socket.SOCK_STREAM, {MPTCP}).connect(('127.0.0.1', port))", down=BOTH
    ),
    "the API's port with the first bytes": code(
        "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', port))", down=BOTH
    ),
    "the API's port by the shell": command("bash -c 'echo x >/dev/tcp/127.0.0.1/{port}' && echo reached", down=BOTH, sign=b"reached"),
    "a datagram": code(
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', datagrams))", down=BOTH
    ),
    "a datagram by the shell": command("bash -c 'echo x >/dev/udp/127.0.0.1/{datagrams}' && echo sent", down=BOTH, sign=b"sent"),
    "the tools executor's own socket": code("socket.socket(socket.AF_UNIX).connect(f'{run}/tools-1.sock')", down=BOTH),
    "the claude executor's socket": code("socket.socket(socket.AF_UNIX).connect(f'{outside}/claude-1.sock')", down=BOTH),
    "a socket in a folder of its own": code("socket.socket(socket.AF_UNIX).connect(f'{inside}/own.sock')", down=BOTH),
    "an abstract socket": code("socket.socket(socket.AF_UNIX).connect('\\0' + abstract)", down=BOTH),
    "a port of its own": code("socket.create_server(('127.0.0.1', 0))", down=BOTH),
    "a socket of its own": code("socket.socketpair()", down=BOTH),
    "a name": code("socket.getaddrinfo('localhost', 80, socket.AF_INET)", down=BOTH),
    "the addresses of this machine": code("socket.if_nameindex()", down=BOTH),
}  # fmt: skip


@asynccontextmanager
async def listening(tools: ToolsProgram) -> AsyncGenerator[ToolsProgram]:
    """With what there is to be reached."""

    async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    abstract = f"cas-{tools.folder.name}"
    places = [tools.outside / "claude-1.sock", tools.writable / "own.sock"]
    async with contextlib.AsyncExitStack() as stack:
        servers = [await asyncio.start_server(hear, host, 0) for host in ("127.0.0.1", "::1")]
        servers += [await asyncio.start_unix_server(hear, place) for place in (*places, f"\0{abstract}")]
        for server in servers:
            await stack.enter_async_context(server)
        for place in places:
            place.chmod(0o666)
            stack.callback(place.unlink, missing_ok=True)
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        tools.attack_facts = {
            "port": servers[0].sockets[0].getsockname()[1],
            "port6": servers[1].sockets[0].getsockname()[1],
            "datagrams": datagrams.getsockname()[1],
            "abstract": abstract,
        }
        yield tools


@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_is_reached(tools: ToolsProgram, name: str):
    """Whatever the kind of socket."""
    async with listening(tools):
        assert not await ATTACKS[name].attempt(tools)


@pytest.mark.control
@pytest.mark.parametrize("name", ATTACKS)
async def test_without_the_defences_it_is(unfenced: Unfenced, name: str):
    """So that the other test shows something."""
    async with listening(await unfenced(ATTACKS[name].down)) as tools:
        assert await ATTACKS[name].attempt(tools)
