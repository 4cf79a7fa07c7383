"""The sandbox of the CLI: it allows what the CLI needs to reach its service, and nothing else.

Invariants: the sandbox is the same for every job: it depends on the host and the executor's environment, never on a request.
The process enters it before it becomes the CLI; a step that fails ends the process. What a host lacks is reported.
"""

import contextlib
import ipaddress
import os
import resource
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from executor.claude.cli.credential import LOGIN_FILE, Credential
from executor.sandbox import elf, landlock, privileges
from executor.sandbox.elf import NotAProgram
from executor.sandbox.landlock import Rules
from executor.sandbox.seccomp import filters

SERVICE_URL = "https://api.anthropic.com"
DEFAULT_PORTS = {"https": 443, "http": 80}
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")

# Certificates and their lists, but not the private keys next to them; the configuration of name lookups; the time zone; and
# the administrator's settings for every Claude Code on the host.
SYSTEM_FILES = (
    *("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/usr/share/ca-certificates"),
    *("/usr/local/share/ca-certificates", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust"),
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"),
    *("/etc/localtime", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/urandom", "/etc/claude-code"),
)
# Libraries that the C library loads to look names up.
RESOLVER_LIBRARIES = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")

NO_FILTER = "this machine's kind of processor has no system call filter here: x86_64 and aarch64 have one"
NO_PORT_RULES = "the CLI's network is not restricted by port (Landlock ABI 4, Linux 6.7); a firewall can be"


class CliSandboxError(Exception):
    """The CLI can't be run in a sandbox; the message names the setting and the fix."""


class CliSandbox(Struct, frozen=True):
    """rules: without the private folder. filter: empty if this machine has none. version: of Landlock; 0 without.

    needs_dns: the CLI must look names up, which takes UDP. missing: what this host's kernel lacks, as sentences.
    """

    rules: Rules
    filter: bytes = b""
    version: int = 0
    needs_dns: bool = False
    missing: tuple[str, ...] = ()


def build_cli_sandbox(
    binary: Path, credential: Credential, base_url: str | None, inherited: Mapping[str, str], version: int
) -> CliSandbox:
    """Builds the sandbox that this host supports for this CLI. version: of Landlock. Raises CliSandboxError."""
    try:
        program = elf.resolve_program(str(binary))
    except NotAProgram as problem:
        raise CliSandboxError(
            f"CLAUDE_CLI_PATH: {problem}. The sandbox runs the CLI's own program only: set it to the `claude` binary, or "
            "leave it out; one is installed with the server."
        ) from problem
    _check_login_owner(credential.folder)
    folders = {str(Path(library).parent) for library in program.libraries}
    supported = filters.is_supported()
    peers = list_peers(credential, base_url, inherited)
    needs_dns = any(is_hostname(host) for host, _ in peers)
    rules = Rules(
        read=(
            *SYSTEM_FILES,
            *program.libraries,
            *(f"{folder}/{name}" for folder in sorted(folders) for name in RESOLVER_LIBRARIES),
            *(inherited[name] for name in CERTIFICATE_VARIABLES if inherited.get(name)),
        ),
        # The configured path, not the target of a link: the link may be changed to another version.
        run=(str(binary), *((program.loader,) if program.loader else ())),
        change=(credential.folder,) if credential.folder else (),
        read_write=("/dev/null",),
        connect_ports=tuple(sorted({port for _, port in peers})),
    )
    missing = [*landlock.list_missing(version)]
    missing += [NO_PORT_RULES] if 0 < version < landlock.NET_ABI else []
    missing += [] if supported else [NO_FILTER]
    filter_ = filters.build_cli_filter(allow_signals=version >= landlock.SCOPE_ABI, dns=needs_dns) if supported else b""
    return CliSandbox(rules, filter_, version, needs_dns, tuple(missing))


def list_peers(credential: Credential, base_url: str | None, inherited: Mapping[str, str]) -> set[tuple[str, int]]:
    """Returns the hosts that the CLI connects to: its service, the proxies, and where it refreshes a login."""
    urls = {base_url or SERVICE_URL, *(inherited[name] for name in PROXY_VARIABLES if inherited.get(name))}
    if credential.kind == "login":
        urls.add(SERVICE_URL)
    return {peer for url in urls if (peer := _parse_peer(url))}


def is_hostname(host: str) -> bool:
    """Whether a host must be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _check_login_owner(folder: str) -> None:
    """Checks that root can read the login: without capabilities it reads only root's files. Raises CliSandboxError."""
    if not folder or os.getuid():
        return
    owner = (Path(folder) / LOGIN_FILE).stat().st_uid
    if owner:
        raise CliSandboxError(
            f"CLAUDE_CONFIG_DIR: the login in {folder} belongs to user {owner}, and the CLI that root starts can't read it: "
            "the sandbox leaves it no rights over others. Start the executor as that user."
        )


@contextlib.contextmanager
def prepare_entry(sandbox: CliSandbox, folder: Path) -> Generator[Callable[[], None]]:
    """Yields the function by which a process with this private folder enters the sandbox. Raises OSError."""
    rules = structs.replace(sandbox.rules, change=(*sandbox.rules.change, str(folder)))
    ruleset = landlock.create_ruleset(rules, sandbox.version) if sandbox.version else -1
    try:
        yield lambda: _enter(ruleset, sandbox.filter)
    finally:
        if ruleset >= 0:
            os.close(ruleset)


def _enter(ruleset: int, filter_: bytes) -> None:
    # A core dump would write the credential to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    privileges.drop_capabilities()
    if ruleset >= 0:
        landlock.restrict_self(ruleset)
    if filter_:
        filters.install(filter_)


def _parse_peer(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 443)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None
