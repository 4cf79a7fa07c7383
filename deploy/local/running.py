"""The running server, as its owner's own programs find it: where it is, and its key.

Law: the key goes to the server's own address and nowhere else.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import httpx2
from msgspec import Struct

from deploy.local import CannotStart, checks, token
from deploy.local.environments import merged
from deploy.local.up import DEFAULT_RUN_DIR, TOKEN_FILE, read_dotenv
from shared.notify import credentials

KEY = "API_SECRET_TOKEN"
# Where the units have it from; root's alone.
OF_UNITS = Path("/etc/claude-api-server/api-secret-token")


class Server(Struct, frozen=True):
    """The server, and the key to it."""

    url: str
    key: str

    def client(self, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
        """An HTTP client for it. It goes there directly: a proxy of the environment is for elsewhere."""
        return httpx2.AsyncClient(base_url=self.url, headers=self.headers(), timeout=timeout, trust_env=False)

    def headers(self) -> dict[str, str]:
        """What every request to it has."""
        return {"authorization": f"Bearer {self.key}"}


def server(environ: Mapping[str, str], folder: Path, url: str | None, of_units: Path = OF_UNITS) -> Server:
    """Where the server is and its key. Raises CannotStart.

    The key is that of the environment, of .env, of the folder of secrets (in a container), of the file that a start made
    here, or of the units.
    """
    given = merged(environ, read_dotenv(folder))
    where = url or checks.address(given).url()
    if key := given.get(KEY) or credentials(environ, (KEY,)).get(KEY):
        return Server(where.rstrip("/"), key)
    file = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR) / TOKEN_FILE
    if not file.exists() and os.access(of_units, os.R_OK):
        return Server(where.rstrip("/"), of_units.read_text(encoding="ascii").strip())
    if not file.exists():
        raise CannotStart(
            f"There is no key: set API_SECRET_TOKEN to the server's, or start this in the server's folder, where {file} is "
            "once `make run` has run; under systemd, as root."
        )
    return Server(where.rstrip("/"), token.kept(file).value)
