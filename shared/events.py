"""What comes back of a job: one small frozen value each, in the order they happen.

Law: every job ends in exactly one Done or Failed, and nothing follows it.
"""

from typing import Literal

from msgspec import Struct

from shared.errors import ErrorKind

type StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"]


class Queued(Struct, frozen=True, tag="queued"):
    """All places are taken; the job waits. ahead: how many wait before it."""

    ahead: int


class Admitted(Struct, frozen=True, tag="admitted"):
    """The job has a place. parked: a CLI process was waiting for it. offline: the offline model will answer."""

    parked: bool
    offline: bool


class Started(Struct, frozen=True, tag="started"):
    """The model began to answer. model: its full id, as the service names it."""

    model: str


class TextDelta(Struct, frozen=True, tag="text"):
    """The next words of the answer, as they came."""

    text: str


class Usage(Struct, frozen=True):
    """Tokens, as the service counted them. input_tokens excludes what was read from or written to the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class Done(Struct, frozen=True, tag="done"):
    """The answer is whole. stop_reason: the model's own."""

    stop_reason: StopReason
    usage: Usage


class Failed(Struct, frozen=True, tag="failed"):
    """There is no (whole) answer, and why. retry_after: seconds, where waiting helps."""

    kind: ErrorKind
    detail: str = ""
    retry_after: float | None = None


type Event = Queued | Admitted | Started | TextDelta | Done | Failed
type Terminal = Done | Failed
