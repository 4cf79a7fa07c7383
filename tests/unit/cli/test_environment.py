"""What each program's environment is made of."""

import re

import pytest
from opentelemetry.sdk import environment_variables

import api.settings
import executor.settings
from cli.up.environment import (
    API_SETTINGS,
    CREDENTIAL_VARIABLES,
    EXECUTOR_SETTINGS,
    RENAMED,
    SETTINGS,
    TELEMETRY_VARIABLES,
    TOOLS_SETTINGS,
    build_environments,
    build_tools_environment,
    list_unknown_settings,
    merge_settings,
)
from tests.support.stack import REPOSITORY

KEY = "sk-clients-0f1e2d3c4b5a"
EVERYTHING = {name: f"value of {name}" for name in SETTINGS} | {"PATH": "/bin", "HOME": "/home/somebody"}


def test_the_api_gets_no_credential_wherever_it_is_set():
    """The credential reaches the executor only, be it set in the environment or in .env."""
    for environ, dotenv in ((EVERYTHING, {}), ({}, EVERYTHING)):
        of_api, of_executor = build_environments(environ, dotenv)
        assert not [name for name in of_api if name.startswith(("ANTHROPIC_", "CLAUDE_"))]
        assert {name: EVERYTHING[name] for name in CREDENTIAL_VARIABLES}.items() <= of_executor.items()


def test_the_executor_does_not_get_the_clients_key():
    """API_SECRET_TOKEN is for the API only."""
    of_api, of_executor = build_environments({"API_SECRET_TOKEN": KEY}, {})
    assert of_api == {"API_SECRET_TOKEN": KEY}
    assert of_executor == {}


@pytest.mark.parametrize(
    "name",
    ["ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CODE_USE_BEDROCK", "CLAUDECODE", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LCD"],
)
def test_a_variable_that_no_table_names_reaches_neither_program(name: str):
    """The environments are made of listed names; nothing is passed on because it happened to be there."""
    assert build_environments({name: "x"}, {name: "x"}) == ({}, {})


def test_the_language_reaches_both_and_the_way_out_only_the_executor():
    """LC_* is for every program; proxies and certificates are for the one that talks to the model's service."""
    of_api, of_executor = build_environments(
        {"LC_CTYPE": "C.UTF-8", "https_proxy": "http://p", "SSL_CERT_FILE": "c"}, {}
    )
    assert of_api == {"LC_CTYPE": "C.UTF-8"}
    assert of_executor == {"LC_CTYPE": "C.UTF-8", "https_proxy": "http://p", "SSL_CERT_FILE": "c"}


COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector"}


@pytest.mark.parametrize(
    "what",
    ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION", "HEADERS", "PROTOCOL", "TIMEOUT", "ENDPOINT"],
)
@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_what_the_exporter_reads_reaches_the_programs_that_export(what: str, signal: str):
    """In both forms; not the tools executor, which has no network. None is called unknown."""
    given = {f"OTEL_EXPORTER_OTLP_{signal}{what}": "x"}
    assert build_environments(given, {}) == (given, given)
    assert build_tools_environment(given, {}) == {}
    assert list_unknown_settings(given) == []


def test_every_name_that_the_exporter_knows_is_one_that_it_gets():
    """By the library's own list, but for what is of metrics, logs and gRPC."""
    known = {value for name, value in vars(environment_variables).items() if name.startswith("OTEL_EXPORTER_OTLP_")}
    others = {name for name in known if re.search("METRICS|LOGS|INSECURE", name)}
    assert known - others - {*TELEMETRY_VARIABLES} == set()


def test_a_proxy_is_for_the_api_only_where_it_sends_traces():
    """It goes nowhere else. A certificate's `~/` in .env is the home."""
    proxy = {"HTTPS_PROXY": "http://p", "NO_PROXY": "localhost"}
    assert build_environments(proxy, {})[0] == {}
    assert build_environments({**proxy, **COLLECTOR}, {})[0] == {**proxy, **COLLECTOR}
    of_api, _ = build_environments({"HOME": "/home/me"}, {"OTEL_EXPORTER_OTLP_CERTIFICATE": "~/ca.pem"})
    assert of_api["OTEL_EXPORTER_OTLP_CERTIFICATE"] == "/home/me/ca.pem"


def test_the_environment_wins_over_dotenv():
    """A variable that is set in both has the environment's value; one that is only in .env has that."""
    of_api, _ = build_environments({"PORT": "1111"}, {"PORT": "2222", "HOST": "::1"})
    assert of_api == {"PORT": "1111", "HOST": "::1"}


def test_an_empty_variable_is_as_if_it_were_not_set():
    """`NAME=` in .env sets nothing, and in the environment it also takes back what .env says."""
    assert build_environments({"PORT": ""}, {"PORT": "2222", "HOST": "", "LOG_LEVEL": None}) == ({}, {})


def test_a_leading_tilde_in_dotenv_means_the_home_folder():
    """As in a shell, for settings that are paths and for no other."""
    given = merge_settings({"HOME": "/home/somebody"}, {"RUN_DIR": "~/run", "API_SECRET_TOKEN": "~/not-a-path"})
    assert given["RUN_DIR"] == "/home/somebody/run"
    assert given["API_SECRET_TOKEN"] == "~/not-a-path"


def test_each_table_names_exactly_the_settings_of_its_program():
    """A setting that a program gains or loses is gained or lost by its table."""
    assert sorted(API_SETTINGS) == sorted(name.upper() for name in api.settings.Settings.model_fields)
    assert sorted({*EXECUTOR_SETTINGS, *TOOLS_SETTINGS}) == sorted(
        name.upper() for name in executor.settings.Settings.model_fields
    )


def test_the_example_shows_every_setting_once():
    """.env.example is complete, and shows nothing that does not exist."""
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE)) == sorted(SETTINGS)


def test_the_example_shows_the_defaults():
    """The value beside a setting in .env.example is the one that holds without it."""
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^#([A-Z_]+)=([^'\n]+)$", text, re.MULTILINE))
    fields = executor.settings.Settings.model_fields | api.settings.Settings.model_fields
    defaults = {name.upper(): field.default for name, field in fields.items()}
    assert shown == {name: str(defaults[name]).lower() for name in shown}


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("PARKED", "PARKED in .env is ignored: the setting is now CLI_POOL_SIZE; rename it."),
        ("MAX_CONCURENT", "MAX_CONCURENT in .env is not a setting; did you mean MAX_CONCURRENT?"),
        ("port", "port in .env is not a setting; did you mean PORT?"),
        ("FAVOURITE_COLOUR", "FAVOURITE_COLOUR in .env is not a setting; .env.example lists the settings."),
    ],
)
def test_an_unknown_name_in_dotenv_is_reported_with_the_likeliest_fix(name: str, warning: str):
    """A misspelt setting is never ignored in silence."""
    assert list_unknown_settings({name: "8"}) == [warning]


def test_names_that_something_reads_are_not_reported():
    """Settings, credentials, proxies and the language may stand in .env."""
    assert list_unknown_settings([*SETTINGS, "HTTPS_PROXY", "LC_ALL", "NO_COLOR"]) == []


def test_a_renamed_setting_leads_to_one_that_exists():
    """And no old name is a setting's again."""
    assert set(RENAMED.values()) <= set(SETTINGS)
    assert not set(RENAMED) & set(SETTINGS)
