"""Structured logs of both programs, on stderr: coloured lines on a terminal, or one JSON object a line.

Invariants: a line contains no client data and no credential. Values with the names of secrets are masked; libraries, which
do not keep this rule, log warnings and errors only. On a terminal, control characters in values are escaped.
"""

import functools
import importlib.util
import logging
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal

import structlog

from shared.text.printable import escape_log_event

type LogFormat = Literal["console", "json"]

SECRET_WORDS = ("key", "token", "secret", "authorization", "password", "cookie")


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Masks values whose names suggest a secret."""
    for name, value in event.items():
        if isinstance(value, str) and any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "…"
    return event


# These packages log at every level.
OWN_PACKAGES = ("api", "executor", "shared", "cli", "tests", "__main__")
INSTALL_ROOT = str(Path(__file__).resolve().parent.parent)


def should_log(record: logging.LogRecord) -> bool:
    """Returns whether to write a line: warnings of any code, and every line of the server's own code."""
    return record.levelno >= logging.WARNING or (is_own_logger(record.name) and is_own_code(record.pathname))


@functools.cache
def is_own_logger(name: str) -> bool:
    """Whether a logger is not one of a library that is installed: those name theirs after themselves."""
    top = name.partition(".")[0]
    if top in OWN_PACKAGES:
        return True
    try:
        return importlib.util.find_spec(top) is None
    except (ImportError, ValueError, AttributeError):
        return False


@functools.cache
def is_own_code(path: str) -> bool:
    """Returns whether a file belongs to this server: in an installation, libraries are in the same folder."""
    place = str(Path(path).resolve()).removeprefix(f"{INSTALL_ROOT}/")
    return place.partition("/")[0] in OWN_PACKAGES


def configure(program: str, level: str, log_format: LogFormat) -> None:
    """Sends all log lines of this process, those of libraries included, through one pipeline. Call it once, at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if log_format == "json" else "%H:%M:%S", utc=log_format == "json"),
        mask_secrets,
    ]
    renderers: list[structlog.typing.Processor] = [structlog.processors.JSONRenderer()]
    if log_format == "console":
        # Not rich's traceback, the default where rich is installed: it shows the values of local variables.
        traceback = structlog.dev.plain_traceback
        renderers = [
            # After the traceback is text: its last line may contain client data.
            escape_log_event,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=34, exception_formatter=traceback),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(should_log)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn.access", "asyncio", "httpx", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)
