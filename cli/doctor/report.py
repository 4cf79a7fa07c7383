"""Everything that is looked at, together; and how it is shown, to people and to programs."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from cli.doctor import CHECKS, Finding, error, network, paths, program_checks
from cli.doctor.install import UNITS, Install, of_folder, of_systemd

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}
API_UNIT = "claude-api.service"
WIDEST = max(map(len, CHECKS))


class Report(Struct, frozen=True):
    """ok: no finding is an error. looked_at: the folder, or the units."""

    ok: bool
    install: str
    looked_at: str
    findings: tuple[Finding, ...]

    def json(self) -> str:
        """For programs."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    def show(self, console: Console) -> None:
        """For people: a line for each finding, and below it what to do."""
        what = "the units" if self.install == "systemd" else "the server"
        console.print(f"Looked at: {what} in {self.looked_at}", style="bold", soft_wrap=True)
        for finding in self.findings:
            line = Text(f"{finding.level:<8}", STYLES[finding.level])
            console.print(line.append(f"{finding.check:<{WIDEST}} ", "dim").append(finding.said, ""), soft_wrap=True)
            if finding.mend:
                console.print(Text(f"{'':<{9 + WIDEST}}→ {finding.mend}", "cyan"), soft_wrap=True)
        counts = {level: sum(finding.level == level for finding in self.findings) for level in STYLES}
        console.print(", ".join(f"{count} {level}" for level, count in counts.items()), style="bold")


def installed(environ: Mapping[str, str], folder: Path, *, systemd: bool | None, units: Path = UNITS) -> Install:
    """What to look at. systemd: None takes the units if they are installed and nothing was started in the folder."""
    if systemd is None:
        systemd = (units / API_UNIT).exists() and not any((folder / name).exists() for name in (".env", ".run"))
    return of_systemd(environ, units) if systemd else of_folder(environ, folder)


def _absent(install: Install) -> Report:
    mend = "Run deploy/systemd/install.sh as root, or look with `--here` at the server of this folder."
    finding = error("settings", f"No unit of this server is installed in {install.seen}.", mend)
    return Report(ok=False, install=install.kind, looked_at=str(install.seen), findings=(finding,))


async def examined(install: Install, *, ask: bool) -> Report:
    """Look at everything."""
    if install.kind == "systemd" and not (install.seen / API_UNIT).exists():
        return _absent(install)
    wall, monotonic = time.time(), time.monotonic()
    (of_claude, claude), of_api, of_tools, of_port, of_running, of_sockets = await asyncio.gather(
        program_checks.of_claude(install, ask=ask),
        program_checks.of_api(install),
        program_checks.of_tools(install),
        network.port(install),
        network.running(install),
        paths.sockets(install),
    )
    used = claude is not None and claude.credential != "none"
    findings = [
        *install.findings,
        *of_api,
        *of_claude,
        *of_tools,
        *paths.secrets(install),
        *await network.service(install.claude, used=used),
        paths.folder(install),
        *of_sockets,
        *of_port,
        *of_running,
        *paths.disk(install),
        *network.steady(time.time() - wall, time.monotonic() - monotonic),
    ]
    order = list(CHECKS)
    findings.sort(key=lambda finding: order.index(finding.check))
    return Report(
        all(finding.level != "error" for finding in findings),
        install.kind,
        str(install.seen),
        tuple(findings),
    )
