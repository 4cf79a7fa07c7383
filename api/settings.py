"""The API's settings, read from its environment and validated at start.

Invariants: only the environment is read. An error message names the setting and the fix. No credential of the model's
service is among them.
"""

import importlib.util
import ipaddress
import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.core.model_names import resolve_model
from api.core.problems import Problem
from api.http.client_address import Network

MIN_TOKEN_LENGTH = 16
GUESSABLE_PREFIXES = (
    "change",
    "your-",
    "your_",
    "secret",
    "password",
    "example",
    "1234",
    "test",
    "token",
    "default",
    "xxxx",
)


def check_token_strength(token: SecretStr) -> SecretStr:
    """Returns the token. Raises ValueError for one that is short or easy to guess."""
    text = token.get_secret_value()
    if len(text) < MIN_TOKEN_LENGTH:
        raise ValueError(f"shorter than {MIN_TOKEN_LENGTH} characters; `openssl rand -hex 32` makes a good one")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without spaces, since it travels in a header")
    if len(set(text)) < 8 or any(text.lower().startswith(known) for known in GUESSABLE_PREFIXES):
        raise ValueError("easy to guess; `openssl rand -hex 32` makes a good one")
    return token


def check_url(url: SecretStr, schemes: tuple[str, ...], example: str, driver: str) -> SecretStr:
    """Returns the address of a database. Raises ValueError for an invalid one."""
    try:
        parts = urlsplit(url.get_secret_value())
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"is no address that can be used; one looks like {example}")
    if importlib.util.find_spec(driver) is None:
        raise ValueError(
            f"needs the package `{driver}`, which is not installed; install the server with the extra `cluster`: "
            "`make install`, or `uv tool install '.[cluster]'`"
        )
    return url


def parse_model_aliases(value: object) -> object:
    """Parses MODEL_ALIASES from JSON. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError('must be a JSON object of names, such as {"my-model": "opus"}') from error


def parse_comma_list(value: object) -> object:
    """Parses a comma-separated list."""
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def parse_networks(value: object) -> object:
    """Parses a comma-separated list of addresses and networks. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(ipaddress.ip_network(item.strip()) for item in value.split(",") if item.strip())
    except ValueError as error:
        raise ValueError(f"{error}; list addresses and networks, such as 127.0.0.1,10.1.0.0/16") from error


check_database_url = partial(
    check_url,
    schemes=("postgresql", "postgres"),
    example="postgresql://USER:PASSWORD@HOST:5432/DATABASE",
    driver="asyncpg",
)
check_rate_limit_url = partial(
    check_url, schemes=("redis", "rediss", "valkey", "valkeys"), example="redis://HOST:6379/0", driver="redis"
)


class Settings(BaseSettings):
    """The settings. Each field's docstring is its description in `docs/configuration.md`."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    api_secret_token: Annotated[SecretStr, AfterValidator(check_token_strength)]
    """The owner's key, which clients send. Without one, `make run` generates a key and stores it in
    `RUN_DIR/api-token`. At least 16 printable ASCII characters, 8 of them different, no spaces, no common prefix
    such as `your-`, `change` or `test`.
    """
    host: str = "127.0.0.1"
    """The address to listen on. `0.0.0.0` accepts other machines, unencrypted: put a TLS proxy in front."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8020
    """The port to listen on."""
    default_model: str = "sonnet"
    """The model for requests that name none: `haiku`, `sonnet`, `opus`, a full `claude-…` id or an alias."""
    model_aliases: Annotated[dict[str, str], NoDecode, BeforeValidator(parse_model_aliases)] = {}
    """Additional names for models, as a JSON object of strings such as `{"my-model": "opus"}`."""
    request_timeout: Annotated[float, Field(gt=0, le=86400)] = 600
    """The longest time for one answer, in seconds, waiting in the queue included."""
    sse_keepalive_interval: Annotated[float, Field(gt=0, le=3600)] = 15
    """Seconds of silence after which a stream sends a keep-alive, so that proxies do not cut it."""
    reject_unsupported_params: bool = False
    """Rejects a parameter that would be ignored, and JSON that the CLI would alter, with a 400."""
    show_reasoning: Literal["auto", "always", "never"] = "auto"
    """Whether chat completions include the model's thinking as `reasoning_content`: `auto` if the request asks
    for it, `always` unless the request forbids it, or `never`.
    """
    max_choices: Annotated[int, Field(ge=1, le=128)] = 4
    """The largest `n` of a request; each choice is a separate conversation."""
    fetch_images: bool = True
    """Fetches images and documents from web addresses. If false, clients must send data URLs or base64."""
    max_prompt: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """The longest prompt of `/api/chat`, `/api/code` and `/api/analyze`, in characters."""
    max_turns: Annotated[int, Field(ge=1, le=1000)] = 40
    """The largest number of tool-calling turns in `/api/code`."""
    response_store_max_items: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """The number of responses kept in memory for `previous_response_id`; 0 keeps none."""
    response_store_max_bytes: Annotated[int, Field(ge=0, le=2**40)] = 64 * 1024 * 1024
    """The total size of the stored responses, in bytes."""
    response_store_ttl: Annotated[float, Field(gt=0, le=31 * 86400)] = 86400
    """How long a response is stored, in seconds."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Open connections. Beyond it, the connections idle for longest are closed. At most three quarters of the
    files that the process may open.
    """
    read_header_timeout: Annotated[float, Field(gt=0, le=3600)] = 20
    """Seconds in which a client must send the request line and the headers."""
    read_body_timeout: Annotated[float, Field(gt=0, le=3600)] = 30
    """Seconds that a body may stall or arrive slower than 4 KiB/s. A body may take ten times as long in total."""
    write_timeout: Annotated[float, Field(gt=0, le=3600)] = 60
    """Seconds that a client may read nothing of its response."""
    max_inflight_body_bytes: Annotated[int, Field(ge=32 * 1024 * 1024, le=2**40)] = 256 * 1024 * 1024
    """The total size of the bodies of all running requests, in bytes: decompressed, with the files fetched for
    them. Each key has a share.
    """
    drain_timeout: Annotated[float, Field(ge=0, le=3600)] = 3
    """Seconds that running answers get at a stop. `make run` ends everything within 5 s in any case."""
    watchdog_timeout: Annotated[float, Field(ge=0, le=3600)] = 30
    """Seconds without progress after which a program ends itself and is restarted; 0 disables this."""
    enable_cors: bool = False
    """Allows web pages to call the API from a browser."""
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_comma_list)] = ()
    """With `ENABLE_CORS`: the allowed origins, separated by commas; none means every origin, without credentials."""
    metrics_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(parse_networks)] = ()
    """Addresses and networks that may read `/metrics` without a key, separated by commas, such as
    `127.0.0.1,10.1.0.0/16`.
    """
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(parse_networks)] = ()
    """Addresses and networks of your own proxies. Only their `X-Forwarded-For` and `X-Forwarded-Proto` count."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_comma_list)] = ()
    """More host names for `/mcp`, and for `/metrics` without a key, separated by commas; `*` allows any. IP
    addresses and names without a dot are always allowed.
    """
    data_dir: Path = Path(".data")
    """The folder of keys, ledger and pepper, for the server's user only. Back it up completely."""
    database_url: Annotated[SecretStr, AfterValidator(check_database_url)] | None = None
    """A PostgreSQL database for keys and ledger, instead of a file in `DATA_DIR`: `postgresql://…`."""
    rate_limit_url: Annotated[SecretStr, AfterValidator(check_rate_limit_url)] | None = None
    """A Redis or Valkey that counts rate limits for several API hosts: `redis://…` or `valkey://…`."""
    key_pepper: Annotated[SecretStr, AfterValidator(check_token_strength)] | None = None
    """The secret that protects stored keys, the same on all hosts. Without one, the server generates it in
    `DATA_DIR/pepper`. Same rules as `API_SECRET_TOKEN`.
    """
    usage_retention_days: Annotated[int, Field(ge=1, le=36500)] = 400
    """Days that records stay in the ledger."""
    run_dir: Path = Path(".run")
    """The folder of the sockets, of the generated key and of the CLI's private folders. Socket paths may have 100
    bytes.
    """
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages to log."""
    log_format: Literal["console", "json"] = "console"
    """`console` for people, or `json` with one object a line."""

    @model_validator(mode="after")
    def _check_model_names(self) -> Self:
        for name in (self.default_model, *self.model_aliases):
            try:
                resolve_model(name, self.model_aliases, ())
            except Problem:
                setting = "DEFAULT_MODEL" if name == self.default_model else "MODEL_ALIASES"
                known = "haiku, sonnet, opus, a full claude-… id, or an alias of one of these in MODEL_ALIASES"
                raise ValueError(f"{setting}: unknown model `{name}`; use {known}") from None
        return self
