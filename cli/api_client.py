"""The running server's own API, asked by its owner: for `claude-api-server keys`."""

from collections.abc import Mapping
from typing import Any

import click
import httpx2

from cli.running_server import RunningServer
from shared.text.printable import escape_unprintable

API_TIMEOUT = 15.0


def send_request(server: RunningServer, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the server answers. Raises ClickException, with the server's own words if it has some."""
    url = server.url + path
    try:
        response = httpx2.request(
            method, url, json=body, headers=server.build_headers(), timeout=API_TIMEOUT, trust_env=False
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise click.ClickException(
            f"No server answers at {server.url}. Start it with `make run`, or pass --url."
        ) from error
    try:
        told = response.json() if response.content else None
    except ValueError:
        told = None
    if response.is_success:
        return told
    raise click.ClickException(_parse_detail(told) or f"The server answered {response.status_code}.")


def _parse_detail(told: Any) -> str:
    try:
        return escape_unprintable(str(told["detail"]))
    except (TypeError, KeyError):
        return ""
