"""The settings of both programs: what holds without any, what is taken, and how what can't be used is refused.

Invariants: a refusal names the setting and the fix, and never shows a secret.
"""

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

import api.settings
import executor.settings
from api.settings import GUESSABLE_PREFIXES, MIN_TOKEN_LENGTH, check_token_strength
from cli.up.environment import SETTINGS
from shared.settings import render_validation_errors

KEY = "sk-local-0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any setting but a good key."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("API_SECRET_TOKEN", KEY)


def of_api() -> api.settings.Settings:
    """The API's settings as its environment has them."""
    return api.settings.Settings()  # pyright: ignore[reportCallIssue] # its values come from the environment


def of_executor() -> executor.settings.Settings:
    """The executor's."""
    return executor.settings.Settings()


PROGRAMS = {"api": of_api, "executor": of_executor}


def refusals(program: str) -> list[str]:
    """What the program prints, because it can't use its environment."""
    with pytest.raises(ValidationError) as error:
        PROGRAMS[program]()
    return render_validation_errors(error.value.errors())


@pytest.mark.parametrize(
    ("name", "url", "driver"),
    [("DATABASE_URL", "postgresql://h/d", "asyncpg"), ("RATE_LIMIT_URL", "redis://h:6379/0", "redis")],
)
def test_a_driver_that_is_not_installed_is_refused_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str, driver: str
):
    """PostgreSQL and Redis need the extra `cluster`; without these settings nothing looks for it."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == driver else find_spec(name))
    of_api()
    monkeypatch.setenv(name, url)
    [refusal] = refusals("api")
    assert refusal.startswith(f"{name}: needs the package `{driver}`, which is not installed; ")
    assert "with the extra `cluster`: `make install`" in refusal


# Values beyond a bound, with the bound that the message names.
WORDS = {">": "greater than", ">=": "greater than or equal to", "<=": "less than or equal to"}
BEYOND_BOUNDS: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("api", "PORT"): [("65536", "<= 65535"), ("0", ">= 1")],
    ("api", "REQUEST_TIMEOUT"): [("0", "> 0"), ("86401", "<= 86400"), ("inf", "<= 86400")],
    ("api", "SSE_KEEPALIVE_INTERVAL"): [("0", "> 0"), ("3601", "<= 3600")],
    ("api", "MAX_CHOICES"): [("0", ">= 1"), ("129", "<= 128")],
    ("api", "USAGE_RETENTION_DAYS"): [("0", ">= 1")],
    ("api", "MAX_PROMPT"): [("0", ">= 1"), ("10000001", "<= 10000000")],
    ("api", "MAX_TURNS"): [("0", ">= 1"), ("1001", "<= 1000")],
    ("api", "RESPONSE_STORE_MAX_ITEMS"): [("-1", ">= 0"), ("1000001", "<= 1000000")],
    ("api", "RESPONSE_STORE_MAX_BYTES"): [("-1", ">= 0"), ("1099511627777", "<= 1099511627776")],
    ("api", "RESPONSE_STORE_TTL"): [("0", "> 0")],
    ("api", "MAX_CONNECTIONS"): [("0", ">= 1"), ("1000001", "<= 1000000")],
    ("api", "READ_HEADER_TIMEOUT"): [("0", "> 0")],
    ("api", "READ_BODY_TIMEOUT"): [("0", "> 0")],
    ("api", "WRITE_TIMEOUT"): [("0", "> 0")],
    ("api", "MAX_INFLIGHT_BODY_BYTES"): [("1000", ">= 33554432")],
    ("api", "DRAIN_TIMEOUT"): [("-1", ">= 0"), ("3601", "<= 3600")],
    ("api", "WATCHDOG_TIMEOUT"): [("-1", ">= 0"), ("3601", "<= 3600")],
    ("executor", "WATCHDOG_TIMEOUT"): [("-1", ">= 0")],
    ("executor", "MAX_CONCURRENT"): [("0", ">= 1"), ("513", "<= 512")],
    ("executor", "MAX_QUEUE"): [("-1", ">= 0"), ("10001", "<= 10000")],
    ("executor", "QUEUE_TIMEOUT"): [("0", "> 0"), ("3601", "<= 3600")],
    ("executor", "CLI_POOL_SIZE"): [("-1", ">= 0"), ("65", "<= 64")],
    ("executor", "HELD_MAX"): [("-1", ">= 0"), ("513", "<= 512")],
    ("executor", "HELD_TTL"): [("0", "> 0"), ("86401", "<= 86400")],
    ("executor", "HELD_MEMORY_MB"): [("-1", ">= 0"), ("1048577", "<= 1048576")],
    ("executor", "DRAIN_TIMEOUT"): [("-0.1", ">= 0"), ("3601", "<= 3600")],
    ("executor", "COMMAND_TIMEOUT"): [("0", "> 0"), ("3601", "<= 3600")],
    ("executor", "COMMAND_CPU"): [("0", ">= 1"), ("3601", "<= 3600")],
    ("executor", "COMMAND_MEMORY_MB"): [("255", ">= 256"), ("1048577", "<= 1048576")],
    ("executor", "COMMAND_PROCESSES"): [("3", ">= 4"), ("4097", "<= 4096")],
    ("executor", "COMMAND_FILE_MB"): [("0", ">= 1"), ("1048577", "<= 1048576")],
    ("executor", "COMMAND_DISK_MB"): [("0", ">= 1"), ("1048577", "<= 1048576")],
    ("executor", "COMMAND_NEW_FILES"): [("0", ">= 1"), ("10000001", "<= 10000000")],
    ("executor", "OUTPUT_LIMIT_KB"): [("0", ">= 1"), ("32769", "<= 32768")],
    ("executor", "READ_LIMIT_MB"): [("0", ">= 1"), ("33", "<= 32")],
}
REFUSED = [
    ("api", "API_SECRET_TOKEN", "short", "shorter than 16 characters; `openssl rand -hex 32` makes a good one"),
    ("api", "API_SECRET_TOKEN", "your-secret-key-here", "easy to guess; `openssl rand -hex 32` makes a good one"),
    ("api", "API_SECRET_TOKEN", "a-good-key with-a-blank", "must be printable ASCII without spaces"),
    ("api", "PORT", "http", "Input should be a valid integer"),
    ("api", "MODEL_ALIASES", "opus", 'must be a JSON object of names, such as {"my-model": "opus"}'),
    ("api", "MODEL_ALIASES", '{"a": "opus"', 'must be a JSON object of names, such as {"my-model": "opus"}'),
    ("api", "MODEL_ALIASES", '["opus"]', "Input should be a valid dictionary"),
    ("api", "MODEL_ALIASES", '{"my-model": 7}', "Input should be a valid string, at my-model"),
    ("api", "REQUEST_TIMEOUT", "nan", "Input should be"),
    ("api", "REQUEST_TIMEOUT", "1m", "Input should be a valid number"),
    ("api", "REJECT_UNSUPPORTED_PARAMS", "maybe", "Input should be a valid boolean"),
    ("api", "SHOW_REASONING", "sometimes", "Input should be 'auto', 'always' or 'never'"),
    (
        "api",
        "DATABASE_URL",
        "mysql://h/d",
        "is no address that can be used; one looks like postgresql://USER:PASSWORD@HOST:5432/DATABASE",
    ),
    ("api", "RATE_LIMIT_URL", "http://h", "is no address that can be used; one looks like redis://HOST:6379/0"),
    ("api", "KEY_PEPPER", "short", "shorter than 16 characters; `openssl rand -hex 32` makes a good one"),
    ("api", "FETCH_IMAGES", "maybe", "Input should be a valid boolean"),
    ("api", "ENABLE_CORS", "maybe", "Input should be a valid boolean"),
    (
        "api",
        "METRICS_ALLOW",
        "prometheus",
        "'prometheus' does not appear to be an IPv4 or IPv6 network; list addresses",
    ),
    ("api", "TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.1/8 has host bits set; list addresses and networks"),
    ("api", "METRICS_ALLOW", "10.0.0.1/8", "10.0.0.1/8 has host bits set; list addresses and networks"),
    ("api", "LOG_LEVEL", "verbose", "Input should be 'debug', 'info', 'warning' or 'error'"),
    ("api", "LOG_FORMAT", "xml", "Input should be 'console' or 'json'"),
    ("executor", "MAX_CONCURRENT", "2.5", "Input should be a valid integer"),
    ("executor", "QUEUE_TIMEOUT", "nan", "Input should be"),
    ("executor", "TOOLS_USER", "no body", "String should match pattern"),
    ("executor", "LOG_LEVEL", "INFO", "Input should be 'debug', 'info', 'warning' or 'error'"),
    ("executor", "LOG_FORMAT", "text", "Input should be 'console' or 'json'"),
    *(
        (role, name, value, f"Input should be {WORDS[bound.split()[0]]} {bound.split()[1]}")
        for (role, name), values in BEYOND_BOUNDS.items()
        for value, bound in values
    ),
]


@pytest.mark.parametrize(("program", "name", "value", "reason"), REFUSED)
def test_a_value_that_can_not_be_used_is_refused_with_its_name_and_the_fix(
    program: str, name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line: what, why, and what to do."""
    monkeypatch.setenv(name, value)
    (line,) = refusals(program)
    assert line.startswith(f"{name}: {reason}")
    assert line.endswith(f". Set {name} in the environment or in .env (.env.example shows each setting).")


def test_every_setting_that_can_be_refused_is_shown_to_be() -> None:
    """Only words and paths are taken as they come; a new setting needs a line in the table above."""
    for program, settings in (("api", api.settings.Settings), ("executor", executor.settings.Settings)):
        shown = {name.lower() for shown_for, name, _, _ in REFUSED if shown_for == program}
        free = {"host", "default_model", "run_dir", "claude_cli_path", "cors_origins", "allowed_hosts", "data_dir"}
        # The tools role looks at these itself, at its start.
        free |= {"allowed_paths", "writable_paths", "allowed_commands"}
        assert shown == set(settings.model_fields) - free


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_MODEL", "nonsense"),
        ("MODEL_ALIASES", '{"mine": "nonsense"}'),
        ("MODEL_ALIASES", '{"a": "b", "b": "a"}'),
    ],
)
def test_a_name_that_leads_to_no_model_is_refused_at_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the first request."""
    monkeypatch.setenv(name, value)
    (line,) = refusals("api")
    assert line.startswith(f"{name}: unknown model `")
    assert "use haiku, sonnet, opus" in line


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner mends once, not once a start."""
    for name, value in {"PORT": "x", "LOG_LEVEL": "x", "REQUEST_TIMEOUT": "x"}.items():
        monkeypatch.setenv(name, value)
    assert sorted(line.partition(":")[0] for line in refusals("api")) == ["LOG_LEVEL", "PORT", "REQUEST_TIMEOUT"]


def test_a_missing_key_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API never runs without one."""
    monkeypatch.delenv("API_SECRET_TOKEN")
    (line,) = refusals("api")
    assert line.startswith("API_SECRET_TOKEN: Field required. Set API_SECRET_TOKEN in")


@pytest.mark.parametrize("key", ["hunter2", "password-hunter2-hunter2", "hunter2 hunter2 hunter2"])
def test_a_refused_key_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message goes to a terminal or a log."""
    monkeypatch.setenv("API_SECRET_TOKEN", key)
    assert "hunter2" not in "".join(refusals("api"))


def test_an_accepted_key_is_not_shown() -> None:
    """Settings may land in a log line."""
    assert KEY not in f"{of_api()!r} {of_api()}"
    assert of_api().api_secret_token.get_secret_value() == KEY


def test_what_holds_without_any_setting() -> None:
    """A newcomer sets nothing."""
    assert of_api().model_dump(exclude={"api_secret_token"}) == {
        "host": "127.0.0.1",
        "port": 8020,
        "default_model": "sonnet",
        "model_aliases": {},
        "request_timeout": 600,
        "sse_keepalive_interval": 15,
        "reject_unsupported_params": False,
        "show_reasoning": "auto",
        "max_choices": 4,
        "fetch_images": True,
        "max_prompt": 100_000,
        "max_turns": 40,
        "response_store_max_items": 1000,
        "response_store_max_bytes": 64 * 1024 * 1024,
        "response_store_ttl": 86400,
        "max_connections": 10_000,
        "read_header_timeout": 20,
        "read_body_timeout": 30,
        "write_timeout": 60,
        "max_inflight_body_bytes": 256 * 1024 * 1024,
        "drain_timeout": 3,
        "watchdog_timeout": 30,
        "enable_cors": False,
        "cors_origins": (),
        "allowed_hosts": (),
        "metrics_allow": (),
        "trusted_proxies": (),
        "data_dir": Path(".data"),
        "database_url": None,
        "rate_limit_url": None,
        "key_pepper": None,
        "usage_retention_days": 400,
        "run_dir": Path(".run"),
        "log_level": "info",
        "log_format": "console",
    }
    assert of_executor().model_dump() == {
        "run_dir": Path(".run"),
        "claude_cli_path": None,
        "default_model": "sonnet",
        "max_concurrent": 4,
        "max_queue": 32,
        "queue_timeout": 10,
        "cli_pool_size": 2,
        "held_max": None,
        "held_ttl": 300,
        "held_memory_mb": None,
        "drain_timeout": 3,
        "watchdog_timeout": 30,
        "allowed_paths": None,
        "writable_paths": None,
        "allowed_commands": "ls,cat,head,tail,wc,grep,find,date,uptime,df,du,free,whoami,pwd,echo,file,stat,sort,uniq,cut,tr",
        "tools_user": "nobody",
        "command_timeout": 120,
        "command_cpu": 60,
        "command_memory_mb": 1024,
        "command_processes": 64,
        "command_file_mb": 256,
        "command_disk_mb": 1024,
        "command_new_files": 10_000,
        "output_limit_kb": 1024,
        "read_limit_mb": 16,
        "log_level": "info",
        "log_format": "console",
    }


TAKEN: list[tuple[str, str, str, Any]] = [
    ("api", "HOST", "::1", "::1"),
    ("api", "PORT", "1", 1),
    ("api", "PORT", "65535", 65535),
    ("api", "DEFAULT_MODEL", "claude-opus-5-5", "claude-opus-5-5"),
    ("api", "MODEL_ALIASES", '{"My Model": "opus", "é": "haiku"}', {"My Model": "opus", "é": "haiku"}),
    ("api", "MODEL_ALIASES", "{}", {}),
    ("api", "REQUEST_TIMEOUT", "0.5", 0.5),
    ("api", "REQUEST_TIMEOUT", "86400", 86400),
    ("api", "DRAIN_TIMEOUT", "0", 0),
    ("api", "ENABLE_CORS", "true", True),
    ("api", "ENABLE_CORS", "1", True),
    ("api", "ENABLE_CORS", "false", False),
    ("api", "CORS_ORIGINS", "https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
    ("api", "CORS_ORIGINS", " , ", ()),
    ("api", "RUN_DIR", "/run/claude", Path("/run/claude")),
    ("api", "LOG_FORMAT", "json", "json"),
    ("executor", "CLAUDE_CLI_PATH", "/opt/claude", Path("/opt/claude")),
    ("executor", "MAX_CONCURRENT", "512", 512),
    ("executor", "MAX_QUEUE", "0", 0),
    ("executor", "CLI_POOL_SIZE", "0", 0),
    ("executor", "CLI_POOL_SIZE", "64", 64),
    ("executor", "HELD_MAX", "0", 0),
    ("executor", "QUEUE_TIMEOUT", "0.1", 0.1),
    ("executor", "LOG_LEVEL", "debug", "debug"),
]


@pytest.mark.parametrize(("program", "name", "value", "meaning"), TAKEN)
def test_a_value_at_the_edge_of_what_is_allowed_is_taken(
    program: str, name: str, value: str, meaning: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits are part of what they limit."""
    monkeypatch.setenv(name, value)
    assert getattr(PROGRAMS[program](), name.lower()) == meaning


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_empty_value_is_the_default(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NAME=` in a file sets nothing."""
    expected = PROGRAMS[program]()
    for name in SETTINGS:
        if name != "API_SECRET_TOKEN":
            monkeypatch.setenv(name, "")
    assert PROGRAMS[program]() == expected


@pytest.mark.parametrize("program", PROGRAMS)
def test_only_the_environment_is_read(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads .env is the launcher; a file in the working folder changes nothing here."""
    (tmp_path / ".env").write_text("LOG_LEVEL=error\nPORT=1\nPARKED=9\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    assert PROGRAMS[program]().log_level == "info"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_has_no_setting_for_a_credential_of_the_service(program: str) -> None:
    """The API holds none at all; the executor takes it from its environment and hands it on."""
    fields = type(PROGRAMS[program]()).model_fields
    assert not [name for name in fields if re.search("anthropic|oauth|auth_token|api_key", name)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_settings_do_not_change_while_a_program_runs(program: str) -> None:
    """What was checked at start is what holds."""
    with pytest.raises(ValidationError, match="frozen"):
        PROGRAMS[program]().log_level = "debug"


@pytest.mark.parametrize("word", GUESSABLE_PREFIXES)
def test_a_key_that_begins_like_those_of_tutorials_is_refused(word: str) -> None:
    """In any case."""
    for key in (f"{word}-0123456789abcdef", f"{word.upper()}-0123456789abcdef"):
        with pytest.raises(ValueError, match="easy to guess"):
            check_token_strength(SecretStr(key))


@pytest.mark.parametrize("key", ["a" * 40, "ababab" * 9, "abcdefg" * 5])
def test_a_key_of_few_characters_is_refused(key: str) -> None:
    """Length alone is no strength."""
    with pytest.raises(ValueError, match="easy to guess"):
        check_token_strength(SecretStr(key))


@pytest.mark.parametrize(
    "key", ["0f1e2d3c4b5a6978é", "0f1e2d3c4b5a6978\n", "0f1e2d3c4b5a6978\x7f", "\u202e0f1e2d3c4b5a6978"]
)
def test_a_key_that_a_header_can_not_carry_is_refused(key: str) -> None:
    """Clients would be refused, and nobody would see why."""
    with pytest.raises(ValueError, match="printable ASCII"):
        check_token_strength(SecretStr(key))


def test_the_shortest_key_has_sixteen_characters() -> None:
    """One fewer is refused, one of that length is taken."""
    key = "qwfpgjluyarstdhn"
    assert len(key) == MIN_TOKEN_LENGTH
    assert check_token_strength(SecretStr(key)).get_secret_value() == key
    with pytest.raises(ValueError, match="shorter than 16"):
        check_token_strength(SecretStr(key[1:]))


@given(st.binary(min_size=32, max_size=32).filter(lambda chance: len(set(chance.hex())) >= 8))
def test_what_the_messages_advise_is_taken(chance: bytes) -> None:
    """`openssl rand -hex 32`, almost whatever comes out of it."""
    key = chance.hex()
    if not key.startswith("1234"):
        assert check_token_strength(SecretStr(key)).get_secret_value() == key


def test_complaints_name_a_setting_as_it_is_set() -> None:
    """The environment's name, not a path into a value; what is inside is said in the reason."""
    error = {"loc": ("model_aliases", "a", 0), "msg": "Value error, no good"}
    (line,) = render_validation_errors([error])
    assert line == (
        "MODEL_ALIASES: no good, at a, at 0. "
        "Set MODEL_ALIASES in the environment or in .env (.env.example shows each setting)."
    )
    assert render_validation_errors([]) == []


def test_the_tests_environment_has_no_setting_of_its_own() -> None:
    """What these tests see is what they set."""
    assert [name for name in SETTINGS if name in os.environ] == ["API_SECRET_TOKEN"]
