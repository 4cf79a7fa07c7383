"""The running server, as its owner's own programs find it: where it is, and its key.

Law: the key goes to the server's own address and nowhere else: unless the owner names one, to an address of this machine
that comes from where the key comes from. A .env is whoever's folder it lies in.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
from msgspec import Struct

from cli import StartupError
from cli.up import preflight, token_file
from cli.up.command import ADDRESS_FILE, DEFAULT_RUN_DIR, TOKEN_FILE, read_dotenv
from cli.up.environment import merge_settings
from shared.process.systemd import read_credentials

KEY_SETTING = "API_SECRET_TOKEN"
# Where the units have it from; root's alone.
UNIT_KEY_FILE = Path("/etc/claude-api-server/api-secret-token")


class RunningServer(Struct, frozen=True):
    """The server, and the key to it."""

    url: str
    key: str

    def create_client(self, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
        """An HTTP client for it. It goes there directly: a proxy of the environment is for elsewhere."""
        return httpx2.AsyncClient(base_url=self.url, headers=self.build_headers(), timeout=timeout, trust_env=False)

    def build_headers(self) -> dict[str, str]:
        """What every request to it has."""
        return {"authorization": f"Bearer {self.key}"}


def find_server(
    environ: Mapping[str, str], folder: Path, url: str | None, unit_key_file: Path = UNIT_KEY_FILE
) -> RunningServer:
    """Where the server is and its key. Raises CannotStart.

    The key is that of the environment, of .env, of the folder of secrets (in a container), of the file that a start made
    here, or of the units. Without `url` the address is of the same source, and on this machine.
    """
    dotenv = read_dotenv(folder)
    given = merge_settings(environ, dotenv)
    own = merge_settings(environ, {})
    if key := own.get(KEY_SETTING) or read_credentials(environ, (KEY_SETTING,)).get(KEY_SETTING):
        return RunningServer(resolve_url(url, lambda: _address_from_environment(own, given, KEY_SETTING)), key)
    if key := given.get(KEY_SETTING):
        return RunningServer(resolve_url(url, lambda: preflight.parse_address(given)), key)
    file = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR) / TOKEN_FILE
    if not file.exists() and os.access(unit_key_file, os.R_OK):
        key = unit_key_file.read_text(encoding="ascii").strip()
        return RunningServer(resolve_url(url, lambda: _address_from_environment(own, given, str(unit_key_file))), key)
    if not file.exists():
        raise StartupError(
            f"There is no key: set API_SECRET_TOKEN to the server's, or start this in the server's folder, where {file} is "
            "once `make run` has run; under systemd, as root."
        )
    return RunningServer(
        resolve_url(url, lambda: _address_from_run_dir(own, given, folder, file)),
        token_file.load_or_create_token(file).value,
    )


def resolve_url(url: str | None, find_address: Callable[[], preflight.Address]) -> str:
    """The address that was asked for, or the one of the key's source, if that is on this machine. Raises CannotStart."""
    if url:
        return url.rstrip("/")
    where = find_address()
    if preflight.Address(where.to_connect_host(), where.port).is_exposed():
        raise StartupError(
            f"HOST: {where.host} is not this machine's loopback, and the key is not sent elsewhere unasked. Pass --url "
            f"{where.url()} if that is where it should go."
        )
    return where.url()


def _address_from_environment(own: Mapping[str, str], given: Mapping[str, str], source: str) -> preflight.Address:
    """The address that stands where the key does; .env, which may be anybody's, must not lead it elsewhere."""
    if preflight.parse_address(given) != preflight.parse_address(own):
        name = "HOST" if given.get("HOST") != own.get("HOST") else "PORT"
        raise StartupError(
            f"{name}: the address comes from .env, but the key from {source}, and a key goes only where its own source says. "
            f"Set {name} in the environment too, or pass --url."
        )
    return preflight.parse_address(own)


def _address_from_run_dir(
    own: Mapping[str, str], given: Mapping[str, str], folder: Path, file: Path
) -> preflight.Address:
    """The address that the start wrote beside the key; without one, that of the settings which name this folder."""
    if found := token_file.read_address(file.with_name(ADDRESS_FILE)):
        return found
    if "RUN_DIR" in own:
        return _address_from_environment(own, given, str(file))
    if not file.resolve().is_relative_to(folder.resolve()):
        raise StartupError(f"{file.parent} does not say where its server is. Start the server anew, or pass --url.")
    return preflight.parse_address(given)
