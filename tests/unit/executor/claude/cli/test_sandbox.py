"""The CLI's sandbox as a value: whom it may talk to, what it may touch."""

from pathlib import Path

import pytest

from executor.claude.cli.credential import LOGIN_FILE, find_credential
from executor.claude.cli.launch import find_binary
from executor.claude.cli.sandbox import (
    NO_FILTER,
    NO_PORT_RULES,
    CliSandboxError,
    build_cli_sandbox,
    is_hostname,
    list_peers,
)
from executor.sandbox import landlock
from executor.sandbox.seccomp import filters
from executor.sandbox.seccomp.filters import build_cli_filter

KEY = find_credential({"ANTHROPIC_API_KEY": "sk-ant-invented"})
NEWEST = 7


def binary() -> Path:
    """The installed CLI."""
    found = find_binary(None)
    assert found
    return found


@pytest.mark.parametrize(
    ("base_url", "inherited", "expected"),
    [
        (None, {}, {("api.anthropic.com", 443)}),
        ("http://127.0.0.1:8123", {}, {("127.0.0.1", 8123)}),
        ("https://gateway.example/path", {}, {("gateway.example", 443)}),
        ("http://[::1]:9", {}, {("::1", 9)}),
        (None, {"HTTPS_PROXY": "http://proxy:3128"}, {("api.anthropic.com", 443), ("proxy", 3128)}),
        (None, {"https_proxy": "proxy.example:8080"}, {("api.anthropic.com", 443), ("proxy.example", 8080)}),
        (None, {"HTTPS_PROXY": ""}, {("api.anthropic.com", 443)}),
        (None, {"NO_PROXY": "example.com"}, {("api.anthropic.com", 443)}),
        ("http://127.0.0.1:port", {}, set()),
    ],
)
def test_the_cli_talks_to_its_service_and_the_proxies_on_the_way(
    base_url: str | None, inherited: dict[str, str], expected: set[tuple[str, int]]
) -> None:
    """Hosts and ports, from what the CLI is told; an address that is none opens no port."""
    assert list_peers(KEY, base_url, inherited) == expected


def test_a_login_is_refreshed_at_the_providers(tmp_path: Path) -> None:
    """Also when the messages go elsewhere; and its folder may be written."""
    (tmp_path / LOGIN_FILE).write_text("{}", encoding="utf-8")
    login = find_credential({"CLAUDE_CONFIG_DIR": str(tmp_path)})
    assert list_peers(login, "http://127.0.0.1:9", {}) == {("127.0.0.1", 9), ("api.anthropic.com", 443)}
    made = build_cli_sandbox(binary(), login, "http://127.0.0.1:9", {}, NEWEST)
    assert made.rules.change == (str(tmp_path),)
    assert made.rules.connect_ports == (9, 443)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("proxy", True), ("api.anthropic.com", True)],
)
def test_a_name_is_what_has_to_be_looked_up(host: str, *, expected: bool) -> None:
    """Looking up takes UDP, so it decides whether that is allowed."""
    assert is_hostname(host) is expected


def test_a_service_by_number_needs_no_udp() -> None:
    """And then there is none."""
    by_number, by_name = (build_cli_sandbox(binary(), KEY, url, {}, NEWEST) for url in ("http://127.0.0.1:1", None))
    assert (by_number.needs_dns, by_name.needs_dns) == (False, True)
    assert by_number.filter == build_cli_filter(allow_signals=True, dns=False) != by_name.filter


def test_it_runs_its_own_program_and_reads_no_private_key() -> None:
    """Folders of certificates, never the folder above them; certificates that were set are read too."""
    made = build_cli_sandbox(binary(), KEY, None, {"SSL_CERT_FILE": "/opt/ca.pem", "NODE_EXTRA_CA_CERTS": ""}, NEWEST)
    assert made.rules.run[0] == str(binary())
    assert len(made.rules.run) <= 2
    assert not {"/", "/etc", "/etc/ssl", "/etc/pki", "/usr", "/proc", "/tmp", ""} & set(made.rules.read)
    assert "/opt/ca.pem" in made.rules.read
    assert made.rules.change == ()
    assert made.missing == ()


@pytest.mark.parametrize("version", range(8))
def test_what_a_kernel_lacks_is_told(version: int) -> None:
    """From none at all to the newest; ports are governed from the fourth version on."""
    missing = build_cli_sandbox(binary(), KEY, None, {}, version).missing
    assert set(landlock.list_missing(version)) <= set(missing)
    assert (NO_PORT_RULES in missing) == (0 < version < landlock.NET_ABI)


def test_without_a_filter_for_the_processor_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is made up."""
    monkeypatch.setattr(filters, "is_supported", lambda: False)
    made = build_cli_sandbox(binary(), KEY, None, {}, NEWEST)
    assert (made.filter, made.missing) == (b"", (NO_FILTER,))


def test_a_script_can_not_be_confined(tmp_path: Path) -> None:
    """It says so, with the setting."""
    script = tmp_path / "claude"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(CliSandboxError, match=r"^CLAUDE_CLI_PATH: .* is a script"):
        build_cli_sandbox(script, KEY, None, {}, NEWEST)
