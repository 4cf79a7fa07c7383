"""Whose envelope an error has: each address speaks its own dialect, in its refusals too. Pure."""

from collections.abc import Callable

from api.mcp.encode import envelope as mcp
from api.openai_chat.encode import envelope as openai
from api.problems import Problem
from api.rest.encode import envelope as rest

type Envelope = Callable[[Problem], bytes]

# The first prefix that fits; everything else is OpenAI's.
BY_PATH: tuple[tuple[str, Envelope], ...] = (("/api/", rest), ("/mcp", mcp))


def envelope(path: str, problem: Problem) -> bytes:
    """The JSON body of an error at `path`."""
    return next((write for prefix, write in BY_PATH if path.startswith(prefix)), openai)(problem)
