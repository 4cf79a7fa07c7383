"""The events of a job, in the order in which they happen.

Invariants: every job ends with exactly one Done or Failed, and no event follows it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.errors import ErrorKind

type StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn"]


class Queued(Struct, frozen=True, tag="queued"):
    """The executor is at capacity; the job waits. ahead: the number of jobs before it."""

    ahead: int


class Admitted(Struct, frozen=True, tag="admitted"):
    """The job starts. pooled: an idle CLI process was ready for it. offline: the offline model answers.

    conversation: `held` if a held CLI process continues the conversation, else why not; empty if none could.
    """

    pooled: bool
    offline: bool
    conversation: str = ""


class Usage(Struct, frozen=True):
    """Tokens, as counted by the service.

    input_tokens excludes tokens that were read from or written to the cache; reasoning_tokens are part of output_tokens.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Started(Struct, frozen=True, tag="started"):
    """The model started to answer. model: its full id, from the service. usage: the tokens counted so far."""

    model: str
    usage: Usage = Usage()


class TextDelta(Struct, frozen=True, tag="text"):
    """The next part of the answer's text."""

    text: str


class ThinkingDelta(Struct, frozen=True, tag="thinking"):
    """The next part of the model's thinking, as far as the service shows it."""

    text: str


class ThinkingSignature(Struct, frozen=True, tag="thinking_signed"):
    """The signature of the thinking before it. The service accepts the thinking back only with its signature."""

    signature: str


class ThinkingRedacted(Struct, frozen=True, tag="thinking_redacted"):
    """A block of thinking that only the service can read."""

    data: str


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """The model starts a tool call. id: from the model. name: as the client defined it."""

    id: str
    name: str


class ToolArgumentsDelta(Struct, frozen=True, tag="tool_arguments"):
    """The next part of the last ToolCall's arguments: JSON text. All parts together are one object."""

    json: str


class ToolCallPending(Struct, frozen=True, tag="tool_call_pending"):
    """An interactive turn waits for the result of this call. arguments: complete JSON."""

    id: str
    name: str
    arguments: str


class RefusedOutput(Struct, frozen=True, tag="refused"):
    """The model refused to give the requested structured answer. text: its answer instead."""

    text: str


class UsageWindow(Struct, frozen=True):
    """A usage window of the subscription."""

    name: Annotated[str, Meta(description="The name, such as `five_hour` or `seven_day`.")]
    utilization: Annotated[float | None, Meta(description="The used fraction, from 0 to 1, if known.")] = None
    resets_at: Annotated[float | None, Meta(description="When the window resets, in seconds since 1970, if known.")] = (
        None
    )


class UsageWindows(Struct, frozen=True, tag="windows"):
    """The subscription's usage windows, as the service last reported them."""

    status: Annotated[str, Meta(description="`allowed`, `allowed_warning` or `rejected`.")]
    windows: Annotated[tuple[UsageWindow, ...], Meta(description="The windows.")]
    overage: Annotated[bool, Meta(description="Whether the windows are used up, so that extra usage is billed.")] = (
        False
    )


class Done(Struct, frozen=True, tag="done"):
    """The answer is complete.

    stop_reason: from the model. cost_usd: the cost that the CLI reported, if it reported it in time. stop_sequence: the
    client's text that ended the answer, if one did. raw_stop_reason: the service's stop reason, if it is none of
    `StopReason`; stop_reason is then the nearest one. held: the handles of the conversation that the CLI process now holds.
    """

    stop_reason: StopReason
    usage: Usage
    cost_usd: float | None = None
    stop_sequence: str | None = None
    raw_stop_reason: str = ""
    held: tuple[str, ...] = ()


class Failed(Struct, frozen=True, tag="failed"):
    """The job ended without a complete answer. detail: an addition to the message of the kind.

    retry_after: seconds to wait before a retry, where waiting helps. retry: whether the service allows a retry of the same
    request; None if it did not say.
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
