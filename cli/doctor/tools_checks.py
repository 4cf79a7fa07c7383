"""Findings about the tools executor: the kernel, the sandbox, the allowed paths and commands."""

from collections.abc import Iterator

from cli.doctor import Finding, error, ok, to_finding, warning
from shared.checks import ToolsCheck


def check_kernel(report: ToolsCheck) -> Iterator[Finding]:
    """Yields what the kernel offers for the sandbox."""
    if not report.landlock:
        yield to_finding("kernel", f"T{report.missing[0][1:]}. Without it no tools are served; chat works.")
    else:
        yield ok("kernel", f"Landlock ABI {report.landlock}: the kernel restricts paths and programs.")
        for lack in report.missing:
            yield warning(
                "kernel", f"Landlock lacks something: {lack}.", "A newer kernel has it. Tools work without it."
            )
    if not report.can_filter_system_calls:
        yield error(
            "kernel",
            "System calls can't be filtered on this kind of processor, so no tools are served; chat works.",
            "Use a machine with an x86-64 or arm64 processor.",
        )
    else:
        yield ok("kernel", "System calls can be filtered: commands have no network.")
    if report.mount_problem:
        yield to_finding("kernel", f"{report.mount_problem[0].upper()}{report.mount_problem[1:]}.", "warning")
    else:
        yield ok("kernel", "Allowed folders are mounted without exec: no library in them is loaded.")


def check_sandbox(report: ToolsCheck) -> Iterator[Finding]:
    """Yields whether the sandbox holds."""
    if report.sandbox_problem:
        yield to_finding("sandbox", f"No tools are served: {report.sandbox_problem}. Chat works without them.")
    else:
        yield ok("sandbox", f"The sandbox passed its test; jobs run as {report.user}.")
    if report.converter_problem:
        yield to_finding("sandbox", f"{report.converter_problem[0].upper()}{report.converter_problem[1:]}.", "warning")


def check_paths(report: ToolsCheck) -> Iterator[Finding]:
    """Yields a finding for each allowed path."""
    if not report.paths:
        yield ok("paths", "No path is allowed yet; `make run` makes a folder `workspace`.")
    for path in report.paths:
        setting = "WRITABLE_PATHS" if path.writable else "ALLOWED_PATHS"
        if path.problem:
            yield to_finding("paths", path.problem)
        elif not (path.readable and path.can_write):
            lack, right = ("written", "write it") if path.readable else ("read", "read and enter it")
            yield error(
                "paths",
                f"{setting}: {path.path} can't be {lack} by {report.user}, the user of the jobs.",
                f"Give {report.user} the right to {right}, or set TOOLS_USER to its owner.",
            )
        elif not path.reachable:
            yield warning(
                "paths",
                f"{path.path} lies in a folder that {report.user} can't enter: commands reach it by relative paths only.",
                f"Let {report.user} enter every folder above it, or allow a folder elsewhere.",
            )
        else:
            yield ok("paths", f"{path.path} can be read{' and written' if path.writable else ''} by jobs.")


def check_commands(report: ToolsCheck) -> Iterator[Finding]:
    """Yields the problems of the allowed commands."""
    for problem in report.command_problems:
        yield to_finding("commands", problem)
    if not report.command_problems:
        yield ok("commands", f"All {report.command_count} allowed commands are installed.")
