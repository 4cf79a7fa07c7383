"""The Messages API's streaming events, as far as they are used; the CLI's lines contain them unchanged.

(https://docs.claude.com/en/api/messages-streaming)
"""

from msgspec import Struct

from shared.events import StopReason

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
}
# The nearest of our stop reasons for others of the service; the vendor's list grows.
NEAREST_STOP_REASONS: dict[str, StopReason] = {"model_context_window_exceeded": "max_tokens"}


def to_stop_reason(word: str) -> tuple[StopReason, str]:
    """Returns our stop reason for the service's, and the service's own word where it is not one of ours."""
    known = STOP_REASONS.get(word)
    return (known, "") if known else (NEAREST_STOP_REASONS.get(word, "end_turn"), word)


class OutputDetails(Struct, frozen=True):
    """How the output tokens were used."""

    thinking_tokens: int | None = None


class ServiceUsage(Struct, frozen=True):
    """Token counts as the service sends them; None where a message does not contain one."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class ServiceMessage(Struct, frozen=True):
    """The `message` of `message_start`."""

    model: str = ""
    usage: ServiceUsage = ServiceUsage()


class ServiceDelta(Struct, frozen=True):
    """The `delta` of `content_block_delta` and of `message_delta`."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class ServiceBlock(Struct, frozen=True):
    """The `content_block` of `content_block_start`."""

    type: str = ""
    id: str = ""
    name: str = ""
    data: str = ""
    text: str = ""


class ServiceEvent(Struct, frozen=True):
    """One event of the Messages API's stream."""

    type: str
    message: ServiceMessage = ServiceMessage()
    content_block: ServiceBlock = ServiceBlock()
    delta: ServiceDelta = ServiceDelta()
    usage: ServiceUsage = ServiceUsage()
