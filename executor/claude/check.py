"""The check of the claude role: runs the CLI as at a start, and reports the kind of credential.

Invariants: the credential goes to the CLI only; the service is called only with `--ask`.
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
from shared.wire import Submit

CLI_COMMAND_TIMEOUT = 30.0
TEST_TURN_TIMEOUT = 120.0
# The cheapest model; an account without it is a result too.
TEST_TURN = Turn("haiku", (Message("user", (Text("Say OK."),)),), max_tokens=16)
# No server listens there: a CLI that only has to start calls none.
UNREACHABLE_URL = "http://127.0.0.1:9"
OFFLINE_CREDENTIAL = Credential("none", {"ANTHROPIC_API_KEY": "offline"}, bare=True)


class AuthStatus(Struct, rename="camel"):
    """The part of the output of `claude auth status` that is used."""

    logged_in: bool | None = None


async def check_claude(
    launch: Launch | None, missing: tuple[str, ...], kinds: Sequence[CredentialKind], *, ask: bool
) -> ClaudeCheck:
    """Runs the check. missing: what the CLI's sandbox lacks. kinds: of all credentials found. ask: calls the service too."""
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
    """Runs the CLI with arguments, in its sandbox. Returns its output. Raises OSError."""
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
            output, _ = await process.communicate()
            return output
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _read_version(launch: Launch, folder: Path) -> tuple[str, str]:
    """Returns the version, or an empty one and the reason."""
    try:
        words = (await _run_cli(launch, folder, "--version")).decode(errors="replace").split()
    except TimeoutError:
        return "", "it does not print its version"
    except OSError as error:
        return "", f"it can't be run: {error.strerror}"
    return (words[0], "") if words else ("", "it does not print its version")


async def _check_start(launch: Launch, folder: Path) -> str:
    """Starts the CLI as for a conversation. Returns why that failed; empty if it did not."""
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
        output = await _run_cli(launch, folder, "auth", "status")
        return msgspec.json.decode(output, type=AuthStatus).logged_in
    except (OSError, msgspec.DecodeError):
        return None


async def _run_test_turn(launch: Launch, folder: Path) -> str:
    """Runs a short turn. Returns the kind of its error; empty if it succeeded. folder: for its CLI."""
    role = ClaudeRole(launch, Admission(1, 1, TEST_TURN_TIMEOUT), 0, folder, TEST_TURN.model, offline=False)
    failed: list[str] = []

    async def record_failure(event: Event) -> None:
        if isinstance(event, Failed):
            failed.append(event.kind.value)

    await asyncio.to_thread(folder.mkdir, mode=0o700)
    try:
        async with asyncio.timeout(TEST_TURN_TIMEOUT):
            await role.run(Submit(TEST_TURN, "check"), ToolResultRouter(), record_failure)
    except TimeoutError:
        return "request_timeout"
    finally:
        await role.close()
    return failed[0] if failed else ""
