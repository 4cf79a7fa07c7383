"""The environment variables of each program: tables of names, and functions that select them.

Invariants: a program's environment has only variables that are listed here. Only the claude executor gets the credential of
the model's service; only the API gets the clients' key.
"""

import difflib
from collections.abc import Iterable, Mapping

from shared import claude_cli

# Every program needs these, to run and to write readable lines.
COMMON_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "TERM", "NO_COLOR", "FORCE_COLOR")
COMMON_PREFIX = "LC_"

# Proxies, for the program that calls the model's service and for those that send traces.
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
# For the program that calls the model's service only.
NETWORK_VARIABLES = (*PROXY_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")

# The collector of traces. OpenTelemetry's library reads these, in both programs.
COLLECTOR_PREFIXES = ("OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_")
COLLECTOR_VARIABLES = tuple(f"{prefix}ENDPOINT" for prefix in COLLECTOR_PREFIXES)
CERTIFICATE_VARIABLES = tuple(
    f"{prefix}{name}" for prefix in COLLECTOR_PREFIXES for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
)
TELEMETRY_VARIABLES = (
    *COLLECTOR_VARIABLES,
    *CERTIFICATE_VARIABLES,
    *(f"{prefix}{name}" for prefix in COLLECTOR_PREFIXES for name in ("HEADERS", "TIMEOUT", "COMPRESSION", "PROTOCOL")),
    *("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"),
    *("OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
    *("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE"),
    *("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
    # The library's HTTP client trusts these, unless one of CERTIFICATE_VARIABLES is set.
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)

CREDENTIAL_VARIABLES = (*claude_cli.CREDENTIAL_VARIABLES, "CLAUDE_CONFIG_DIR", "ANTHROPIC_BASE_URL")

SHARED_SETTINGS = ("RUN_DIR", "DEFAULT_MODEL", "DRAIN_TIMEOUT", "WATCHDOG_TIMEOUT", "LOG_LEVEL", "LOG_FORMAT")
API_SETTINGS = (
    *(
        "API_SECRET_TOKEN",
        "HOST",
        "PORT",
        "REQUEST_TIMEOUT",
        "MODEL_ALIASES",
        "ENABLE_CORS",
        "CORS_ORIGINS",
        "ALLOWED_HOSTS",
    ),
    *(
        "REJECT_UNSUPPORTED_PARAMS",
        "SHOW_REASONING",
        "MAX_CHOICES",
        "FETCH_IMAGES",
        "SSE_KEEPALIVE_INTERVAL",
        "MAX_PROMPT",
        "MAX_TURNS",
    ),
    *("RESPONSE_STORE_MAX_ITEMS", "RESPONSE_STORE_MAX_BYTES", "RESPONSE_STORE_TTL", "METRICS_ALLOW", "TRUSTED_PROXIES"),
    *("DATA_DIR", "DATABASE_URL", "RATE_LIMIT_URL", "KEY_PEPPER", "USAGE_RETENTION_DAYS"),
    *("MAX_CONNECTIONS", "READ_HEADER_TIMEOUT", "READ_BODY_TIMEOUT", "WRITE_TIMEOUT", "MAX_INFLIGHT_BODY_BYTES"),
    *SHARED_SETTINGS,
)
EXECUTOR_SETTINGS = (
    "CLAUDE_CLI_PATH",
    "MAX_CONCURRENT",
    "MAX_QUEUE",
    "QUEUE_TIMEOUT",
    "CLI_POOL_SIZE",
    "HELD_MAX",
    "HELD_TTL",
    "HELD_MEMORY_MB",
    *SHARED_SETTINGS,
)

# The tools executor has no credential. SECRET_FOLDERS only name folders that it must not serve.
TOOLS_SETTINGS = (
    *("ALLOWED_PATHS", "WRITABLE_PATHS", "ALLOWED_COMMANDS", "TOOLS_USER", "COMMAND_TIMEOUT", "COMMAND_CPU"),
    *("COMMAND_MEMORY_MB", "COMMAND_PROCESSES", "COMMAND_FILE_MB", "COMMAND_DISK_MB", "OUTPUT_LIMIT_KB"),
    *("COMMAND_NEW_FILES", "READ_LIMIT_MB", "MAX_CONCURRENT", "MAX_QUEUE", "QUEUE_TIMEOUT"),
    *SHARED_SETTINGS,
)
SECRET_FOLDERS = ("CLAUDE_CONFIG_DIR", "DATA_DIR")

SETTINGS = tuple(dict.fromkeys((*API_SETTINGS, *EXECUTOR_SETTINGS, *TOOLS_SETTINGS, *CREDENTIAL_VARIABLES)))

# Old names of settings, and their current names.
RENAMED = {
    "PARKED": "CLI_POOL_SIZE",
    "KEEP_ALIVE": "SSE_KEEPALIVE_INTERVAL",
    "HEAD_TIMEOUT": "READ_HEADER_TIMEOUT",
    "BODY_TIMEOUT": "READ_BODY_TIMEOUT",
    "SEND_TIMEOUT": "WRITE_TIMEOUT",
    "BODY_BYTES": "MAX_INFLIGHT_BODY_BYTES",
    "STORED_RESPONSES": "RESPONSE_STORE_MAX_ITEMS",
    "STORED_BYTES": "RESPONSE_STORE_MAX_BYTES",
    "STORED_AGE": "RESPONSE_STORE_TTL",
    "STRICT_PARAMS": "REJECT_UNSUPPORTED_PARAMS",
}

# A shell expands a leading ~; .env does not, so it is expanded here.
PATH_SETTINGS = ("RUN_DIR", "DATA_DIR", "CLAUDE_CLI_PATH", "CLAUDE_CONFIG_DIR", *CERTIFICATE_VARIABLES)


def merge_settings(environ: Mapping[str, str], dotenv: Mapping[str, str | None]) -> dict[str, str]:
    """Merges both. The environment has priority, and empty values count as not set."""
    both = {name: value for name, value in {**dotenv, **environ}.items() if value}
    for name in PATH_SETTINGS:
        if both.get(name, "").startswith("~/") and "HOME" in both:
            both[name] = both["HOME"] + both[name][1:]
    return both


def build_environments(
    environ: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the environment of the API, and that of the claude executor."""
    given = merge_settings(environ, dotenv)
    # The API needs a proxy for the collector only.
    proxy = PROXY_VARIABLES if any(name in given for name in COLLECTOR_VARIABLES) else ()
    api = _select(given, (*API_SETTINGS, *TELEMETRY_VARIABLES, *proxy))
    return api, _select(given, (*EXECUTOR_SETTINGS, *CREDENTIAL_VARIABLES, *NETWORK_VARIABLES, *TELEMETRY_VARIABLES))


def build_tools_environment(environ: Mapping[str, str], dotenv: Mapping[str, str | None]) -> dict[str, str]:
    """Returns the environment of the tools executor."""
    return _select(merge_settings(environ, dotenv), (*TOOLS_SETTINGS, *SECRET_FOLDERS))


def list_unknown_settings(names: Iterable[str], file: str = ".env") -> list[str]:
    """Returns a warning for each name in a file of settings that is not a setting."""
    known = {*SETTINGS, *COMMON_VARIABLES, *NETWORK_VARIABLES, *TELEMETRY_VARIABLES}
    return [_render_warning(name, file) for name in names if name not in known and not name.startswith(COMMON_PREFIX)]


def _select(given: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    wanted = {*COMMON_VARIABLES, *names}
    return {name: value for name, value in given.items() if name in wanted or name.startswith(COMMON_PREFIX)}


def _render_warning(name: str, file: str) -> str:
    if name in RENAMED:
        return f"{name} in {file} is ignored: the setting is now {RENAMED[name]}; rename it."
    close = difflib.get_close_matches(name.upper(), SETTINGS, n=1)
    hint = f"did you mean {close[0]}?" if close else ".env.example lists the settings."
    return f"{name} in {file} is not a setting; {hint}"
