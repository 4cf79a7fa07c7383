"""The scopes of keys. Pure.

Invariants: a route names the scope that it needs (`opt={REQUIRED_SCOPE: "chat"}`), or ANY_SCOPE for every key. A route
that names none needs `admin`, so that a forgotten one is closed.
"""

from typing import Literal, get_args

type KeyScope = Literal["chat", "code", "files", "bash", "mcp", "metrics", "admin"]

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope.__value__)
REQUIRED_SCOPE = "scope"
ANY_SCOPE = "any"
