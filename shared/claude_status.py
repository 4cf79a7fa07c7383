"""The status of an executor of the claude role, as it answers `GetStatus`."""

from typing import Literal

from msgspec import Struct

from shared.events import UsageWindows


class HeldStatus(Struct, frozen=True):
    """The held CLI processes of an executor. held: how many. max_held, max_bytes: the limits.

    bytes: their memory that they share with no other process. Since the executor's start: hits counts the requests that
    continued a held process, hit_seconds is how long those processes were held, together; replays counts the other requests
    by reason, and ended the processes that were ended, by reason.
    """

    held: int = 0
    max_held: int = 0
    bytes: int = 0
    max_bytes: int = 0
    hits: int = 0
    hit_seconds: float = 0.0
    replays: dict[str, int] = {}
    ended: dict[str, int] = {}


class CliModel(Struct, frozen=True):
    """A model of the CLI. value: the name to request it by. resolved: the full id that this name means today."""

    value: str
    resolved: str
    name: str
    description: str = ""


class ClaudeStatus(Struct, frozen=True, tag="status"):
    """The status of an executor. running, waiting and idle_processes are counts; max_concurrent and max_queue are limits.

    missing: what the CLI's sandbox lacks on this host, as sentences.
    Since the executor's start: cli_starts counts the CLI processes that were started, cli_ready those that became ready to
    be idle in the pool, and cli_ready_seconds is the sum of the times that those took.
    """

    role: Literal["claude"]
    mode: Literal["online", "offline"]
    credential: str
    cli_found: bool
    cli_version: str
    max_concurrent: int
    max_queue: int
    running: int
    waiting: int
    idle_processes: int
    draining: bool
    problem: str = ""
    models: tuple[CliModel, ...] = ()
    windows: UsageWindows | None = None
    cli_starts: int = 0
    cli_ready: int = 0
    cli_ready_seconds: float = 0.0
    missing: tuple[str, ...] = ()
    conversations: HeldStatus = HeldStatus()
