"""What the policy makes of a job: a task for the sandbox, or a refusal."""

from msgspec import Struct

from shared.errors import ErrorKind
from shared.tool_jobs import ToolJob


class Task(Struct, frozen=True):
    """A granted job. root: index of the allowed folder; path: below that folder."""

    job: ToolJob
    root: int = 0
    path: str = "."
    timeout: float = 30


class JobRefused(Exception):
    """detail: names what the client sent, what is allowed, and what to do."""

    def __init__(self, kind: ErrorKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
