"""The figures, as a table for people and as JSON for whatever compares runs."""

import datetime as dt
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from tests.load.bench.measure import MB


class Figure(Struct, frozen=True):
    """One row. at_most: its target, if it has one. note: what to know of it."""

    scenario: str
    name: str
    value: float
    unit: str = "ms"
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met, as shown: the value is rounded first."""
        return None if self.at_most is None else round(self.value, 2) <= self.at_most


class Machine(Struct, frozen=True):
    """Where it was measured. load: the mean of the last minute before the start."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    cli: str
    load: float
    date: str


class Report(Struct, frozen=True):
    """One run."""

    machine: Machine
    seconds: float
    figures: list[Figure]


def machine(cli_version: str) -> Machine:
    """This machine, now."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(": ")[2] for line in info if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // MB,
        kernel=platform.release(),
        python=platform.python_version(),
        cli=cli_version,
        load=os.getloadavg()[0],
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


def show(report: Report, console: Console) -> None:
    """Print the table."""
    at = report.machine
    table = Table(title="Claude API Server, measured", title_justify="left", caption_justify="left")
    table.caption = (
        f"{at.date}; {at.cores} cores of {at.cpu}, Linux {at.kernel}, Python {at.python}, CLI {at.cli}; "
        f"load before {at.load:.2f}; took {report.seconds:.0f} s"
    )
    table.add_column("figure")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("note", style="dim")
    scenario = ""
    for figure in report.figures:
        if figure.scenario != scenario:
            scenario = figure.scenario
            table.add_section()
            table.add_row(f"[bold]{scenario}")
        target = "" if figure.at_most is None else f"≤ {figure.at_most:g} {figure.unit}"
        verdict = {None: "", True: "[green]met", False: "[red]MISSED"}[figure.met]
        table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", target, verdict, figure.note)
    console.print(table)


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """The figures over their target."""
    return [figure for figure in figures if figure.met is False]


def write(report: Report, path: Path) -> None:
    """Write the JSON file."""
    figures = [{**msgspec.to_builtins(figure), "met": figure.met} for figure in report.figures]
    whole = {**msgspec.to_builtins(report), "figures": figures}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
