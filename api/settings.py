"""The API's settings, read from its environment and checked at the start.

Invariants: only the environment is read; an error names the setting and the fix. No setting is a credential of the
model's service.
"""

import ipaddress
import json
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


def check_optional_token_strength(token: SecretStr | None) -> SecretStr | None:
    """As `check_token_strength`. Raises ValueError."""
    return token and check_token_strength(token)


def check_database_url(url: SecretStr | None) -> SecretStr | None:
    """Returns DATABASE_URL. Raises ValueError for an invalid one."""
    return _check_url(url, ("postgresql", "postgres"), "postgresql://USER:PASSWORD@HOST:5432/DATABASE")


def check_rate_limit_url(url: SecretStr | None) -> SecretStr | None:
    """Returns RATE_LIMIT_URL. Raises ValueError for an invalid one."""
    return _check_url(url, ("redis", "rediss", "valkey", "valkeys"), "redis://HOST:6379/0")


def _check_url(url: SecretStr | None, schemes: tuple[str, ...], example: str) -> SecretStr | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url.get_secret_value())
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"is no address that can be used; one looks like {example}")
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


class Settings(BaseSettings):
    """The settings of an operator. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    api_secret_token: Annotated[SecretStr, AfterValidator(check_token_strength)]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8020
    default_model: str = "sonnet"
    model_aliases: Annotated[dict[str, str], NoDecode, BeforeValidator(parse_model_aliases)] = {}
    request_timeout: Annotated[float, Field(gt=0, le=86400)] = 600
    sse_keepalive_interval: Annotated[float, Field(gt=0, le=3600)] = 15
    reject_unsupported_params: bool = False
    show_reasoning: Literal["auto", "always", "never"] = "auto"
    max_choices: Annotated[int, Field(ge=1, le=128)] = 4
    fetch_images: bool = True
    max_prompt: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    max_turns: Annotated[int, Field(ge=1, le=1000)] = 40
    response_store_max_items: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    response_store_max_bytes: Annotated[int, Field(ge=0, le=2**40)] = 64 * 1024 * 1024
    response_store_ttl: Annotated[float, Field(gt=0, le=31 * 86400)] = 86400
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    read_header_timeout: Annotated[float, Field(gt=0, le=3600)] = 20
    read_body_timeout: Annotated[float, Field(gt=0, le=3600)] = 30
    write_timeout: Annotated[float, Field(gt=0, le=3600)] = 60
    max_inflight_body_bytes: Annotated[int, Field(ge=32 * 1024 * 1024, le=2**40)] = 256 * 1024 * 1024
    drain_timeout: Annotated[float, Field(ge=0, le=3600)] = 3
    watchdog_timeout: Annotated[float, Field(ge=0, le=3600)] = 30
    enable_cors: bool = False
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_comma_list)] = ()
    metrics_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(parse_networks)] = ()
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(parse_networks)] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_comma_list)] = ()
    data_dir: Path = Path(".data")
    database_url: Annotated[SecretStr | None, AfterValidator(check_database_url)] = None
    rate_limit_url: Annotated[SecretStr | None, AfterValidator(check_rate_limit_url)] = None
    key_pepper: Annotated[SecretStr | None, AfterValidator(check_optional_token_strength)] = None
    usage_retention_days: Annotated[int, Field(ge=1, le=36500)] = 400
    run_dir: Path = Path(".run")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

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
