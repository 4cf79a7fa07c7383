"""Asks each program, by its own command line, what it would find at a start; and what that means.

Law: what a program writes is read as its `--check` promises, or it is an error that names the program; no secret is
read: where systemd would hand files down, the program is pointed to them.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from cli.doctor import Finding, error, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.doctor.storage import check_storage
from shared.checks import ApiCheck, ClaudeCheck, ToolsCheck
from shared.errors import ERROR_INFO, ErrorKind

CHECK_TIMEOUT = 180.0

CREDENTIAL_KINDS = {
    "api_key": ("an API key", "ANTHROPIC_API_KEY"),
    "auth_token": ("a bearer token", "ANTHROPIC_AUTH_TOKEN"),
    "oauth_token": ("a subscription's token", "CLAUDE_CODE_OAUTH_TOKEN"),
    "login": ("a login of the CLI", "CLAUDE_CONFIG_DIR"),
}
# A credential that is refused brings another answer than these.
ACCEPTED_ERROR_KINDS = ("", "model_not_found", "usage_limit", "rate_limit", "overloaded", "invalid_request")


class CheckFailed(Exception):
    """A program did not say what it was asked."""


async def run_check[T](
    install: Installation, unit: str, environment: Mapping[str, str], kind: type[T], *arguments: str
) -> T:
    """What a program says of itself. unit: whose credentials it gets, under systemd. Raises NotSaid."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        folder = Path(name)
        files = {secret: path for secret, path in install.credentials.get(unit, {}).items() if os.access(path, os.R_OK)}
        for secret, path in files.items():
            (folder / secret).symlink_to(path)
        given = {**environment, **({"CREDENTIALS_DIRECTORY": name} if files else {})}
        process = await asyncio.create_subprocess_exec(
            *install.program,
            *arguments,
            "--check",
            env=given,
            cwd=install.folder if install.folder.is_dir() else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                output, words = await process.communicate()
        except TimeoutError as late:
            raise CheckFailed(f"{arguments[0]} did not answer in {CHECK_TIMEOUT:g} s") from late
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    try:
        return msgspec.json.decode(output, type=kind)
    except msgspec.DecodeError as problem:
        last = f"exit code {process.returncode}: " + words.decode(errors="replace").strip().rpartition("\n")[2]
        raise CheckFailed(f"{arguments[0]} ended with {last}") from problem


async def check_api(install: Installation) -> list[Finding]:
    """What the API finds."""
    try:
        check = await run_check(install, "claude-api", install.api, ApiCheck, "api")
    except CheckFailed as problem:
        return [_report_failure(problem)]
    return [
        *_check_settings("API", check.complaints, install),
        *(() if check.complaints else check_storage(check, install)),
    ]


async def check_claude(install: Installation, *, ask: bool) -> tuple[list[Finding], ClaudeCheck | None]:
    """What the claude executor finds."""
    arguments = ("executor", "--role", "claude", *(["--ask"] if ask and install.can_ask_service else []))
    try:
        check = await run_check(install, "claude-executor@", install.claude, ClaudeCheck, *arguments)
    except CheckFailed as problem:
        return [_report_failure(problem)], None
    findings = _check_settings("claude executor", check.complaints, install)
    if not check.complaints:
        findings += [_check_cli(check), *_check_cli_sandbox(check), *_check_credential(check, install)]
    return findings, check


async def check_tools(install: Installation) -> list[Finding]:
    """What the tools executor finds."""
    try:
        check = await run_check(install, "tools-executor@", install.tools, ToolsCheck, "executor", "--role", "tools")
    except CheckFailed as problem:
        return [_report_failure(problem)]
    tried = (
        ()
        if check.complaints
        else (*check_kernel(check), *check_sandbox(check), *check_paths(check), *check_commands(check))
    )
    return [*_check_settings("tools executor", check.complaints, install), *tried]


def _report_failure(problem: CheckFailed) -> Finding:
    return error("settings", f"A program can't be asked: {problem}.", "Install anew: `make clean`, then `make run`.")


def _check_settings(program: str, complaints: tuple[str, ...], install: Installation) -> list[Finding]:
    here, there = "in the environment or in .env (.env", "in the program's file in /etc/claude-api-server (.env"
    if install.kind == "systemd":
        complaints = tuple(complaint.replace(here, there) for complaint in complaints)
    return [to_finding("settings", complaint) for complaint in complaints] or [
        ok("settings", f"The {program} takes its settings.")
    ]


def _check_cli(check: ClaudeCheck) -> Finding:
    if not check.cli:
        return error(
            "cli", "Claude Code was not found.", "Run `make run` once, or set CLAUDE_CLI_PATH to a `claude` binary."
        )
    if check.problem:
        return error(
            "cli",
            f"Claude Code at {check.cli} does not start: {check.problem}.",
            "Leave CLAUDE_CLI_PATH out, or install anew: `make clean`, then `make run`.",
        )
    if check.version != check.tested:
        return warning(
            "cli",
            f"Claude Code {check.version} starts; this server was tested with {check.tested}.",
            "If something fails, leave CLAUDE_CLI_PATH out: the version that was tested is installed with the server.",
        )
    return ok("cli", f"Claude Code {check.version}, the version that was tested, starts.")


def _check_cli_sandbox(check: ClaudeCheck) -> Iterator[Finding]:
    for lack in check.missing:
        said, _, mend = lack.partition("; ")
        yield warning(
            "kernel", f"Of the CLI's sandbox: {said}.", mend or "A newer kernel has it; chat is served all the same."
        )


def _check_credential(check: ClaudeCheck, install: Installation) -> Iterator[Finding]:
    if check.credential == "none":
        if install.claude.get("CLAUDE_CONFIG_DIR"):
            yield warning(
                "credential",
                "CLAUDE_CONFIG_DIR is a folder without a login, so the offline model answers.",
                "Log in with `CLAUDE_CONFIG_DIR=that-folder claude`, or use another credential.",
            )
        else:
            place = "/etc/claude-api-server/claude-code-oauth-token" if install.kind == "systemd" else ".env"
            mend = f"To go online: `claude-api-server login`, and put the token that it prints in {place}."
            yield warning("credential", "There is no credential, so the offline model answers.", mend)
        return
    words, _ = CREDENTIAL_KINDS[check.credential]
    for unused in check.unused:
        other, name = CREDENTIAL_KINDS[unused]
        yield warning(
            "credential",
            f"Beside {words}, which is used, {other} is set, which is not.",
            f"Take {name} out, or the other one.",
        )
    yield _check_acceptance(check, words[0].upper() + words[1:])


def _check_acceptance(check: ClaudeCheck, words: str) -> Finding:
    if check.logged_in is False:
        return error(
            "credential", f"{words} is set, but the CLI says that it is not logged in.", "Log in anew, or renew it."
        )
    if not check.service_asked:
        return ok("credential", f"{words} is set; whether the service accepts it was not tried (`--ask` does).")
    if not check.failure_kind:
        return ok("credential", f"{words} is accepted: the service answered a question.")
    sentence = ERROR_INFO[ErrorKind(check.failure_kind)].message
    told = f"{words} was tried ({check.failure_kind})."
    return (
        warning("credential", told, sentence)
        if check.failure_kind in ACCEPTED_ERROR_KINDS
        else error("credential", told, sentence)
    )


def check_kernel(check: ToolsCheck) -> Iterator[Finding]:
    """What the kernel has, and what that means here."""
    if not check.landlock:
        yield to_finding("kernel", f"T{check.missing[0][1:]}. Without it no tools are served; chat works.")
    else:
        yield ok("kernel", f"Landlock ABI {check.landlock}: paths and programs are held by the kernel.")
        for lack in check.missing:
            yield warning(
                "kernel", f"Landlock lacks something: {lack}.", "A newer kernel has it; tools are served all the same."
            )
    if not check.can_filter_system_calls:
        yield error(
            "kernel",
            "System calls can't be filtered on this kind of processor, so no tools are served; chat works.",
            "Use a machine with an x86-64 or arm64 processor.",
        )
    else:
        yield ok("kernel", "System calls can be filtered: commands have no network.")
    if check.mount_problem:
        yield to_finding("kernel", f"{check.mount_problem[0].upper()}{check.mount_problem[1:]}.", "warning")
    else:
        yield ok("kernel", "Allowed folders are without exec: no library that lies in them is loaded.")


def check_sandbox(check: ToolsCheck) -> Iterator[Finding]:
    """Whether it holds."""
    if check.sandbox_problem:
        yield to_finding("sandbox", f"No tools are served: {check.sandbox_problem}. Chat works without them.")
    else:
        yield ok("sandbox", f"The sandbox holds when it is tried; jobs run as {check.user}.")
    if check.converter_problem:
        yield to_finding("sandbox", f"{check.converter_problem[0].upper()}{check.converter_problem[1:]}.", "warning")


def check_paths(check: ToolsCheck) -> Iterator[Finding]:
    """Each allowed path."""
    if not check.paths:
        yield ok("paths", "No path is allowed yet; `make run` makes a folder `workspace`.")
    for path in check.paths:
        setting = "WRITABLE_PATHS" if path.writable else "ALLOWED_PATHS"
        if path.problem:
            yield to_finding("paths", path.problem)
        elif not path.readable:
            yield error(
                "paths",
                f"{setting}: {path.path} can't be read by {check.user}, as whom jobs run.",
                f"Give {check.user} the right to read and enter it, or set TOOLS_USER to its owner.",
            )
        elif not path.can_write:
            yield error(
                "paths",
                f"{setting}: {path.path} can't be written by {check.user}, as whom jobs run.",
                f"Give {check.user} the right to write it, or set TOOLS_USER to its owner.",
            )
        elif not path.reachable:
            yield warning(
                "paths",
                f"{path.path} lies in a folder that {check.user} can't enter: commands reach it by relative paths only.",
                f"Let {check.user} enter every folder above it, or allow one that lies elsewhere.",
            )
        else:
            yield ok("paths", f"{path.path} can be read{' and written' if path.writable else ''} by jobs.")


def check_commands(check: ToolsCheck) -> Iterator[Finding]:
    """The allowed commands."""
    for problem in check.command_problems:
        yield to_finding("commands", problem)
    if not check.command_problems:
        yield ok("commands", f"{check.command_count} commands are allowed, and all are there.")
