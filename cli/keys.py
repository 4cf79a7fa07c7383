"""`claude-api-server keys …`: manages the keys of the running server. Prints tables, or JSON."""

import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import click
import httpx2
from rich.console import Console
from rich.table import Table

from cli import StartupError
from cli.running_server import find_server
from shared.text.printable import escape_unprintable

LIMIT_TYPES = {
    "requests_per_minute": int,
    "tokens_per_minute": int,
    "concurrent_jobs": int,
    "usd_per_day": float,
    "usd_per_month": float,
    "tokens_per_day": int,
    "tokens_per_month": int,
}
KEYS_PATH = "/api/admin/keys"
API_TIMEOUT = 15.0

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _request(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Returns the server's answer. Raises StartupError, or ClickException with the server's error message if there is one."""
    server = find_server(os.environ, Path.cwd(), click.get_current_context().obj)
    try:
        response = httpx2.request(
            method, server.url + path, json=body, headers=server.build_headers(), timeout=API_TIMEOUT, trust_env=False
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise StartupError(f"No server answers at {server.url}. Start it with `make run`, or pass --url.") from error
    try:
        answer: Any = response.json() if response.content else None
        if response.is_success:
            return answer
        detail = escape_unprintable(str(answer["detail"]))
    except (ValueError, TypeError, KeyError):
        detail = ""
    raise click.ClickException(detail or f"The server answered {response.status_code}.")


def _build_key_path(name: str) -> str:
    return f"{KEYS_PATH}/{quote(name, safe='')}"


@click.group(short_help="Manage the keys of the running server.")
@click.option("--url", help="The server's address. Default: HOST and PORT of the environment or .env.")
@click.pass_context
def keys(context: click.Context, url: str | None) -> None:
    """Manage the named keys of the running server. Each key has scopes, models and limits.

    The command authenticates with API_SECRET_TOKEN of the environment or .env, or with the key that the server generated
    in RUN_DIR; in a container, with the container's secret; under systemd, as root, with the secret of the units.
    """
    context.obj = url


@keys.command("list", short_help="List the keys.")
@as_json
def list_command(*, as_json: bool) -> None:
    """List every key."""
    found = _request("GET", KEYS_PATH)
    _print_json(found) if as_json else _print_table(found["data"])


@keys.command("add", short_help="Create a key; it is shown once.")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="A scope; repeat for several.")
@click.option(
    "--model", "models", multiple=True, help="A model that the key may use; repeat for several. Default: all."
)
@click.option("--expires", help="When the key expires: a date or a time, in UTC.")
@click.option("--limit", "limits", multiple=True, help="A limit, such as requests_per_minute=10; repeat for several.")
@as_json
def add_command(
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    expires: str | None,
    limits: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Create the key NAME and show it. It is not shown again."""
    body: dict[str, Any] = {"name": name, "scopes": scopes, **dict(_parse_limit(limit) for limit in limits)}
    body |= {"models": models} if models else {}
    body |= {"expires_at": expires} if expires else {}
    _print_key(_request("POST", KEYS_PATH, body), as_json=as_json)


@keys.command("rotate", short_help="Replace a key by a new one.")
@click.argument("name")
@as_json
def rotate_command(name: str, *, as_json: bool) -> None:
    """Give NAME a new key and show it, once. The old key stops working at once."""
    _print_key(_request("POST", f"{_build_key_path(name)}/rotate"), as_json=as_json)


@keys.command("disable", short_help="Disable a key.")
@click.argument("name")
@as_json
def disable_command(name: str, *, as_json: bool) -> None:
    """Disable NAME until it is enabled again."""
    _print_key(_request("PATCH", _build_key_path(name), {"disabled": True}), as_json=as_json)


@keys.command("enable", short_help="Enable a disabled key.")
@click.argument("name")
@as_json
def enable_command(name: str, *, as_json: bool) -> None:
    """Enable NAME."""
    _print_key(_request("PATCH", _build_key_path(name), {"disabled": False}), as_json=as_json)


@keys.command("rm", short_help="Remove a key.")
@click.argument("name")
@as_json
def rm_command(name: str, *, as_json: bool) -> None:
    """Remove NAME. Its usage stays in the ledger."""
    _request("DELETE", _build_key_path(name))
    _print_json({"name": name, "removed": True}) if as_json else click.echo(f"{name} is removed.")


def _parse_limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in LIMIT_TYPES:
        raise click.BadParameter(
            f"unknown limit {name!r}; the limits are: {', '.join(LIMIT_TYPES)}", param_hint="--limit"
        )
    try:
        number = LIMIT_TYPES[name](value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter(f"{text!r}: {name} needs a number, as in {name}=10", param_hint="--limit")
    return name, number


def _print_key(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(record)
        return
    _print_table([record])
    if "key" in record:
        click.echo(f"The key, shown only now:\n{record['key']}")


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _describe_state(record: Mapping[str, Any]) -> str:
    if record["disabled"]:
        return "disabled"
    ends = record["expires_at"]
    return "expired" if ends and datetime.fromisoformat(ends) <= datetime.now(UTC) else "enabled"


def _format_number(number: float) -> str:
    """Returns a number without an exponent."""
    return str(int(number)) if number == int(number) else format(Decimal(str(number)), "f")


def _print_table(records: list[dict[str, Any]]) -> None:
    table = Table()
    for title in ("name", "scopes", "models", "expires", "state", "limits"):
        # A narrow terminal wraps long values instead of cutting them.
        table.add_column(title, overflow="fold")
    for record in records:
        limits = [f"{name}={_format_number(record[name])}" for name in LIMIT_TYPES if record[name] is not None]
        models = cast("list[str] | None", record["models"])
        table.add_row(
            record["name"],
            " ".join(record["scopes"]),
            "all" if models is None else " ".join(models),
            record["expires_at"] or "never",
            _describe_state(record),
            "\n".join(limits) or "none",
        )
    Console(markup=False, highlight=False).print(table)
