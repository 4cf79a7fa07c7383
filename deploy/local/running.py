"""The running server, as its owner's own programs find it: where it is, and its key.

Law: the key goes to the server's own address and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path

import httpx2
from msgspec import Struct

from deploy.local import CannotStart, checks, token
from deploy.local.environments import merged
from deploy.local.up import DEFAULT_RUN_DIR, TOKEN_FILE, read_dotenv


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


def server(environ: Mapping[str, str], folder: Path, url: str | None) -> Server:
    """Where the server is and its key: from the environment, .env, or the key's file. Raises CannotStart."""
    given = merged(environ, read_dotenv(folder))
    where = url or checks.address(given).url()
    if key := given.get("API_SECRET_TOKEN"):
        return Server(where.rstrip("/"), key)
    file = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR) / TOKEN_FILE
    if not file.exists():
        raise CannotStart(
            f"There is no key: set API_SECRET_TOKEN to the server's, or start this in the server's folder, where {file} is "
            "once `make run` has run."
        )
    return Server(where.rstrip("/"), token.kept(file).value)
