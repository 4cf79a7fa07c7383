"""The names of the dialects in ledger, metrics and traces, and the addresses of each. Pure."""

from typing import Literal, get_args

type Dialect = Literal["chat", "completions", "responses", "messages", "rest", "mcp"]

DIALECTS: tuple[Dialect, ...] = get_args(Dialect.__value__)
# Every address with jobs belongs to a dialect; `none` is for the others, such as /metrics.
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
    """Returns the dialect of an address or of a route's template."""
    return next((name for root, name in _BY_PATH if path == root or path.startswith(f"{root}/")), NO_DIALECT)
