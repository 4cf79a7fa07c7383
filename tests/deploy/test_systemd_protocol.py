"""The interface to systemd: sockets, credentials and watchdog messages, with the real programs and the real kernel."""

import asyncio
import signal
import socket
from pathlib import Path

import httpx2
import pytest

from shared.claude_status import ClaudeStatus
from shared.process.systemd import (
    notify,
    notify_watchdog,
    parse_watchdog_interval,
    read_credentials,
    take_listen_sockets,
)
from shared.wire import GetStatus, encode_frame, read_to_api
from tests.support.socket_activation import open_notify_socket, start_activated, wait_for_state
from tests.support.stack import API_KEY
from tests.support.timeouts import TEST_TIMEOUT


async def test_the_api_serves_on_the_socket_it_was_handed_and_no_client_is_refused_meanwhile(tmp_path: Path):
    """Who connects before it is up, or while it is replaced, waits; the key comes from a file of systemd's."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/API_SECRET_TOKEN").write_text(f"{API_KEY}\n", encoding="utf-8")
    notify_socket, where = open_notify_socket(tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "RUN_DIR": str(tmp_path / "run"),
        "CREDENTIALS_DIRECTORY": str(tmp_path / "secrets"),
        "NOTIFY_SOCKET": where,
        "WATCHDOG_USEC": "200000",
    }
    with notify_socket, socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        headers = {"authorization": f"Bearer {API_KEY}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=TEST_TIMEOUT) as client:
            for _ in range(2):
                early = asyncio.create_task(client.get("/v1/models"))
                async with start_activated(sock, environment, "api") as process:
                    assert (await early).status_code == 200
                    await wait_for_state(notify_socket, "READY=1")
                    await wait_for_state(notify_socket, "WATCHDOG=1")
                    process.send_signal(signal.SIGTERM)
                    await wait_for_state(notify_socket, "STOPPING=1")
                    assert await process.wait() == 0


async def test_an_executor_leaves_the_socket_it_was_handed_to_systemd(tmp_path: Path):
    """It answers there, and the socket's file is still there when it has gone; its credential is a file."""
    (tmp_path / "ANTHROPIC_API_KEY").write_text("sk-ant-invented\n", encoding="utf-8")
    path = tmp_path / "claude-1.sock"
    environment = {
        "HOME": str(tmp_path),
        "RUN_DIR": str(tmp_path / "run"),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        # No CLI is needed for it to say how it is.
        "CLAUDE_CLI_PATH": str(tmp_path / "nothing"),
    }
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        async with start_activated(sock, environment, "executor", "--role", "claude") as process:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(encode_frame(GetStatus()))
            async with asyncio.timeout(TEST_TIMEOUT):
                status = await read_to_api(reader)
            writer.close()
            assert isinstance(status, ClaudeStatus)
            assert status.mode == "online"
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    assert path.exists()


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "2"}, {"LISTEN_FDS": "x", "LISTEN_PID": "7"}]
)
def test_sockets_for_another_process_are_left_alone(environ: dict[str, str]):
    """And a child never takes them for its own."""
    assert take_listen_sockets(environ, 7) == []
    assert environ == {}


def test_credentials_are_the_files_that_are_there_and_not_empty(tmp_path: Path):
    """Those that were asked for, and no others."""
    (tmp_path / "ONE").write_text("first\n", encoding="utf-8")
    (tmp_path / "TWO").write_text("", encoding="utf-8")
    (tmp_path / "OTHER").write_text("not asked for", encoding="utf-8")
    assert read_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)}, ("ONE", "TWO", "THREE")) == {"ONE": "first"}
    assert read_credentials({}, ("ONE",)) == {}


async def test_who_is_not_watched_says_nothing_and_does_not_mind(tmp_path: Path):
    """Without systemd, with one that is gone, and with another process' watchdog."""
    notify({}, "READY=1")
    notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}, "READY=1")
    assert parse_watchdog_interval({}, 7) is None
    assert parse_watchdog_interval({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}, 7) is None
    assert parse_watchdog_interval({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, 7) == 1
    await notify_watchdog({}, 7)
