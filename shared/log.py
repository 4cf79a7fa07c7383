"""Log lines of both programs: structured, on stderr, coloured on a terminal or one JSON object a line.

Law: a line never holds what a client said, nor a credential: values of known secret names are masked.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

type Format = Literal["console", "json"]

SECRET_WORDS = ("key", "token", "secret", "authorization", "password", "cookie")


def masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask the values of names that sound like a secret."""
    for name, value in event.items():
        if isinstance(value, str) and any(word in name.lower() for word in SECRET_WORDS):
            event[name] = "…"
    return event


def configure(program: str, level: str, form: Format) -> None:
    """Send every log line of this process, libraries' included, through one pipeline. Called once, at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if form == "json" else "%H:%M:%S", utc=form == "json"),
        masked,
    ]
    if form == "json":
        ends: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Not rich's traceback, which is the default where rich is installed: it shows the values of local variables.
        traceback = structlog.dev.plain_traceback
        ends = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=34, exception_formatter=traceback)
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends],
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
