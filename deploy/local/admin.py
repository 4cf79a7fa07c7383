"""The running server's own API, asked by its owner: for `claude-api-server keys`.

Law: the token goes to the server's own address and nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx2

from deploy.local.environments import environments
from deploy.local.up import read_dotenv

TIMEOUT = 15.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def ask(environ: Mapping[str, str], folder: Path, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the server answers. Raises ClickException, with the server's own words if it has some."""
    settings, _ = environments(environ, read_dotenv(folder))
    host = settings.get("HOST", "127.0.0.1")
    host = EVERYWHERE.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.get('PORT', '8020')}{path}"
    headers = {"authorization": f"Bearer {token(settings, folder)}"}
    try:
        response = httpx2.request(method, url, json=body, headers=headers, timeout=TIMEOUT, trust_env=False)
    except httpx2.HTTPError as error:
        raise click.ClickException(
            f"The server does not answer at {url}. Start it (`make run`), or set HOST and PORT as it has them."
        ) from error
    if response.is_success:
        return response.json() if response.content else None
    try:
        message = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The server answered {response.status_code}."
    raise click.ClickException(message)


def token(settings: Mapping[str, str], folder: Path) -> str:
    """The owner's token: the setting, or the one that was made. Raises ClickException."""
    if "API_SECRET_TOKEN" in settings:
        return settings["API_SECRET_TOKEN"]
    file = folder / settings.get("RUN_DIR", ".run") / "api-token"
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"There is no API_SECRET_TOKEN, and {file} can't be read. Run this in the folder where the server was "
            "started, or set API_SECRET_TOKEN."
        ) from error
