"""What an executor of the claude role would find at a start: the CLI, tried, and the credential, of its kind.

Law: the credential goes to the CLI and nowhere else; the service is asked nothing unless that was asked for.
"""

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from executor.admission import Admission
from executor.claude.cli.credential import Credential, CredentialKind
from executor.claude.cli.handshake import fetch_cli_info
from executor.claude.cli.launch import TESTED_CLI_VERSION, Launch
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.sandbox import prepare_entry
from executor.claude.role import ClaudeRole
from executor.claude.tool_results import ToolResultRouter
from shared.checks import ClaudeCheck
from shared.events import Event, Failed
from shared.turn import Message, Text, Turn

CLI_COMMAND_TIMEOUT = 30.0
TEST_TURN_TIMEOUT = 120.0
# The cheapest that every account has; that it is missing is an answer too.
TEST_TURN = Turn("haiku", (Message("user", (Text("Say OK."),)),), max_tokens=16)
# Where nothing listens: a CLI that is only to show that it starts has nothing to ask.
UNREACHABLE_URL = "http://127.0.0.1:9"
OFFLINE_CREDENTIAL = Credential("none", {"ANTHROPIC_API_KEY": "offline"}, bare=True)


class AuthStatus(Struct, rename="camel"):
    """What `claude auth status` says, as far as it is told on."""

    logged_in: bool | None = None


async def check_claude(
    launch: Launch | None, missing: tuple[str, ...], kinds: Sequence[CredentialKind], *, ask: bool
) -> ClaudeCheck:
    """Try it. missing: what the CLI's sandbox lacks. kinds: the credentials there are. ask: the service too."""
    used, *unused = kinds or ("none",)
    found = ClaudeCheck(tested=TESTED_CLI_VERSION, credential=used, unused=tuple(unused), missing=missing)
    if launch is None:
        return found
    with tempfile.TemporaryDirectory(prefix="check-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        version, problem = await _read_version(launch, folder)
        problem = problem or await _check_start(launch, folder)
        found = structs.replace(found, cli=str(launch.binary), version=version, problem=problem)
        if problem or used == "none":
            return found
        found = structs.replace(found, logged_in=await _read_login_status(launch, folder))
        return (
            structs.replace(found, service_asked=True, failure_kind=await _run_test_turn(launch, folder / "asked"))
            if ask
            else found
        )


async def _run_cli(launch: Launch, folder: Path, *arguments: str) -> bytes:
    """What the CLI writes when it is started with these, in its sandbox. Raises OSError."""
    with prepare_entry(launch.sandbox, folder) as enter:
        try:
            process = await asyncio.create_subprocess_exec(
                str(launch.binary),
                *arguments,
                env=launch.build_environment(folder),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                preexec_fn=enter,
            )
        except subprocess.SubprocessError as error:
            raise OSError(0, "its sandbox can't be put up") from error
    try:
        async with asyncio.timeout(CLI_COMMAND_TIMEOUT):
            said, _ = await process.communicate()
            return said
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _read_version(launch: Launch, folder: Path) -> tuple[str, str]:
    """Its version, and why there is none."""
    try:
        said = (await _run_cli(launch, folder, "--version")).decode(errors="replace").split()
    except TimeoutError:
        return "", "it does not say its version"
    except OSError as error:
        return "", f"it can't be run: {error.strerror}"
    return (said[0], "") if said else ("", "it does not say its version")


async def _check_start(launch: Launch, folder: Path) -> str:
    """Why it does not start as it is started for a conversation; nothing if it does."""
    try:
        process = await CliProcess.start(launch, folder)
        try:
            await fetch_cli_info(process)
        finally:
            await process.clean_up()
    except CliCrashed as lost:
        return str(lost)
    return ""


async def _read_login_status(launch: Launch, folder: Path) -> bool | None:
    try:
        said = await _run_cli(launch, folder, "auth", "status")
        return msgspec.json.decode(said, type=AuthStatus).logged_in
    except (OSError, msgspec.DecodeError):
        return None


async def _run_test_turn(launch: Launch, folder: Path) -> str:
    """What kind of error a question brings; nothing if it is answered. folder: for its CLI."""
    role = ClaudeRole(launch, Admission(1, 1, TEST_TURN_TIMEOUT), 0, folder, TEST_TURN.model, offline=False)
    failed: list[str] = []

    async def record_failure(event: Event) -> None:
        if isinstance(event, Failed):
            failed.append(event.kind.value)

    await asyncio.to_thread(folder.mkdir, mode=0o700)
    try:
        async with asyncio.timeout(TEST_TURN_TIMEOUT):
            await role.run(TEST_TURN, ToolResultRouter(), record_failure)
    except TimeoutError:
        return "request_timeout"
    finally:
        await role.close()
    return failed[0] if failed else ""
