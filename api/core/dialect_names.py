"""The dialects by the names that the ledger, metrics and traces have for them, and which addresses speak them. Pure."""

from typing import Literal, get_args

type Dialect = Literal["chat", "completions", "responses", "messages", "rest", "mcp"]

DIALECTS: tuple[Dialect, ...] = get_args(Dialect.__value__)
# What has jobs speaks one of them; `none` is for all else, such as /metrics.
NO_DIALECT = "none"
_BY_PATH: tuple[tuple[str, Dialect], ...] = (
    ("/v1/chat/completions", "chat"),
    ("/v1/completions", "completions"),
    ("/v1/responses", "responses"),
    ("/v1/messages", "messages"),
    ("/api", "rest"),
    ("/mcp", "mcp"),
)


def find_dialect(path: str) -> str:
    """The dialect of what is at an address or below it; a route's template is one too."""
    return next((dialect for at, dialect in _BY_PATH if path == at or path.startswith(f"{at}/")), NO_DIALECT)
