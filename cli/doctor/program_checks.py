"""Runs each program with `--check`, as it would start now, and turns its report into findings.

Invariants: the output of a program is a report (`shared.checks`), or the finding is an error that names the program. No
secret is read here: where systemd would hand over credential files, the program gets links to them.
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
from cli.doctor.claude_checks import check_cli, check_cli_sandbox, check_credential
from cli.doctor.install import Installation
from cli.doctor.tools_checks import check_commands, check_kernel, check_paths, check_sandbox
from cli.up.command import DEFAULT_DATA_DIR
from shared.checks import ApiCheck, ClaudeCheck, ToolsCheck

CHECK_TIMEOUT = 180.0


async def run_check[T](
    install: Installation, unit: str, environment: Mapping[str, str], kind: type[T], *arguments: str
) -> T | Finding:
    """Returns the report of a program, or why there is none. unit: under systemd, whose credentials it gets."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        folder = Path(name)
        files = {secret: path for secret, path in install.credentials.get(unit, {}).items() if os.access(path, os.R_OK)}
        for secret, path in files.items():
            (folder / secret).symlink_to(path)
        process = await asyncio.create_subprocess_exec(
            *install.program,
            *arguments,
            "--check",
            env={**environment, **({"CREDENTIALS_DIRECTORY": name} if files else {})},
            cwd=install.folder if install.folder.is_dir() else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                output, errors = await process.communicate()
        except TimeoutError:
            return _report_failure(f"{arguments[0]} did not answer in {CHECK_TIMEOUT:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    try:
        return msgspec.json.decode(output, type=kind)
    except msgspec.DecodeError:
        last_line = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return _report_failure(f"{arguments[0]} ended with exit code {process.returncode}: {last_line}")


async def check_api(install: Installation) -> list[Finding]:
    """Returns the findings of the API."""
    report = await run_check(install, "claude-api", install.api, ApiCheck, "api")
    if isinstance(report, Finding):
        return [report]
    findings = _check_settings("API", report.complaints, install)
    return findings if report.complaints else [*findings, *check_storage(report, install)]


async def check_claude(install: Installation, *, ask: bool) -> tuple[list[Finding], ClaudeCheck | None]:
    """Returns the findings of the claude executor, and its report."""
    arguments = ("executor", "--role", "claude", *(["--ask"] if ask and install.can_ask_service else []))
    report = await run_check(install, "claude-executor@", install.claude, ClaudeCheck, *arguments)
    if isinstance(report, Finding):
        return [report], None
    findings = _check_settings("claude executor", report.complaints, install)
    if not report.complaints:
        findings += [check_cli(report), *check_cli_sandbox(report), *check_credential(report, install)]
    return findings, report


async def check_tools(install: Installation) -> list[Finding]:
    """Returns the findings of the tools executor."""
    report = await run_check(install, "tools-executor@", install.tools, ToolsCheck, "executor", "--role", "tools")
    if isinstance(report, Finding):
        return [report]
    findings = _check_settings("tools executor", report.complaints, install)
    if not report.complaints:
        findings += [*check_kernel(report), *check_sandbox(report), *check_paths(report), *check_commands(report)]
    return findings


def _report_failure(problem: str) -> Finding:
    return error("settings", f"A program can't be checked: {problem}.", "Reinstall: `make clean`, then `make run`.")


def _check_settings(program: str, complaints: tuple[str, ...], install: Installation) -> list[Finding]:
    here, there = "in the environment or in .env (.env", "in the program's file in /etc/claude-api-server (.env"
    if install.kind == "systemd":
        complaints = tuple(complaint.replace(here, there) for complaint in complaints)
    return [to_finding("settings", complaint) for complaint in complaints] or [
        ok("settings", f"The settings of the {program} are valid.")
    ]


def check_storage(check: ApiCheck, install: Installation) -> Iterator[Finding]:
    """Yields the findings about the storage of keys, limits and the ledger, from the API's report."""
    folder = install.folder / install.api.get("DATA_DIR", DEFAULT_DATA_DIR)
    hidden = install.kind == "systemd" and folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    if hidden:
        yield warning("data", f"You can't read {folder}.", "Run the doctor as root.")
    elif check.data_problem:
        yield to_finding("data", check.data_problem)
    else:
        yield ok("data", f"{folder} {'can be used' if check.data_dir_exists else 'is created at the first start'}.")
    if check.has_database_url or not (hidden or check.data_problem):
        yield _check_database(check)
    if check.rate_limit_problem:
        yield to_finding("limits", check.rate_limit_problem)
    elif check.has_rate_limit_url:
        yield ok("limits", "RATE_LIMIT_URL answers.")
    else:
        yield ok("limits", "RATE_LIMIT_URL is not set: each API process counts limits in memory.")


def _check_database(check: ApiCheck) -> Finding:
    if check.database_problem:
        return to_finding("database", check.database_problem)
    name = "The database of DATABASE_URL" if check.has_database_url else "The database"
    if check.schema_version:
        return ok("database", f"{name} has version {check.schema_version}.")
    return ok("database", f"{name} has no tables yet, which the first start creates, or another program writes to it.")
