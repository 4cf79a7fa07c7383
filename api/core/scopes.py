"""What a key may do. Pure.

Law: a route says which scope it needs (`opt={SCOPE: "chat"}`), or ANY for every key; one that says nothing is for
`admin`, so that what was forgotten is shut.
"""

from typing import Literal, get_args

type KeyScope = Literal["chat", "code", "files", "bash", "mcp", "metrics", "admin"]

SCOPES: tuple[KeyScope, ...] = get_args(KeyScope.__value__)
REQUIRED_SCOPE = "scope"
ANY_SCOPE = "any"
