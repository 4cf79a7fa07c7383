"""Runs all checks, and renders the report as text or JSON."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from cli.doctor import CHECKS, Finding, error, network, paths, program_checks
from cli.doctor.install import UNITS_FOLDER, Installation, inspect_folder, inspect_units

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}
API_UNIT = "claude-api.service"
CHECK_COLUMN_WIDTH = max(map(len, CHECKS))


class Report(Struct, frozen=True):
    """ok: no finding is an error. install: `folder` or `systemd`. target: the folder that was checked, or that of the units."""

    ok: bool
    install: str
    target: str
    findings: tuple[Finding, ...]

    def json(self) -> str:
        """Returns the report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    def show(self, console: Console) -> None:
        """Prints a line for each finding, and its fix below."""
        subject = "the units" if self.install == "systemd" else "the server"
        console.print(f"Checked: {subject} in {self.target}", style="bold", soft_wrap=True)
        for finding in self.findings:
            line = Text(f"{finding.level:<8}", STYLES[finding.level])
            console.print(
                line.append(f"{finding.check:<{CHECK_COLUMN_WIDTH}} ", "dim").append(finding.message, ""),
                soft_wrap=True,
            )
            if finding.fix:
                console.print(Text(f"{'':<{9 + CHECK_COLUMN_WIDTH}}→ {finding.fix}", "cyan"), soft_wrap=True)
        counts = {level: sum(finding.level == level for finding in self.findings) for level in STYLES}
        console.print(", ".join(f"{count} {level}" for level, count in counts.items()), style="bold")


def find_installation(
    environ: Mapping[str, str], folder: Path, *, systemd: bool | None, units: Path = UNITS_FOLDER
) -> Installation:
    """Returns what to check. systemd: None chooses the units if they are installed and no server was started in the folder."""
    if systemd is None:
        systemd = (units / API_UNIT).exists() and not any((folder / name).exists() for name in (".env", ".run"))
    return inspect_units(environ, units) if systemd else inspect_folder(environ, folder)


async def run_checks(install: Installation, *, ask: bool) -> Report:
    """Runs all checks."""
    if install.kind == "systemd" and not (install.source / API_UNIT).exists():
        fix = "Run deploy/systemd/install.sh as root, or check the server of this folder with `--here`."
        missing = error("settings", f"No unit of this server is installed in {install.source}.", fix)
        return Report(ok=False, install=install.kind, target=str(install.source), findings=(missing,))
    wall, monotonic = time.time(), time.monotonic()
    (of_claude, claude), of_api, of_tools, of_port, of_running, of_sockets = await asyncio.gather(
        program_checks.check_claude(install, ask=ask),
        program_checks.check_api(install),
        program_checks.check_tools(install),
        network.check_port(install),
        network.check_running_server(install),
        paths.check_sockets(install),
    )
    used = claude is not None and claude.credential != "none"
    findings = [
        *install.findings,
        *of_api,
        *of_claude,
        *of_tools,
        *paths.check_secrets(install),
        *await network.check_service(install.claude, used=used),
        paths.check_run_dir(install),
        *of_sockets,
        *of_port,
        *of_running,
        *paths.check_disk(install),
        *network.check_clock_steps(time.time() - wall, time.monotonic() - monotonic),
    ]
    findings.sort(key=lambda finding: [*CHECKS].index(finding.check))
    no_error = all(finding.level != "error" for finding in findings)
    return Report(no_error, install.kind, str(install.source), tuple(findings))
