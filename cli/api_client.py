"""A client of the running server's admin API, for `claude-api-server keys`."""

from collections.abc import Mapping
from typing import Any

import click
import httpx2

from cli.running_server import RunningServer
from shared.text.printable import escape_unprintable

API_TIMEOUT = 15.0


def send_request(server: RunningServer, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Returns the server's answer. Raises ClickException, with the server's error message if there is one."""
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
        answer = response.json() if response.content else None
    except ValueError:
        answer = None
    if response.is_success:
        return answer
    raise click.ClickException(_parse_detail(answer) or f"The server answered {response.status_code}.")


def _parse_detail(answer: Any) -> str:
    try:
        return escape_unprintable(str(answer["detail"]))
    except (TypeError, KeyError):
        return ""
