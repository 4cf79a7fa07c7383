"""Finds the running server's address and key, for commands of its owner.

Invariants: the key goes to the server's own address and nowhere else. Unless the owner passes a URL, that is an address of
this machine, from the same source as the key. A .env file may belong to anybody: whoever owns the current folder wrote it.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx2
from msgspec import Struct

from cli import StartupError
from cli.up import preflight, token_file
from cli.up.command import ADDRESS_FILE, DEFAULT_RUN_DIR, TOKEN_FILE, read_dotenv
from cli.up.environment import merge_settings
from shared.process.systemd import read_credentials

KEY_SETTING = "API_SECRET_TOKEN"
# The key of the systemd units; only root can read it.
UNIT_KEY_FILE = Path("/etc/claude-api-server/api-secret-token")


class RunningServer(Struct, frozen=True):
    """The server's address and key."""

    url: str
    key: str

    def create_client(self, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
        """Returns an HTTP client for it. It ignores the proxy settings of the environment."""
        return httpx2.AsyncClient(base_url=self.url, headers=self.build_headers(), timeout=timeout, trust_env=False)

    def build_headers(self) -> dict[str, str]:
        """Returns the headers of every request."""
        return {"authorization": f"Bearer {self.key}"}


def find_server(
    environ: Mapping[str, str], folder: Path, url: str | None, unit_key_file: Path = UNIT_KEY_FILE
) -> RunningServer:
    """Returns the server's address and key. Raises StartupError.

    The key comes from the environment, the folder of secrets (in a container), .env, the file that `up` generated in this
    folder, or the units. Without `url`, the address comes from the same source and is on this machine.
    """
    given = merge_settings(environ, read_dotenv(folder))
    own = merge_settings(environ, {})
    file = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR) / TOKEN_FILE
    if key := own.get(KEY_SETTING) or read_credentials(environ, (KEY_SETTING,)).get(KEY_SETTING):
        find_address = partial(_address_from_environment, own, given, KEY_SETTING)
    elif key := given.get(KEY_SETTING):
        find_address = partial(preflight.parse_address, given)
    elif file.exists():
        find_address = partial(_address_from_run_dir, own, given, folder, file)
        key = token_file.load_or_create_token(file).value
    elif os.access(unit_key_file, os.R_OK):
        find_address = partial(_address_from_environment, own, given, str(unit_key_file))
        key = unit_key_file.read_text(encoding="ascii").strip()
    else:
        raise StartupError(
            f"There is no key: set API_SECRET_TOKEN to the server's key, or run this in the server's folder, where `make run` "
            f"generates {file}; under systemd, run it as root."
        )
    return RunningServer(resolve_url(url, find_address), key)


def resolve_url(url: str | None, find_address: Callable[[], preflight.Address]) -> str:
    """Returns the URL, or without one the address from the key's source if it is on this machine. Raises StartupError."""
    if url:
        return url.rstrip("/")
    address = find_address()
    if preflight.Address(address.to_connect_host(), address.port).is_exposed():
        raise StartupError(
            f"HOST: {address.host} is not this machine's loopback address, and the key is not sent to another machine unless you "
            f"ask for it: pass --url {address.url()}."
        )
    return address.url()


def _address_from_environment(own: Mapping[str, str], given: Mapping[str, str], source: str) -> preflight.Address:
    """Returns the address from the environment. Raises StartupError if .env, which may be anybody's, changes it."""
    if preflight.parse_address(given) != preflight.parse_address(own):
        name = "HOST" if given.get("HOST") != own.get("HOST") else "PORT"
        raise StartupError(
            f"{name}: the address comes from .env, but the key comes from {source}; both must come from the same source. "
            f"Set {name} in the environment too, or pass --url."
        )
    return preflight.parse_address(own)


def _address_from_run_dir(
    own: Mapping[str, str], given: Mapping[str, str], folder: Path, file: Path
) -> preflight.Address:
    """Returns the address that `up` wrote next to the key; without one, the address in the settings that name the folder."""
    if found := token_file.read_address(file.with_name(ADDRESS_FILE)):
        return found
    if "RUN_DIR" in own:
        return _address_from_environment(own, given, str(file))
    if not file.resolve().is_relative_to(folder.resolve()):
        raise StartupError(f"{file.parent} does not have the address of its server. Restart the server, or pass --url.")
    return preflight.parse_address(given)
