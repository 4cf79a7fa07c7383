"""`claude-api-server up`, as a process, over stand-ins for the two programs: what starts, what is said, what ends."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest

from shared.tool_jobs import ToolsStatus
from shared.wire import encode_frame
from tests.support.stack import REPOSITORY, find_free_port, wait_until
from tests.support.timeouts import TEST_TIMEOUT

# Says who it is and what environment it has, then does what `up` waits for until its parent's pipe is closed.
STAND_IN = """
import http.server, json, os, pathlib, signal, socket, subprocess, sys, threading, time
role, folder, manner, parent = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[5])
(folder / (role + ".environment")).write_text(json.dumps(dict(os.environ)))
pids = [os.getpid()]
if manner == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids.append(subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"]).pid)
with (folder / (role + ".pids")).open("a") as file:
    file.write("".join(f"{pid}\\n" for pid in pids))
if manner == "broken":
    print("it is broken", file=sys.stderr)
    sys.exit(3)
health = {"status": "ok", "mode": "offline", "cli_version": "1.2.3", "default_model": "sonnet", "executors": []}
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(health).encode())
    def log_message(self, *_):
        pass
if role == "api":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
else:
    path = pathlib.Path(os.environ["RUN_DIR"], "tools-1.sock" if role == "tools" else "claude-1.sock")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    def answer():
        while True:
            with listener.accept()[0] as connection:
                connection.recv(1)
                connection.sendall((folder / "status").read_bytes())
    if role == "tools":
        threading.Thread(target=answer, daemon=True).start()
def live():
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while manner == "living" or not (folder / (role + ".stalled")).exists():
        notify.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"].replace("@", "\\0"))
        time.sleep(0.1)
        if manner == "stalling" and time.monotonic() - began > 1:
            (folder / (role + ".stalled")).touch()
            return
    # Another life of it stands for one that never gives a sign.
began = time.monotonic()
if manner in ("living", "stalling"):
    threading.Thread(target=live, daemon=True).start()
if manner == "unusable":
    while not (folder / "now").exists():
        time.sleep(0.05)
    sys.exit(2)
os.read(parent, 1)
"""

UP = """
import os, pathlib, sys
from cli.up.command import up
folder, api, executor = sys.argv[1:]
program = (sys.executable, "-I", folder + "/stand_in.py")
sys.exit(up(os.environ, pathlib.Path(folder), {
    "api": (*program, "api", folder, api), "claude": (*program, "executor", folder, executor),
    "tools": (*program, "tools", folder, "well"),
}))
"""

# Its grace period is longer than any test, so that only a second Ctrl-C can end it.
PATIENT = """
import asyncio, os, pathlib, sys
from cli.up.child import Program
from cli.up.supervisor import Supervisor, SupervisorTimeouts
folder, api, executor = sys.argv[1:]
program = (sys.executable, "-I", folder + "/stand_in.py")
environment = {**os.environ, "RUN_DIR": folder}
async def ready():
    pass
def say(words):
    print(words, flush=True)
sys.exit(asyncio.run(Supervisor(
    Program("executor", (*program, "executor", folder, executor), environment),
    Program("API", (*program, "api", folder, api), environment),
    say,
    SupervisorTimeouts(shutdown=3600),
).run(ready)))
"""


class Running:
    """A supervisor and what it left in its folder."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, output: Path) -> None:
        self.process = process
        self.folder = folder
        self._output = output

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    async def says(self, words: str) -> None:
        await wait_until(lambda: words in self.output())

    async def ready(self) -> None:
        await self.says("To chat, paste")

    def pids(self, role: str) -> list[int]:
        path = self.folder / f"{role}.pids"
        return [int(line) for line in path.read_text(encoding="ascii").split()] if path.exists() else []

    def environment(self, role: str) -> dict[str, str]:
        return json.loads((self.folder / f"{role}.environment").read_text(encoding="utf-8"))

    def left(self) -> list[int]:
        """The processes of all programs that are still there."""
        return [pid for role in ("api", "executor", "tools") for pid in self.pids(role) if is_alive(pid)]

    async def status(self) -> int:
        async with asyncio.timeout(TEST_TIMEOUT):
            return await self.process.wait()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.asynccontextmanager
async def running(
    folder: Path, *, api: str = "well", executor: str = "well", script: str = UP, problem: str = "", **environment: str
) -> AsyncGenerator[Running]:
    """A supervisor over stand-ins of the given manners; nothing of it outlives the block."""
    (folder / "stand_in.py").write_text(STAND_IN, encoding="utf-8")
    (folder / "status").write_bytes(
        encode_frame(ToolsStatus((str(folder / "workspace"),), (), ("ls",), 4, 0, 0, draining=False, problem=problem))
    )
    output = folder / "output"
    inherited = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(find_free_port())}
    with output.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(folder), api, executor),
            cwd=REPOSITORY,
            env={**inherited, **environment},
            stdout=stream,
            stderr=stream,
        )
    server = Running(process, folder, output)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for pid in server.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_a_first_start_shows_the_key_and_a_second_one_only_where_it_is(tmp_path: Path):
    """A made key is shown once; the line to paste reads it from its file."""
    async with running(tmp_path) as server:
        await server.ready()
        key = (tmp_path / ".run" / "api-token").read_text(encoding="ascii").strip()
        assert key in server.output()
        assert server.environment("api")["API_SECRET_TOKEN"] == key
        server.process.send_signal(signal.SIGINT)
        await server.status()
    async with running(tmp_path) as server:
        await server.ready()
        await server.says("/api/tools/bash")
        assert key not in server.output()
        assert 'Bearer $(cat .run/api-token)"' in server.output()
        assert server.environment("api")["API_SECRET_TOKEN"] == key


@pytest.mark.parametrize("place", ["environment", ".env"])
async def test_a_key_that_the_owner_gave_is_never_shown(tmp_path: Path, place: str):
    """The line to paste takes it from where the owner put it, and no other key is made."""
    given = {"API_SECRET_TOKEN": "sk-mine-0f1e2d3c4b5a6978"}
    if place == ".env":
        (tmp_path / ".env").write_text(f"API_SECRET_TOKEN={given.pop('API_SECRET_TOKEN')}\n", encoding="utf-8")
    async with running(tmp_path, **given) as server:
        await server.ready()
        await server.says("/api/tools/bash")
        assert "sk-mine-0f1e2d3c4b5a6978" not in server.output()
        words = "$API_SECRET_TOKEN" if place == "environment" else "/dotenv get API_SECRET_TOKEN)"
        assert f'{words}" -H' in server.output()
        assert server.environment("api")["API_SECRET_TOKEN"] == "sk-mine-0f1e2d3c4b5a6978"
    assert not (tmp_path / ".run" / "api-token").exists()


async def test_the_line_to_paste_stands_on_a_line_of_its_own(tmp_path: Path):
    """Nothing frames or breaks it, however long it is."""
    async with running(tmp_path) as server:
        await server.ready()
        await server.says("/api/tools/bash")
        lines = [line for line in server.output().splitlines() if line.startswith("curl -N http://127.0.0.1:")]
        assert [line.split()[2].rsplit("/", 2)[-2:] for line in lines] == [
            ["chat", "completions"],
            ["api", "code"],
            ["tools", "bash"],
        ]
        assert lines[0].endswith('"stream": true}\'')


async def test_offline_is_said_with_the_way_online(tmp_path: Path):
    """Nobody takes the offline model for Claude, and everybody is told how to get Claude."""
    async with running(tmp_path) as server:
        await server.ready()
        for words in ("OFFLINE", "claude-api-server login", "CLAUDE_CODE_OAUTH_TOKEN=", "ANTHROPIC_API_KEY="):
            assert words in server.output()


async def test_each_program_gets_its_own_secret_only(tmp_path: Path):
    """The API has no credential, the executor not the clients' key; .env counts like the environment."""
    (tmp_path / ".env").write_text("CLAUDE_CODE_OAUTH_TOKEN=from-dotenv\nMAX_CONCURENT=2\n", encoding="utf-8")
    async with running(tmp_path, ANTHROPIC_API_KEY="from-environment", RUN_DIR="here") as server:
        await server.ready()
        of_api, of_executor = server.environment("api"), server.environment("executor")
        assert of_api["RUN_DIR"] == of_executor["RUN_DIR"] == str(tmp_path / "here")
        assert not [name for name in of_api if name.startswith(("ANTHROPIC_", "CLAUDE_"))]
        assert of_executor["ANTHROPIC_API_KEY"] == "from-environment"
        assert of_executor["CLAUDE_CODE_OAUTH_TOKEN"] == "from-dotenv"
        assert "API_SECRET_TOKEN" not in of_executor
        assert "did you mean MAX_CONCURRENT?" in server.output()


@pytest.mark.parametrize(("role", "name"), [("api", "API"), ("executor", "executor")])
async def test_a_program_that_dies_at_the_start_is_named_and_the_other_ends(tmp_path: Path, role: str, name: str):
    """The start fails at once, with the program and its exit code."""
    manners = {"api": "well", "executor": "well", role: "broken"}
    async with running(tmp_path, **manners) as server:
        assert await server.status() == 1
        assert "it is broken" in server.output()
        assert f"The {name} ended with exit code 3 before it was ready; the lines above say why." in server.output()
        await wait_until(lambda: not server.left())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_ends_everything(tmp_path: Path, number: signal.Signals):
    """Ctrl-C and SIGTERM are the ordinary end: exit status 0, and no process left."""
    async with running(tmp_path) as server:
        await server.ready()
        server.process.send_signal(number)
        assert await server.status() == 0
        await wait_until(lambda: not server.left())
        assert "Stopping" in server.output()


async def test_a_stop_while_it_starts_ends_everything(tmp_path: Path):
    """Nobody has to wait for a start that isn't wanted any more."""
    async with running(tmp_path) as server:
        await wait_until(lambda: server.pids("executor"))
        server.process.send_signal(signal.SIGINT)
        assert await server.status() == 0
        await wait_until(lambda: not server.left())


async def test_a_stop_ends_everything_even_what_ignores_it(tmp_path: Path):
    """A program that ignores SIGTERM is killed, and what it started with it; by itself it would go on for ten minutes."""
    async with running(tmp_path, api="stubborn", executor="stubborn") as server:
        await server.ready()
        server.process.send_signal(signal.SIGINT)
        assert await server.status() == 0
        assert len(server.pids("api")) == len(server.pids("executor")) == 2
        await wait_until(lambda: not server.left())


async def test_a_second_ctrl_c_ends_everything_at_once(tmp_path: Path):
    """It does not wait for the grace period, which here would outlast the test."""
    async with running(tmp_path, api="stubborn", executor="stubborn", script=PATIENT) as server:
        await wait_until(lambda: server.pids("api") and server.pids("executor"))
        server.process.send_signal(signal.SIGINT)
        await server.says("Stopping")
        server.process.send_signal(signal.SIGINT)
        assert await server.status() == 0
        await wait_until(lambda: not server.left())


async def test_a_supervisor_killed_outright_leaves_no_program(tmp_path: Path):
    """The kernel closes the pipe that both programs watch, and they end themselves."""
    async with running(tmp_path) as server:
        await server.ready()
        server.process.kill()
        await server.status()
        await wait_until(lambda: not server.left())


async def test_an_executor_that_dies_is_started_again(tmp_path: Path):
    """The API goes on meanwhile, and the end still ends everything."""
    async with running(tmp_path) as server:
        await server.ready()
        os.kill(server.pids("executor")[0], signal.SIGKILL)
        await wait_until(lambda: len(server.pids("executor")) == 2)
        assert "The executor ended by SIGKILL; it restarts in 1 s." in server.output()
        assert [is_alive(pid) for pid in server.pids("api")] == [True]
        server.process.send_signal(signal.SIGINT)
        assert await server.status() == 0
        await wait_until(lambda: not server.left())


async def test_an_api_that_dies_is_started_again(tmp_path: Path):
    """The executors go on meanwhile, and the end still ends everything."""
    async with running(tmp_path) as server:
        await server.ready()
        os.kill(server.pids("api")[0], signal.SIGKILL)
        await wait_until(lambda: len(server.pids("api")) == 2)
        assert "The API ended by SIGKILL; it restarts in 1 s." in server.output()
        assert [is_alive(pid) for pid in server.pids("executor")] == [True]
        server.process.send_signal(signal.SIGINT)
        assert await server.status() == 0
        await wait_until(lambda: not server.left())


async def test_an_api_that_can_not_use_its_settings_ends_everything(tmp_path: Path):
    """Another start would end in the same way."""
    async with running(tmp_path, api="unusable") as server:
        await server.ready()
        (tmp_path / "now").touch()
        assert await server.status() == 1
        assert "The API ended with exit code 2, so the server stops." in server.output()
        await wait_until(lambda: not server.left())


@pytest.mark.parametrize("role", ["api", "executor"])
async def test_a_program_that_stands_still_is_started_again(tmp_path: Path, role: str):
    """Once it has given a sign of life, and gives none for the watchdog's time; one that goes on giving them is left."""
    manners = {"api": "living", "executor": "living", role: "stalling"}
    async with running(tmp_path, WATCHDOG_TIMEOUT="2", **manners) as server:
        await server.ready()
        await wait_until(lambda: len(server.pids(role)) == 2)
        assert "did not respond for 2 s, so it is killed." in server.output()
        assert len([pid for each in ("api", "executor") for pid in server.pids(each)]) == 3


async def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path):
    """With a line that mends it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with running(tmp_path, PORT=str(port)) as server:
            assert await server.status() == 1
            assert f"PORT: {port} is in use" in server.output()
            assert "make run" in server.output()
            assert server.pids("api") == server.pids("executor") == []


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("RUN_DIR", "x" * 120, "the path of a socket may have 100. Set RUN_DIR to a shorter path"),
        ("PORT", "http", "PORT: 'http' is not a port. Set PORT to a number"),
        ("HOST", "192.0.2.1", "HOST: can't listen on 192.0.2.1: Cannot assign requested address. Set HOST=127.0.0.1"),
        ("CLAUDE_CLI_PATH", "/no/such/claude", "CLAUDE_CLI_PATH: /no/such/claude is not an executable file"),
    ],
)
async def test_a_setting_that_cannot_work_is_named_before_anything_starts(
    tmp_path: Path, setting: str, value: str, words: str
):
    """Each with its fix."""
    async with running(tmp_path, **{setting: value}) as server:
        assert await server.status() == 1
        assert words in server.output()
        assert server.pids("api") == server.pids("executor") == []


async def test_a_second_server_in_the_same_folder_is_refused(tmp_path: Path):
    """It would take the first one's executor for its own."""
    async with running(tmp_path, RUN_DIR=str(tmp_path / "run")) as first:
        await first.ready()
        second_folder = tmp_path / "second"
        second_folder.mkdir()
        async with running(second_folder, RUN_DIR=str(tmp_path / "run")) as second:
            assert await second.status() == 1
            assert "a server is already running in" in second.output()
        assert len(first.left()) == 3


async def test_the_tools_have_no_credential_and_a_folder_made_for_them(tmp_path: Path):
    """The tools executor gets the folder `workspace`, with a first file, and neither the credential nor the key."""
    async with running(tmp_path, ANTHROPIC_API_KEY="sk-ant-x", API_SECRET_TOKEN="0123456789abcdef") as server:
        await server.ready()
        given = server.environment("tools")
        assert given["ALLOWED_PATHS"] == str(tmp_path / "workspace")
        assert not {"ANTHROPIC_API_KEY", "API_SECRET_TOKEN"} & set(given)
        assert (tmp_path / "workspace" / "welcome.txt").is_file()
        await server.says("/api/tools/bash")
        assert "/api/code" in server.output()


async def test_chat_starts_where_no_tools_can_be_served_and_the_banner_says_why(tmp_path: Path):
    """What is missing for the tools is no reason not to chat."""
    async with running(tmp_path, problem="this kernel has no Landlock") as server:
        await server.ready()
        await server.says("none: this kernel has no Landlock")
        assert "/api/tools/bash" not in server.output()
