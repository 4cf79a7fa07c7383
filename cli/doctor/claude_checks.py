"""Findings about the claude executor: the CLI, its sandbox, and the credential."""

from collections.abc import Iterator

from cli.doctor import Finding, error, ok, warning
from cli.doctor.install import Installation
from shared.checks import ClaudeCheck
from shared.errors import ERROR_INFO, ErrorKind

CREDENTIAL_KINDS = {
    "api_key": ("an API key", "ANTHROPIC_API_KEY"),
    "auth_token": ("a bearer token", "ANTHROPIC_AUTH_TOKEN"),
    "oauth_token": ("a subscription's token", "CLAUDE_CODE_OAUTH_TOKEN"),
    "login": ("a login of the CLI", "CLAUDE_CONFIG_DIR"),
}
# The service gives these errors only to a credential that it accepts.
ACCEPTED_ERROR_KINDS = ("", "model_not_found", "usage_limit", "rate_limit", "overloaded", "invalid_request")


def check_cli(report: ClaudeCheck) -> Finding:
    """Returns whether the CLI is installed, starts, and has the tested version."""
    if not report.cli:
        return error(
            "cli", "Claude Code was not found.", "Run `make run` once, or set CLAUDE_CLI_PATH to a `claude` binary."
        )
    if report.problem:
        return error(
            "cli",
            f"Claude Code at {report.cli} does not start: {report.problem}.",
            "Remove CLAUDE_CLI_PATH, or reinstall: `make clean`, then `make run`.",
        )
    if report.version != report.tested:
        return warning(
            "cli",
            f"Claude Code {report.version} starts; this server was tested with {report.tested}.",
            "If something fails, remove CLAUDE_CLI_PATH: the tested version is installed with the server.",
        )
    return ok("cli", f"Claude Code {report.version}, the version that was tested, starts.")


def check_cli_sandbox(report: ClaudeCheck) -> Iterator[Finding]:
    """Yields what the CLI's sandbox lacks on this host."""
    for lack in report.missing:
        problem, _, fix = lack.partition("; ")
        yield warning(
            "kernel", f"The CLI's sandbox: {problem}.", fix or "A newer kernel has it. Chat works without it."
        )


def check_credential(report: ClaudeCheck, install: Installation) -> Iterator[Finding]:
    """Yields which credential is used, and whether it is accepted."""
    if report.credential == "none":
        if install.claude.get("CLAUDE_CONFIG_DIR"):
            yield warning(
                "credential",
                "CLAUDE_CONFIG_DIR is a folder without a login, so the offline model answers.",
                "Log in with `CLAUDE_CONFIG_DIR=that-folder claude`, or use another credential.",
            )
        else:
            place = "/etc/claude-api-server/claude-code-oauth-token" if install.kind == "systemd" else ".env"
            fix = f"To go online: run `claude-api-server login`, and put the token that it prints in {place}."
            yield warning("credential", "There is no credential, so the offline model answers.", fix)
        return
    description, _ = CREDENTIAL_KINDS[report.credential]
    for unused in report.unused:
        other, name = CREDENTIAL_KINDS[unused]
        yield warning(
            "credential",
            f"Two credentials are set: {description}, which is used, and {other}, which is not used.",
            f"Remove {name}, or the other one.",
        )
    yield _check_acceptance(report, description[0].upper() + description[1:])


def _check_acceptance(report: ClaudeCheck, description: str) -> Finding:
    if report.logged_in is False:
        return error(
            "credential",
            f"{description} is set, but the CLI says that it is not logged in.",
            "Log in again, or renew it.",
        )
    if not report.service_asked:
        return ok(
            "credential", f"{description} is set; the service was not asked whether it accepts it (`--ask` does)."
        )
    if not report.failure_kind:
        return ok("credential", f"{description} is accepted: the service answered a question.")
    message = f"{description} was tried ({report.failure_kind})."
    fix = ERROR_INFO[ErrorKind(report.failure_kind)].message
    return (warning if report.failure_kind in ACCEPTED_ERROR_KINDS else error)("credential", message, fix)
