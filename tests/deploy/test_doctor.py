"""`claude-api-server doctor`: each finding made to happen, by the real programs."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from cli.doctor import CHECKS, Finding, claude_checks, install, network, paths, program_checks, tools_checks
from cli.doctor.install import Installation, inspect_folder, inspect_units
from cli.doctor.report import Report, find_installation, run_checks
from executor.claude.cli.launch import TESTED_CLI_VERSION, find_binary
from shared.checks import ClaudeCheck, ToolsCheck
from tests.support.scripted.upstream import AnswerReply, ErrorReply, Upstream
from tests.support.stack import API_KEY, REPOSITORY, Stack, find_free_port

# The programs take seconds to start, and more on a busy machine.
SECRET = "sk-ant-never-to-be-told"
ORDINARY = 4711
# The programs of this checkout, wherever the doctor stands.
PROGRAM = (
    *(sys.executable, "-P", "-c"),
    (
        f"import sys, runpy; sys.path.insert(0, {str(REPOSITORY)!r}); del sys.argv[0]; "
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    ),
)
COMMAND = (
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from cli.doctor import install; "
    f"install.PROGRAM = {PROGRAM!r}; from cli.__main__ import main; main(prog_name='claude-api-server')"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the owner stands, reachable by the user of the tools."""
    with tempfile.TemporaryDirectory(prefix="cad-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def environ(folder: Path, **more: str) -> dict[str, str]:
    """An environment of nobody's, with a port that is free."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(find_free_port()), **more}


def here(folder: Path, **more: str) -> Installation:
    """The server in this folder."""
    return structs.replace(inspect_folder(environ(folder, **more), folder), program=PROGRAM)


def of(found: Report | list[Finding], check: str) -> list[Finding]:
    """What was found of one thing."""
    return [each for each in (found.findings if isinstance(found, Report) else found) if each.check == check]


def one(found: Report | list[Finding] | Any, check: str, level: str, words: str) -> Finding:
    """The one finding with these words; it names a fix, unless its status is `ok`."""
    findings = of(found if isinstance(found, Report) else list(found), check)
    matching = [each for each in findings if words in each.message]
    assert len(matching) == 1, findings
    [each] = matching
    assert each.level == level, each
    assert bool(each.fix) is (level != "ok"), each
    return each


async def test_where_nothing_runs_yet_all_is_well_but_for_the_credential(folder: Path):
    """Every check has a finding, and the one thing to do is told. Nothing is made, and no service is asked."""
    report = await run_checks(here(folder), ask=False)
    assert report.ok, report
    assert {each.check for each in report.findings} == {*CHECKS}
    one(report, "credential", "warning", "the offline model answers")
    one(report, "cli", "ok", "the version that was tested")
    one(report, "upstream", "ok", "not needed")
    one(report, "paths", "ok", "No path is allowed yet")
    one(report, "sockets", "ok", "No executor is running")
    one(report, "folder", "ok", "is created at the first start")
    one(report, "port", "ok", "is free")
    one(report, "running", "ok", "No server runs")
    one(report, "data", "ok", "is created at the first start")
    one(report, "limits", "ok", "in memory")
    assert os.listdir(folder) == []  # noqa: PTH208


async def test_what_is_wrong_in_a_folder_is_told_thing_by_thing(folder: Path):
    """Settings, names, files, the CLI, paths, commands and the port, all at once; and no secret is in a word of it."""
    (folder / "files").mkdir()
    (folder / "kept").mkdir(mode=0o700)
    (folder / "kept/inside").mkdir()
    (folder / "login").mkdir()
    (folder / "script").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "script").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (folder / ".env").write_text(
            f"PORT={taken.getsockname()[1]}\nPORTT=1\nSOMETHING=else\nPARKED=1\nSSE_KEEPALIVE_INTERVAL=never\nCLAUDE_CLI_PATH=/bin/true\n"
            f"CLAUDE_CODE_OAUTH_TOKEN={SECRET}\nANTHROPIC_API_KEY={SECRET}\nANTHROPIC_BASE_URL=http://user:{SECRET}@127.0.0.1:9\n"
            f"ALLOWED_PATHS={folder}/files,{folder}/kept,{folder}/kept/inside,{folder}/missing,{folder}\nWRITABLE_PATHS={folder}/files\n"
            f"ALLOWED_COMMANDS=ls,nosuchprogram,{folder}/script\n",
            encoding="utf-8",
        )
        (folder / ".env").chmod(0o644)
        (folder / ".run").mkdir(mode=0o777)
        (folder / ".run").chmod(0o777)
        given = environ(folder)
        del given["PORT"]
        report = await run_checks(structs.replace(inspect_folder(given, folder), program=PROGRAM), ask=False)
    assert not report.ok
    assert SECRET not in report.json()
    one(report, "settings", "error", "SSE_KEEPALIVE_INTERVAL")
    assert "PORT?" in one(report, "names", "warning", "PORTT in .env").fix
    one(report, "names", "warning", "SOMETHING in .env")
    assert one(report, "names", "warning", "PARKED in .env").fix == "Rename it."
    assert "chmod 600" in one(report, "secrets", "error", ".env can be read by other users (mode 644)").fix
    one(report, "cli", "error", "does not start")
    one(report, "upstream", "error", "http://127.0.0.1:9 can't be reached")
    one(report, "paths", "error", f"{folder}/missing is not a folder")
    one(report, "paths", "error", f"{folder} covers the server's own")
    one(report, "commands", "error", "no program nosuchprogram")
    one(report, "commands", "error", "script is a script")
    one(report, "folder", "error", "everybody may write")
    one(report, "port", "error", "in use by another program")
    if os.getuid() == 0:
        one(report, "paths", "error", "kept can't be read by nobody")
        one(report, "paths", "error", "files can't be written by nobody")
        one(report, "paths", "warning", "kept/inside lies in a folder that nobody can't enter")


def test_a_cli_of_another_version_starts_but_was_not_tested():
    """It may do; it is said."""
    found = [claude_checks.check_cli(ClaudeCheck(cli="/bin/claude", version="2.0.1", tested="2.1.330"))]
    assert "CLAUDE_CLI_PATH" in one(found, "cli", "warning", "2.0.1 starts; this server was tested with 2.1.330").fix


async def test_a_cli_that_is_another_program_does_not_start(folder: Path):
    """It ends, or says what no CLI would say."""
    found, _ = await program_checks.check_claude(here(folder, CLAUDE_CLI_PATH="/bin/true"), ask=False)
    one(found, "cli", "error", "/bin/true does not start")


async def test_a_cli_that_is_not_there_is_an_error(folder: Path):
    """With what to do about it."""
    found, _ = await program_checks.check_claude(here(folder, CLAUDE_CLI_PATH=str(folder / "gone")), ask=False)
    assert "CLAUDE_CLI_PATH" in one(found, "cli", "error", "was not found").fix


def _bundled() -> Path:
    found = find_binary(None)
    assert found
    return found


def test_the_version_that_was_tested_is_the_one_that_is_installed():
    """The tests run the CLI that the lock has; what `doctor` compares with is that version."""
    output = subprocess.run([_bundled(), "--version"], capture_output=True, text=True, check=True).stdout
    assert output.split()[0] == TESTED_CLI_VERSION


async def test_a_credential_is_tried_when_asked(folder: Path, upstream: Upstream):
    """One short question goes to the service; the answer's text is nobody's business."""
    upstream.script(AnswerReply("OK"))
    server = here(folder, ANTHROPIC_API_KEY="sk-ant-invented", ANTHROPIC_BASE_URL=upstream.url)
    found, _ = await program_checks.check_claude(server, ask=True)
    one(found, "credential", "ok", "An API key is accepted")
    [question] = upstream.requests
    assert question.body["max_tokens"] == 16
    assert question.headers["x-api-key"] == "sk-ant-invented"


async def test_it_is_not_tried_unasked(folder: Path, upstream: Upstream):
    """What the CLI itself says of it costs nothing."""
    server = here(folder, CLAUDE_CODE_OAUTH_TOKEN="sk-ant-oat01-invented", ANTHROPIC_BASE_URL=upstream.url)
    report = await run_checks(server, ask=False)
    assert "--ask" in one(report, "credential", "ok", "A subscription's token is set").message
    one(report, "upstream", "ok", f"{upstream.url} can be reached")
    assert upstream.requests == []


async def test_a_credential_that_is_refused_is_an_error(folder: Path, upstream: Upstream):
    """As the service says it."""
    upstream.script(*[ErrorReply(401, "authentication_error", "invalid x-api-key")] * 3)
    server = here(folder, ANTHROPIC_API_KEY="sk-ant-invented", ANTHROPIC_BASE_URL=upstream.url)
    found, _ = await program_checks.check_claude(server, ask=True)
    assert "renew" in one(found, "credential", "error", "credential_refused").fix


@pytest.mark.parametrize(
    ("check", "level", "words"),
    [
        (
            ClaudeCheck(cli="c", credential="oauth_token", unused=("login",)),
            "warning",
            "and a login of the CLI, which is not used",
        ),
        (ClaudeCheck(cli="c", credential="login", logged_in=False), "error", "the CLI says that it is not logged in"),
        (
            ClaudeCheck(cli="c", credential="api_key", service_asked=True, failure_kind="usage_limit"),
            "warning",
            "usage_limit",
        ),
        (ClaudeCheck(cli="c", credential="api_key", service_asked=True, failure_kind="billing"), "error", "billing"),
    ],
)
def test_what_is_said_of_a_credential(folder: Path, check: ClaudeCheck, level: str, words: str):
    """More than one; one that the CLI does not know; one that is accepted, but used up; one that is not paid for."""
    one(claude_checks.check_credential(check, here(folder)), "credential", level, words)


async def test_a_folder_without_a_login_is_no_credential(folder: Path):
    """And is named."""
    (folder / "login").mkdir()
    found, _ = await program_checks.check_claude(here(folder, CLAUDE_CONFIG_DIR=str(folder / "login")), ask=False)
    one(found, "credential", "warning", "CLAUDE_CONFIG_DIR is a folder without a login")


async def instead(folder: Path, *arguments: str) -> list[Finding]:
    """What the tools executor finds that a test's own module starts."""
    (folder / "files").mkdir(exist_ok=True)
    (folder / ".run").mkdir(exist_ok=True)
    code = PROGRAM[-1].replace("del sys.argv[0]", f"sys.argv[:2] = {list(arguments)!r}")
    server = here(folder, ALLOWED_PATHS=str(folder / "files"))
    return await program_checks.check_tools(structs.replace(server, program=(*PROGRAM[:-1], code)))


async def test_on_a_kernel_without_landlock_no_tools_are_served(folder: Path):
    """And chat is not touched by that."""
    found = await instead(folder, "tests.support.without_landlock")
    assert "chat works" in one(found, "kernel", "error", "no Landlock").fix
    one(found, "sandbox", "error", "No tools are served")


async def test_in_a_container_it_is_said_what_is_missing(folder: Path):
    """Without namespaces of its own an executor can make no mounts; the rest holds."""
    found = await instead(folder, "tests.support.container_emulation", str(ORDINARY), "plain")
    assert "TOOLS_USER" in one(found, "kernel", "warning", "could load libraries from an allowed path").fix
    one(found, "sandbox", "ok", "The sandbox passed its test")


def test_what_older_kernels_lack_is_a_warning():
    """Each lack by itself; a processor without a filter is an error."""
    found = list(
        tools_checks.check_kernel(
            ToolsCheck(landlock=2, missing=("truncating is not governed by Landlock",), mount_problem="")
        )
    )
    one(found, "kernel", "warning", "truncating")
    one(found, "kernel", "error", "System calls can't be filtered")
    one(found, "kernel", "ok", "without exec")


def test_library_that_is_missing_for_office_documents_is_a_warning():
    """Files and commands are served without it."""
    lack = "office documents can't be converted: anydoc is missing. Install the server's dependencies"
    found = list(tools_checks.check_sandbox(ToolsCheck(user="nobody", converter_problem=lack)))
    one(found, "sandbox", "ok", "The sandbox passed its test")
    assert "nstall" in one(found, "sandbox", "warning", "anydoc is missing").fix


async def test_with_the_server_running_its_own_port_and_sockets_are_well(folder: Path, tools_stack: Stack):
    """The address is taken by this server itself, and each executor says how it is."""
    server = here(folder, PORT=str(tools_stack.port), RUN_DIR=str(tools_stack.run_dir), API_SECRET_TOKEN=API_KEY)
    found = [
        *await network.check_port(server),
        *await network.check_running_server(server),
        *await paths.check_sockets(server),
    ]
    one(found, "port", "ok", f"This server runs at http://127.0.0.1:{tools_stack.port}.")
    one(found, "running", "ok", "reports the status ok")
    one(found, "sockets", "ok", "claude-1 answers: online, Claude Code 2.1.330")
    one(found, "sockets", "ok", "tools-1 answers")


def listener(path: Path, mode: int, answer: bytes = b"") -> Callable[[], None]:
    """Somebody at a socket who says this to everybody; what ends it."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    path.chmod(mode)
    sock.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            with connection:
                connection.recv(1)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()

    def end() -> None:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    return end


async def test_sockets_that_are_not_as_they_should_be(folder: Path):
    """One that everybody may reach, one that says nothing of the protocol, one that nobody listens at."""
    run_dir = folder / ".run"
    run_dir.mkdir()
    end = listener(run_dir / "claude-1.sock", 0o666)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(run_dir / "tools-1.sock"))
    dead.close()
    (run_dir / "tools-1.sock").chmod(0o660)
    try:
        found = await paths.check_sockets(here(folder))
    finally:
        end()
    assert "chmod 660" in one(found, "sockets", "error", "other than its owner and group can connect").fix
    one(found, "sockets", "warning", "No program listens on")
    assert [each.level for each in found].count("error") == 2


def test_folders_that_can_not_hold_sockets(folder: Path):
    """Too long a path, a file, one that can't be made."""
    one([paths.check_run_dir(here(folder, RUN_DIR="x" * 100))], "folder", "error", "the path of a socket may have 100")
    (folder / "file").touch()
    one([paths.check_run_dir(here(folder, RUN_DIR=str(folder / "file")))], "folder", "error", "is not a folder")
    one(
        [paths.check_run_dir(here(folder, RUN_DIR="/proc/nowhere"))], "folder", "error", "can't be created"
    ) if os.getuid() else None


async def test_an_address_that_others_reach_is_a_warning(folder: Path):
    """Unencrypted, so it is said."""
    found = await network.check_port(here(folder, HOST="0.0.0.0"))
    one(found, "port", "warning", "lets other machines in")


@pytest.mark.parametrize(
    ("off", "level"), [(0, "ok"), (100, "warning"), (-100, "warning"), (4000, "error"), (-4000, "error")]
)
def test_a_clock_is_compared_with_the_service_s(off: float, level: str):
    """A little is no harm; much breaks certificates and logins."""
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    one([network.check_clock(now, format_datetime(now - timedelta(seconds=off)))], "clock", level, "clock")


def test_a_clock_in_the_past_is_wrong_whatever_the_service_says():
    """And without its word the time is just told."""
    one([network.check_clock(datetime(1970, 1, 1, tzinfo=UTC), None)], "clock", "error", "in the past")
    one([network.check_clock(datetime(2026, 11, 25, tzinfo=UTC), "never")], "clock", "ok", "2026-11-25")


def test_a_clock_that_is_moved_meanwhile_is_told():
    """By how much; a little is the machine's own."""
    assert list(network.check_clock_steps(5.0, 4.5)) == []
    one(network.check_clock_steps(3605.0, 5.0), "clock", "warning", "moved by +3600 s")
    one(network.check_clock_steps(1.0, 5.0), "clock", "warning", "moved by -4 s")


async def test_the_service_s_date_is_looked_at(folder: Path):
    """It comes with whatever answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        old = format_datetime(datetime.now(UTC) - timedelta(hours=3)).encode()
        writer.write(b"HTTP/1.1 404 Not Found\r\ndate: " + old + b"\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await network.check_service({"ANTHROPIC_BASE_URL": url}, used=True)
    one(found, "upstream", "ok", url)
    one(found, "clock", "error", "ahead of the service's")


async def test_the_way_to_the_service_is_the_proxy_s_if_there_is_one(folder: Path):
    """It is asked for the service; its password is not told. Certificates that can't be read are named."""
    asked_for: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_for.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        proxy = f"http://me:{SECRET}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await network.check_service(
            {"HTTPS_PROXY": proxy, "ANTHROPIC_BASE_URL": "https://service.invalid"}, used=True
        )
    output = one(
        found, "upstream", "error", "https://service.invalid can't be reached through the proxy http://127.0.0.1:"
    )
    assert SECRET not in output.message + output.fix
    assert asked_for == [b"CONNECT service.invalid:443 HTTP/1.1"]
    found = await network.check_service({"SSL_CERT_FILE": str(folder / "gone")}, used=True)
    one(found, "upstream", "error", "certificates")


@pytest.mark.parametrize(
    ("without", "through"), [("", True), ("example.com", False), (".com", False), ("*", False), ("other.com", True)]
)
def test_who_needs_no_proxy_gets_none(without: str, *, through: bool):
    """As NO_PROXY says it: names, domains, everything."""
    given = {"https_proxy": "http://proxy:1", "NO_PROXY": without}
    assert bool(network.find_proxy(given, "https://api.example.com/v1")) is through


def test_a_full_disk_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Little space is a warning, too little an error."""
    real = os.statvfs(folder)
    for free, level in ((10 << 20, "error"), (500 << 20, "warning"), (5 << 30, "ok")):
        blocks = free // real.f_frsize
        changed = os.statvfs_result((real[0], real[1], real[2], real[3], blocks, *real[5:]))
        monkeypatch.setattr(os, "statvfs", lambda _, changed=changed: changed)
        one(list(paths.check_disk(here(folder))), "disk", level, f"{free >> 20} MiB are free")


@pytest.fixture
def units(folder: Path) -> Path:
    """The units, as installed, but for their folders, which are this test's own."""
    placed = {
        "/opt/claude-api-server": folder / "opt",
        "/etc/claude-api-server": folder / "etc",
        "/run/claude-api-server": folder / "run",
        "/srv/claude-workspace": folder / "srv",
    }
    for each in placed.values():
        each.mkdir()
    installed_units = folder / "units"
    installed_units.mkdir()
    for unit in (REPOSITORY / "deploy/systemd").glob("*.s*"):
        text = unit.read_text(encoding="utf-8")
        for path, own in placed.items():
            text = text.replace(path, str(own))
        text = text.replace("User=tools-executor", "User=nobody").replace(
            "127.0.0.1:8020", f"127.0.0.1:{find_free_port()}"
        )
        (installed_units / unit.name).write_text(text, encoding="utf-8")
    for name in ("api-secret-token", "claude-code-oauth-token", "anthropic-api-key"):
        (folder / "etc" / name).touch(mode=0o600)
    (folder / "etc/api-secret-token").write_text("0f1e2d3c4b5a69788796a5b4c3d2e1f0\n", encoding="utf-8")
    return installed_units


async def test_a_systemd_install_is_looked_at_by_its_units_and_files(folder: Path, units: Path, upstream: Upstream):
    """Settings come from the units, their drop-ins and their files; secrets go to the program that would get them."""
    (folder / "etc/claude-code-oauth-token").write_text("sk-ant-oat01-invented\n", encoding="utf-8")
    (folder / "etc/claude-executor.env").write_text(
        f"ANTHROPIC_BASE_URL={upstream.url}\nCLI_POOL_SIZ=1\n", encoding="utf-8"
    )
    (units / "tools-executor@.service.d").mkdir()
    (units / "tools-executor@.service.d/paths.conf").write_text(
        f"[Service]\nEnvironment=WRITABLE_PATHS={folder}/nowhere\n", encoding="utf-8"
    )
    server = structs.replace(inspect_units(environ(folder), units), program=PROGRAM)
    report = await run_checks(server, ask=True)
    one(report, "credential", "ok", "A subscription's token is accepted")
    [question] = upstream.requests
    assert question.headers["authorization"] == "Bearer sk-ant-oat01-invented"
    assert "CLI_POOL_SIZE" in one(report, "names", "warning", f"CLI_POOL_SIZ in {folder}/etc/claude-executor.env").fix
    one(report, "paths", "ok", f"{folder}/srv can be read")
    one(report, "paths", "error", f"{folder}/nowhere is not a folder")
    one(report, "port", "ok", "is free")
    assert len(of(report, "secrets")) == 3
    assert {each.level for each in of(report, "secrets")} == {"ok"}
    assert [each.level for each in of(report, "settings")] == ["ok"] * 3
    assert not report.ok


async def test_under_systemd_a_key_that_is_not_there_is_told_with_its_place(folder: Path, units: Path):
    """What is wrong with a setting is mended in a file of /etc."""
    (folder / "etc/api-secret-token").write_text("", encoding="utf-8")
    (folder / "etc/api-secret-token").chmod(0o644)
    server = structs.replace(inspect_units(environ(folder), units), program=PROGRAM)
    found = await program_checks.check_api(server)
    assert "/etc/claude-api-server" in one(found, "settings", "error", "API_SECRET_TOKEN").fix
    one(list(paths.check_secrets(server)), "secrets", "error", "api-secret-token can be read by other users")


async def test_who_is_not_root_is_told_to_look_as_root(folder: Path, units: Path, monkeypatch: pytest.MonkeyPatch):
    """The secrets of the units are root's; everything else is looked at all the same."""
    real = Path.stat

    def stat(path: Path, **given: bool) -> os.stat_result:
        if path.parent == folder / "etc":
            raise PermissionError(13, "Permission denied")
        return real(path, **given)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    server = structs.replace(inspect_units(environ(folder), units), program=PROGRAM)
    found = list(paths.check_secrets(server))
    assert len(found) == 3
    assert {(each.level, each.fix) for each in found} == {("warning", "Run the doctor as root.")}
    one(await program_checks.check_api(server), "settings", "ok", "The settings of the API are valid")


async def test_without_units_it_is_said_how_to_install_them(folder: Path):
    """And nothing else, which would only follow from it."""
    report = await run_checks(inspect_units(environ(folder), folder), ask=False)
    assert not report.ok
    [finding] = report.findings
    assert "install.sh" in one(report, "settings", "error", f"No unit of this server is installed in {folder}").fix
    assert "--here" in finding.fix


def test_which_install_is_looked_at(folder: Path, units: Path):
    """The units if they are there, unless something was started where one stands; or as one says."""
    given = environ(folder)
    assert find_installation(given, folder, systemd=None, units=units).kind == "systemd"
    assert find_installation(given, folder, systemd=False, units=units).kind == "folder"
    assert find_installation(given, folder, systemd=None, units=folder / "none").kind == "folder"
    (folder / ".run").mkdir()
    assert find_installation(given, folder, systemd=None, units=units).kind == "folder"
    assert find_installation(given, folder, systemd=True, units=units).kind == "systemd"


async def command(folder: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """The command itself: its exit status, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", COMMAND, "doctor", *arguments),
        env=environ(folder, **more),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_says_it_to_people_and_to_programs(folder: Path):
    """0 where nothing is an error, 1 where something is, 2 for what it does not know."""
    status, output = await command(folder)
    assert status == 0, output
    assert f"Checked: the server in {folder}" in output
    assert "warning credential There is no credential, so the offline model answers.\n" in output
    assert "→ To go online" in output
    assert output.splitlines()[-1].endswith("1 warning, 0 error")
    status, output = await command(folder, "--json", "--here", CLI_POOL_SIZE="many")
    assert status == 1, output
    report = json.loads(output)
    assert report["ok"] is False
    [finding] = [each for each in report["findings"] if each["level"] == "error"]
    assert finding["check"] == "settings"
    assert finding["message"].startswith("CLI_POOL_SIZE: ")
    assert finding["fix"].startswith("Set CLI_POOL_SIZE in the environment")
    status, output = await command(folder, "--nonsense")
    assert status == 2
    assert "No such option" in output


def test_every_environment_is_one_that_up_would_make(folder: Path):
    """The doctor's stand-in for a key is never told, and is not the executors'."""
    server = here(folder)
    assert server.api["API_SECRET_TOKEN"] == install.PLACEHOLDER_TOKEN
    assert "API_SECRET_TOKEN" not in {**server.claude, **server.tools}
    given: Mapping[str, str] = here(folder, API_SECRET_TOKEN=API_KEY).api
    assert given["API_SECRET_TOKEN"] == API_KEY
