"""Who may change a folder, and who is at the other end of a socket."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from api.executors.pool import ExecutorPool, query_status
from executor.server import BindError, bind_socket
from shared.process import peers, strict_modes
from shared.wire import encode_frame
from tests.unit.api.observability.test_health import UP

OTHER = 4711

as_root = pytest.mark.skipif(os.getuid() != 0, reason="this test run is not root, so it can't be another user too")


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder as `make run` makes it, in one that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="cas-") as name:
        Path(name).chmod(0o755)
        (made := Path(name) / "run").mkdir(mode=0o755)
        yield made


@contextlib.contextmanager
def another(uid: int = OTHER, *groups: int) -> Generator[None]:
    """Be another user for a while."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setresgid(uid, uid, 0)
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(before)


def lay(path: Path) -> socket.socket:
    """A socket that listens there."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    made.setblocking(False)
    return made


def test_a_folder_of_ones_own_is_trusted(folder: Path):
    """Below /tmp too, where others write, and before it is made."""
    assert strict_modes.find_problem(folder) == ""
    assert strict_modes.find_problem(folder / "later" / "more") == ""
    (folder / "link").symlink_to(folder)
    assert strict_modes.find_problem(folder / "link" / ".." / "run") == ""


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757, 0o1770, 0o770])
def test_a_folder_that_others_can_write_is_not(folder: Path, mode: int):
    """Nor is what lies in it; the sticky bit keeps nobody from laying something new."""
    os.chown(folder, -1, OTHER) if os.getuid() == 0 else None
    folder.chmod(mode)
    if os.getuid() == 0 or mode & 0o002:
        assert f"may write to {folder}" in strict_modes.find_problem(folder)
    if not mode & 0o1000 and mode & 0o002:
        (folder / "inner").mkdir(mode=0o700)
        assert f"may write to {folder}" in strict_modes.find_problem(folder / "inner")


@as_root
def test_a_folder_of_another_user_is_not_nor_a_link_of_theirs(folder: Path):
    """On the way too: who owns a folder can put another in the place of what is in it."""
    (folder / "inner").mkdir(mode=0o700)
    os.chown(folder, OTHER, OTHER)
    for path in (folder, folder / "inner"):
        assert f"{folder} belongs to user {OTHER}" in strict_modes.find_problem(path)
    os.chown(folder, 0, 0)
    (folder / "link").symlink_to(folder / "inner")
    os.chown(folder / "link", OTHER, OTHER, follow_symlinks=False)
    assert f"{folder / 'link'} belongs to" in strict_modes.find_problem(folder / "link")
    os.chown(folder / "inner", OTHER, OTHER)
    assert strict_modes.find_problem(folder / "inner", any_owner=True) == ""
    (folder / "inner").chmod(0o777)
    assert "may write" in strict_modes.find_problem(folder / "inner", any_owner=True)


@as_root
def test_the_group_that_is_a_user_s_own_may_write(folder: Path):
    """As on systems that make one for each user; an access list may let in anybody."""
    folder.chmod(0o770)
    assert strict_modes.find_problem(folder) == ""


def test_a_link_that_leads_nowhere_is_told(folder: Path):
    """Not followed for ever."""
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    assert "can't be followed" in strict_modes.find_problem(folder / "a")


@as_root
def test_a_false_executor_is_not_asked(folder: Path):
    """Laid by another user where everybody may write; that user's own folder, made by us, is trusted."""
    executors = ExecutorPool(folder, "claude")
    folder.chmod(0o777)
    with another():
        false = lay(folder / "claude-1.sock")
    with false:
        assert executors.list_sockets() == []
        [problem] = executors.list_problems()
        assert f"everybody may write to {folder}" in problem
        assert "chmod go-w" in problem
    (folder / "claude-1.sock").unlink()
    folder.chmod(0o755)
    (folder / "claude").mkdir()
    os.chown(folder / "claude", OTHER, OTHER)
    with another():
        true = lay(folder / "claude" / "claude-1.sock")
    with true:
        assert executors.list_sockets() == [folder / "claude" / "claude-1.sock"]
        assert executors.list_problems() == []


@as_root
async def test_who_listens_has_to_be_the_owner_of_the_socket(folder: Path):
    """The kernel says who listens: another one gets not a byte."""
    path = folder / "claude-1.sock"
    with lay(path) as sock:

        async def answer() -> bytes:
            connection, _ = await asyncio.get_running_loop().sock_accept(sock)
            with connection:
                came = await asyncio.get_running_loop().sock_recv(connection, 100)
                with contextlib.suppress(BrokenPipeError):
                    await asyncio.get_running_loop().sock_sendall(connection, encode_frame(UP))
                return came

        answering = asyncio.create_task(answer())
        assert await query_status(path) == UP
        assert await answering
        with another():
            # Who calls listen(2) last is who listens.
            sock.listen()
        answering = asyncio.create_task(answer())
        assert await query_status(path) is None
        assert await answering == b""
        answering = asyncio.create_task(answer())
        with pytest.raises(peers.UntrustedSocketError, match=f"user {OTHER} .* listens there"):
            await peers.connect(path)
        assert await answering == b""
        os.chown(path, OTHER, OTHER)
        answering = asyncio.create_task(answer())
        assert await query_status(path) == UP
        await answering


async def test_what_is_no_socket_is_not_connected_to(folder: Path):
    """A link neither."""
    with lay(folder / "real"):
        (folder / "claude-1.sock").symlink_to(folder / "real")
        with pytest.raises(peers.UntrustedSocketError, match="is not a socket"):
            await peers.connect(folder / "claude-1.sock")


def test_an_executor_does_not_listen_where_others_can_write(folder: Path):
    """It says what to do."""
    folder.chmod(0o777)
    with pytest.raises(BindError, match=r"RUN_DIR: .* everybody may write to .* chmod go-w"):
        bind_socket(folder / "claude-1.sock")
    folder.chmod(0o755)
    bind_socket(folder / "claude-1.sock").close()


@as_root
@pytest.mark.parametrize(
    ("uid", "groups", "accepted"), [(0, (), True), (OTHER, (), False), (OTHER, (4712,), False), (OTHER, (4713,), True)]
)
def test_an_executor_serves_its_own_user_root_and_the_group_of_its_socket(
    folder: Path,
    uid: int,
    groups: tuple[int, ...],
    accepted: bool,  # noqa: FBT001
):
    """Whatever the modes of socket and folder let in."""
    folder.chmod(0o755)
    with lay(folder / "tools-1.sock") as sock, socket.socket(socket.AF_UNIX) as client:
        os.chown(folder / "tools-1.sock", 0, 4713)
        (folder / "tools-1.sock").chmod(0o666)
        with another(uid, *groups) if uid else contextlib.nullcontext():
            client.connect(str(folder / "tools-1.sock"))
        sock.setblocking(True)
        connection, _ = sock.accept()
        with connection:
            assert peers.find_trusted_peers(sock).accepts(connection) is accepted
