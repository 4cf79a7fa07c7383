"""The address of the API, the way to the model's service, and the clock.

Law: the service is asked for nothing but an answer of any kind, without a credential, and only if it would be used.
Addresses are told without the user names and passwords that stand in them.
"""

import asyncio
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
from cli.up import preflight, readiness
from cli.up.preflight import Address

DEFAULT_SERVICE_URL = "https://api.anthropic.com"
SERVER_NAME = "Claude API Server"
HTTP_TIMEOUT = 10.0
# No clock is right that is before this was written.
EARLIEST_TIME = datetime(2026, 11, 1, tzinfo=UTC)
CLOCK_WARNING_SECONDS, CLOCK_ERROR_SECONDS = 30.0, 300.0
CLOCK_STEP_SECONDS = 2.0


class ServerInfo(msgspec.Struct):
    """What the API says of itself at `GET /`."""

    name: str = ""


async def check_port(install: Installation) -> list[Finding]:
    """Who has the API's address."""
    if install.address is None:
        return [
            error(
                "port", "There is no address to listen on.", "Set HOST and PORT, or ListenStream= of claude-api.socket."
            )
        ]
    try:
        preflight.check_port_free(install.address)
    except StartupError as problem:
        return [await _check_port_owner(install.address, problem)]
    found = ok("port", f"{install.address.url()} is free.")
    if install.address.is_exposed():
        return [found, _warn_exposed(install.address)]
    return [found]


async def _check_port_owner(where: Address, problem: StartupError) -> Finding:
    root = await _fetch_json(where, "/", ServerInfo)
    if root is None or root.name != SERVER_NAME:
        return to_finding("port", problem)
    return ok("port", f"This server runs at {where.url()}.")


class ServerExecutor(msgspec.Struct, frozen=True):
    """An executor in `GET /health`."""

    name: str = ""
    up: bool = True


class ServerHealth(msgspec.Struct, frozen=True):
    """What a running server says of itself at `GET /health`."""

    status: str = ""
    executors: tuple[ServerExecutor, ...] = ()
    tools: tuple[ServerExecutor, ...] = ()
    problems: tuple[str, ...] = ()


async def check_running_server(install: Installation) -> list[Finding]:
    """What the server says that runs at the address, if one does."""
    if (
        install.address is None
        or (root := await _fetch_json(install.address, "/", ServerInfo)) is None
        or root.name != SERVER_NAME
    ):
        return [ok("running", "No server runs at this address.")]
    return list(interpret_health(await _fetch_json(install.address, "/health", ServerHealth)))


def interpret_health(state: ServerHealth | None) -> Iterator[Finding]:
    """What follows from its word."""
    if state is None:
        yield warning("running", "The running server does not say how it is.", "Its log says more; restart it.")
        return
    for problem in state.problems:
        yield to_finding("running", problem)
    if lost := [part.name for part in (*state.executors, *state.tools) if not part.up]:
        mend = "The findings of `sockets`, `cli` and `sandbox` say why; so does its log."
        yield warning("running", f"The running server is {state.status}: it can't use {', '.join(lost)}.", mend)
    elif state.status == "down":
        yield error("running", "The running server is down: it has no executor.", "Start one; its log says more.")
    elif not state.problems:
        yield ok("running", f"The running server says that it is {state.status}.")


async def _fetch_json[T](where: Address, path: str, kind: type[T]) -> T | None:
    """What whoever listens there says; None if that is not what this server would say, or nothing."""
    try:
        async with asyncio.timeout(HTTP_TIMEOUT):
            _, body = await readiness.fetch(where, path)
        return msgspec.json.decode(body, type=kind)
    except (OSError, ValueError, IndexError):
        return None


def _warn_exposed(where: Address) -> Finding:
    return warning(
        "port",
        f"HOST={where.host} lets other machines in, unencrypted.",
        "Put a proxy with TLS in front, or set HOST=127.0.0.1.",
    )


async def check_service(environment: Mapping[str, str], *, used: bool) -> list[Finding]:
    """Whether the service can be reached, and what its clock says. used: there is a credential for it."""
    now = check_clock(datetime.now(UTC), None)
    if not used:
        return [ok("upstream", "The service is not needed while the offline model answers."), now]
    where = environment.get("ANTHROPIC_BASE_URL") or DEFAULT_SERVICE_URL
    told = strip_credentials(where)
    try:
        # What the CLI trusts beside the system's certificates, and the proxy that it takes.
        trusted = ssl.create_default_context(
            cafile=environment.get("SSL_CERT_FILE"), capath=environment.get("SSL_CERT_DIR")
        )
        if more := environment.get("NODE_EXTRA_CA_CERTS"):
            trusted.load_verify_locations(more)
    except OSError as problem:
        return [
            error(
                "upstream",
                f"The certificates of SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS can't be read: {problem.strerror}.",
                "Set them to what is there, or leave them out.",
            ),
            now,
        ]
    proxy = find_proxy(environment, where)
    way = f" through the proxy {strip_credentials(proxy)}" if proxy else ""
    try:
        async with httpx2.AsyncClient(proxy=proxy, verify=trusted, trust_env=False, timeout=HTTP_TIMEOUT) as client:
            before = time.time()
            answer = await client.head(where)
            passed = time.time() - before
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as problem:
        return [
            error(
                "upstream",
                f"{told} can't be reached{way}: {type(problem).__name__}.",
                "Check the network, HTTPS_PROXY, ANTHROPIC_BASE_URL, and certificates (NODE_EXTRA_CA_CERTS).",
            ),
            now,
        ]
    if answer.status_code in {407, 502, 503, 504} and proxy:
        return [
            error("upstream", f"{told} can't be reached{way}: it answers {answer.status_code}.", "Check HTTPS_PROXY."),
            now,
        ]
    return [
        ok("upstream", f"{told} can be reached{way}, within {passed * 1000:.0f} ms."),
        check_clock(datetime.now(UTC), answer.headers.get("date")),
    ]


def check_clock(now: datetime, theirs: str | None) -> Finding:
    """What is to be said of the time that this machine has. theirs: a Date header of the service's."""
    if now < EARLIEST_TIME:
        return error("clock", f"The clock says {now:%Y-%m-%d}, which is in the past.", "Set it, or run an NTP client.")
    try:
        off = (now - parsedate_to_datetime(theirs or "")).total_seconds()
    except (ValueError, TypeError):
        return ok("clock", f"The clock says {now:%Y-%m-%d %H:%M} UTC.")
    if abs(off) < CLOCK_WARNING_SECONDS:
        return ok("clock", f"The clock says {now:%Y-%m-%d %H:%M} UTC, as the service's does.")
    said = f"The clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the service's."
    mend = "Set it, or run an NTP client: certificates and logins have times."
    return (error if abs(off) > CLOCK_ERROR_SECONDS else warning)("clock", said, mend)


def check_clock_steps(wall: float, monotonic: float) -> Iterator[Finding]:
    """What is to be said when the clock was set meanwhile. Both: seconds that passed, by either clock."""
    if abs(wall - monotonic) > CLOCK_STEP_SECONDS:
        said = f"The clock was moved by {wall - monotonic:+.0f} s while this looked."
        yield warning("clock", said, "Run one NTP client, and only one: times in logs and limits go by the clock.")


def find_proxy(environment: Mapping[str, str], url: str) -> str | None:
    """The proxy on the way to an address, if there is one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    without = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").lower()
    for name in (part.strip().lstrip("*").lstrip(".") for part in without.split(",") if part.strip()):
        if name in {"", host, f"{host}:{parts.port}"} or host.endswith(f".{name}"):
            return None
    setting = f"{parts.scheme}_proxy"
    return environment.get(setting) or environment.get(setting.upper()) or None


def strip_credentials(url: str) -> str:
    """An address without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
