"""Checks the address of the API, the connection to the model's service, and the clock.

Invariants: the service gets one HEAD request, without a credential, and only if it would be used. Messages show addresses
without user names and passwords.
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import msgspec

from cli import StartupError
from cli.doctor import Finding, error, ok, to_finding, warning
from cli.doctor.install import Installation
from cli.up import preflight
from cli.up.preflight import Address
from cli.up.readiness import Health, fetch_json

DEFAULT_SERVICE_URL = "https://api.anthropic.com"
SERVER_NAME = "Claude API Server"
HTTP_TIMEOUT = 10.0
# An earlier time is wrong: this check was written then.
EARLIEST_TIME = datetime(2026, 11, 1, tzinfo=UTC)
CLOCK_WARNING_SECONDS, CLOCK_ERROR_SECONDS = 30.0, 300.0
CLOCK_STEP_SECONDS = 2.0


class ServerInfo(msgspec.Struct):
    """The API's answer to `GET /`."""

    name: str = ""


async def check_port(install: Installation) -> list[Finding]:
    """Returns whether the API's address is free, or used by this server."""
    if install.address is None:
        return [
            error(
                "port", "No address to listen on is set.", "Set HOST and PORT, or ListenStream= of claude-api.socket."
            )
        ]
    try:
        preflight.check_port_free(install.address)
    except StartupError as problem:
        if await _is_own_server(install.address):
            return [ok("port", f"This server runs at {install.address.url()}.")]
        return [to_finding("port", problem)]
    found = ok("port", f"{install.address.url()} is free.")
    if not install.address.is_exposed():
        return [found]
    message = f"HOST={install.address.host} lets other machines in, unencrypted."
    return [found, warning("port", message, "Put a proxy with TLS in front, or set HOST=127.0.0.1.")]


async def check_running_server(install: Installation) -> list[Finding]:
    """Returns what a server that runs at the address reports."""
    if install.address is None or not await _is_own_server(install.address):
        return [ok("running", "No server runs at this address.")]
    return list(interpret_health(await fetch_json(install.address, "/health", Health, HTTP_TIMEOUT)))


async def _is_own_server(address: Address) -> bool:
    info = await fetch_json(address, "/", ServerInfo, HTTP_TIMEOUT)
    return info is not None and info.name == SERVER_NAME


def interpret_health(state: Health | None) -> Iterator[Finding]:
    """Yields the problems in a health report."""
    if state is None:
        yield warning("running", "The running server does not report its health.", "Read its log; restart it.")
        return
    for problem in state.problems:
        yield to_finding("running", problem)
    if lost := [part.name for part in (*state.executors, *state.tools) if not part.up]:
        fix = "See the findings of `sockets`, `cli` and `sandbox`, and its log."
        yield warning("running", f"The running server is {state.status}: it can't use {', '.join(lost)}.", fix)
    elif state.status == "down":
        yield error("running", "The running server is down: it has no executor.", "Start one, and read its log.")
    elif not state.problems:
        yield ok("running", f"The running server reports the status {state.status}.")


async def check_service(environment: Mapping[str, str], *, used: bool) -> list[Finding]:
    """Returns whether the service can be reached, and whether the clock is right. used: there is a credential for it."""
    now = check_clock(datetime.now(UTC), None)
    if not used:
        return [ok("upstream", "The service is not needed while the offline model answers."), now]
    url = environment.get("ANTHROPIC_BASE_URL") or DEFAULT_SERVICE_URL
    try:
        # The same extra certificates and proxy as the CLI.
        trusted = ssl.create_default_context(
            cafile=environment.get("SSL_CERT_FILE"), capath=environment.get("SSL_CERT_DIR")
        )
        if more := environment.get("NODE_EXTRA_CA_CERTS"):
            trusted.load_verify_locations(more)
    except OSError as problem:
        files = "SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS"
        message = f"The certificates of {files} can't be read: {problem.strerror}."
        return [error("upstream", message, "Set them to existing files, or remove them."), now]
    proxy = find_proxy(environment, url)
    route = f" through the proxy {strip_credentials(proxy)}" if proxy else ""
    failed = f"{strip_credentials(url)} can't be reached{route}"
    try:
        async with httpx2.AsyncClient(proxy=proxy, verify=trusted, trust_env=False, timeout=HTTP_TIMEOUT) as client:
            before = time.time()
            answer = await client.head(url)
            passed = time.time() - before
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as problem:
        fix = "Check the network, HTTPS_PROXY, ANTHROPIC_BASE_URL, and certificates (NODE_EXTRA_CA_CERTS)."
        return [error("upstream", f"{failed}: {type(problem).__name__}.", fix), now]
    if answer.status_code in {407, 502, 503, 504} and proxy:
        return [error("upstream", f"{failed}: it answers {answer.status_code}.", "Check HTTPS_PROXY."), now]
    return [
        ok("upstream", f"{strip_credentials(url)} can be reached{route}, within {passed * 1000:.0f} ms."),
        check_clock(datetime.now(UTC), answer.headers.get("date")),
    ]


def check_clock(now: datetime, service_date: str | None) -> Finding:
    """Returns whether the time of this machine is right. service_date: the header Date of the service's answer."""
    if now < EARLIEST_TIME:
        return error("clock", f"The clock says {now:%Y-%m-%d}, which is in the past.", "Set it, or run an NTP client.")
    try:
        off = (now - parsedate_to_datetime(service_date or "")).total_seconds()
    except (ValueError, TypeError):
        return ok("clock", f"The clock says {now:%Y-%m-%d %H:%M} UTC.")
    if abs(off) < CLOCK_WARNING_SECONDS:
        return ok("clock", f"The clock says {now:%Y-%m-%d %H:%M} UTC, like the service's.")
    message = f"The clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the service's."
    fix = "Set it, or run an NTP client: certificates and logins expire."
    return (error if abs(off) > CLOCK_ERROR_SECONDS else warning)("clock", message, fix)


def check_clock_steps(wall: float, monotonic: float) -> Iterator[Finding]:
    """Yields a warning if the clock was set during the checks. wall, monotonic: seconds that passed on each clock."""
    if abs(wall - monotonic) > CLOCK_STEP_SECONDS:
        message = f"The clock was moved by {wall - monotonic:+.0f} s during the checks."
        yield warning("clock", message, "Run exactly one NTP client: logs and limits use the clock.")


def find_proxy(environment: Mapping[str, str], url: str) -> str | None:
    """Returns the proxy for an address, if one is set."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    without = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").lower()
    for name in (part.strip().lstrip("*").lstrip(".") for part in without.split(",") if part.strip()):
        if name in {"", host, f"{host}:{parts.port}"} or host.endswith(f".{name}"):
            return None
    setting = f"{parts.scheme}_proxy"
    return environment.get(setting) or environment.get(setting.upper()) or None


def strip_credentials(url: str) -> str:
    """Returns an address without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
