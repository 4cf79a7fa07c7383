"""Records one message of the model, to send it back in the next round. Pure.

Invariants: blocks keep their order, and thinking its signature: the service accepts it back only unchanged.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from executor.claude.output.service_events import ServiceBlock, ServiceDelta
from executor.claude.request.blocks import Json, build_text_block
from executor.claude.request.tool_forms import UNREADABLE_ARGUMENTS

# accepted: the caller gets the call. structured: the structured answer. not_offered: the tool was not offered. surplus: a
# second call where one is allowed. rejected: `tool_choice` forbids the call, or demands another tool.
type CallStatus = Literal["accepted", "structured", "not_offered", "surplus", "rejected"]


class RecordedCall(Struct, frozen=True):
    """A call of the model. name: as the model wrote it. pieces: the arguments so far."""

    id: str
    name: str
    status: CallStatus
    pieces: list[str]

    @property
    def arguments(self) -> str:
        """The arguments as text; an empty object for a call without arguments."""
        return "".join(self.pieces) or "{}"

    @property
    def has_valid_arguments(self) -> bool:
        """Whether the arguments are a JSON object."""
        return parse_object(self.arguments) is not None


class RecordedBlock(Struct, frozen=True):
    """A block of the message, with the pieces of its text or arguments, and of its signature."""

    start: ServiceBlock
    pieces: list[str]
    signature: list[str]


class Recorder:
    """Records the blocks of a message. Mutable: the blocks and the calls among them."""

    def __init__(self) -> None:
        self.calls: list[RecordedCall] = []
        self._blocks: list[RecordedBlock] = []

    def open_block(self, start: ServiceBlock) -> RecordedBlock:
        """Starts a block."""
        block = RecordedBlock(start, [start.text], [])
        self._blocks.append(block)
        return block

    def open_call(self, start: ServiceBlock, status: CallStatus) -> None:
        """Starts a call."""
        self.calls.append(RecordedCall(start.id, start.name, status, self.open_block(start).pieces))

    def add_delta(self, delta: ServiceDelta) -> None:
        """Continues the last block."""
        block = self._blocks[-1] if self._blocks else self.open_block(ServiceBlock("text"))
        block.pieces.append(delta.text or delta.thinking or delta.partial_json)
        block.signature.append(delta.signature)

    @property
    def caller_calls(self) -> list[RecordedCall]:
        """The calls that the caller gets."""
        return [call for call in self.calls if call.status == "accepted"]

    @property
    def has_visible_text(self) -> bool:
        """Whether the message has a visible character of text."""
        return any(block.start.type == "text" and any(map(str.strip, block.pieces)) for block in self._blocks)

    def build_content(self) -> list[Json]:
        """Builds the message's content in the form that the service accepts back."""
        return [wire_block for block in self._blocks if (wire_block := _to_wire(block))]


def _to_wire(block: RecordedBlock) -> Json:
    text = "".join(block.pieces)
    match block.start.type:
        case "text" if text.strip():
            return build_text_block(text)
        case "thinking":
            return {"type": "thinking", "thinking": text, "signature": "".join(block.signature)}
        case "redacted_thinking":
            return {"type": "redacted_thinking", "data": block.start.data}
        case "tool_use":
            arguments = parse_object(text or "{}")
            call: Json = {"type": "tool_use", "id": block.start.id, "name": block.start.name}
            return {**call, "input": {UNREADABLE_ARGUMENTS: text} if arguments is None else arguments}
        case _:
            return {}


def parse_object(arguments: str) -> msgspec.Raw | None:
    """Returns the text of a JSON object, undecoded; None for anything else."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(arguments.encode("utf-8", "surrogatepass"))
