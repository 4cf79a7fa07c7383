"""The Messages API's streaming events, as far as they are used: they ride inside the CLI's lines, unchanged.

(https://docs.claude.com/en/api/messages-streaming)
"""

from msgspec import Struct


class OutputDetails(Struct, frozen=True):
    """What the output tokens were spent on."""

    thinking_tokens: int | None = None


class ServiceUsage(Struct, frozen=True):
    """Token counts as the service sends them; None where a message does not speak of one."""

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


class ServiceEvent(Struct, frozen=True):
    """One event of the Messages API's stream."""

    type: str
    message: ServiceMessage = ServiceMessage()
    content_block: ServiceBlock = ServiceBlock()
    delta: ServiceDelta = ServiceDelta()
    usage: ServiceUsage = ServiceUsage()
