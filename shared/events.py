"""What comes back of a job: one small frozen value each, in the order they happen.

Law: every job ends in exactly one Done or Failed, and nothing follows it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.errors import ErrorKind

type StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"]


class Queued(Struct, frozen=True, tag="queued"):
    """All places are taken; the job waits. ahead: how many wait before it."""

    ahead: int


class Admitted(Struct, frozen=True, tag="admitted"):
    """The job has a place. parked: a CLI process was waiting for it. offline: the offline model will answer."""

    pooled: bool
    offline: bool


class Usage(Struct, frozen=True):
    """Tokens, as the service counted them.

    input_tokens excludes what was read from or written to the cache; reasoning_tokens are part of output_tokens.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Started(Struct, frozen=True, tag="started"):
    """The model began to answer. model: its full id, as the service names it. usage: what is counted by then."""

    model: str
    usage: Usage = Usage()


class TextDelta(Struct, frozen=True, tag="text"):
    """The next words of the answer, as they came."""

    text: str


class ThinkingDelta(Struct, frozen=True, tag="thinking"):
    """The next words of the model's thinking, as far as it is shown."""

    text: str


class ThinkingSignature(Struct, frozen=True, tag="thinking_signed"):
    """The signature of the thinking before it, which it needs to be accepted back."""

    signature: str


class ThinkingRedacted(Struct, frozen=True, tag="thinking_redacted"):
    """A block of thinking that only the service can read."""

    data: str


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """The model begins to call a tool. id: the model's own; name: as the client gave it."""

    id: str
    name: str


class ToolArgumentsDelta(Struct, frozen=True, tag="tool_arguments"):
    """The next piece of the last ToolCall's arguments: JSON text; all pieces together are one object."""

    json: str


class ToolCallPending(Struct, frozen=True, tag="tool_call_pending"):
    """A held turn waits for the result of this call. arguments: JSON, whole."""

    id: str
    name: str
    arguments: str


class RefusedOutput(Struct, frozen=True, tag="refused"):
    """The model would not give the structured answer that was asked for. text: what it said instead."""

    text: str


class UsageWindow(Struct, frozen=True):
    """A usage window of the subscription."""

    name: Annotated[str, Meta(description="Such as `five_hour` or `seven_day`.")]
    utilization: Annotated[float | None, Meta(description="The used fraction, from 0 to 1, if known.")] = None
    resets_at: Annotated[float | None, Meta(description="When it resets, in seconds since 1970, if known.")] = None


class UsageWindows(Struct, frozen=True, tag="windows"):
    """The subscription's usage windows, as the service last reported them."""

    status: Annotated[str, Meta(description="`allowed`, `allowed_warning` or `rejected`.")]
    windows: Annotated[tuple[UsageWindow, ...], Meta(description="Each window.")]
    overage: Annotated[bool, Meta(description="The windows are used up, and extra usage is drawn on.")] = False


class Done(Struct, frozen=True, tag="done"):
    """The answer is whole.

    stop_reason: the model's own. cost_usd: what the CLI says it cost, where it said so in time. stop_sequence: the
    client's text that ended the answer, if one did. reported: the service's own word for the stop reason, where it is
    none of `StopReason`; stop_reason is then the nearest.
    """

    stop_reason: StopReason
    usage: Usage
    cost_usd: float | None = None
    stop_sequence: str | None = None
    raw_stop_reason: str = ""


class Failed(Struct, frozen=True, tag="failed"):
    """There is no (whole) answer, and why. retry_after: seconds, where waiting helps.

    retry: whether the service said that the same request may be sent again; None where it did not say.
    """

    kind: ErrorKind
    detail: str = ""
    retry_after: float | None = None
    retry: bool | None = None


type Event = (
    Queued
    | Admitted
    | Started
    | TextDelta
    | ThinkingDelta
    | ThinkingSignature
    | ThinkingRedacted
    | ToolCall
    | ToolArgumentsDelta
    | ToolCallPending
    | RefusedOutput
    | UsageWindows
    | Done
    | Failed
)
type Terminal = Done | Failed
