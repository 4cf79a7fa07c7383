"""What a job has become once it is granted."""

from msgspec import Struct

from shared.tool_jobs import ToolJob


class Task(Struct, frozen=True):
    """What the sandbox does. root: which of the allowed folders; path: below it."""

    job: ToolJob
    root: int = 0
    path: str = "."
    timeout: float = 30
