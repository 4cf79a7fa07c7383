"""Names and ids as the service takes them, mapped there and back. Pure.

Invariants: the same conversation gets the same names and ids in every request, so that the service's prompt cache holds;
what the service takes travels unchanged. (https://docs.claude.com/en/api/messages, `tools.name` and `tool_use.id`)
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

from shared.turn import Message, ToolResult, ToolUse, Turn

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
# The executor's own tool for structured answers; a client's tool of that name steps aside where both are on offer.
STRUCTURED_TOOL_NAME = "StructuredOutput"
# Of these the CLI knows more than that it does not offer them.
CLI_TOOL_NAMES = ("Agent", "Artifact", "ToolSearch")


class WireNames:
    """Names of the client and the names that stand for them on the wire."""

    def __init__(self, names: Iterable[str], accept: re.Pattern[str], reserved: Iterable[str] = ()) -> None:
        taken = set(reserved)

        def is_available(name: str) -> bool:
            return bool(accept.fullmatch(name)) and name not in taken

        # Names that can travel as they are come first: another's stand-in must not be one of them.
        in_order = sorted(dict.fromkeys(names), key=lambda name: not is_available(name))
        self._to_wire: dict[str, str] = {}
        for name in in_order:
            self._to_wire[name] = name if is_available(name) else _build_stand_in(name, is_available)
            taken.add(self._to_wire[name])
        self._to_client = {wire: name for name, wire in self._to_wire.items()}

    @property
    def has_changes(self) -> bool:
        """Whether any name travels as another."""
        return any(name != wire for name, wire in self._to_wire.items())

    def to_wire(self, name: str) -> str:
        """The name that the model sees."""
        return self._to_wire.get(name, name)

    def to_client(self, wire: str) -> str:
        """The name that the client gave."""
        return self._to_client.get(wire, wire)


def _build_stand_in(name: str, fits: Callable[[str], bool]) -> str:
    """The name with eight hex digits of its hash in the place of what can't travel."""
    mark = name.encode("utf-8", "surrogatepass")
    while True:
        mark = hashlib.sha256(mark).hexdigest().encode()
        wire = f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{mark[:8].decode()}"
        if fits(wire):
            return wire


def build_tool_names(turn: Turn) -> WireNames:
    """The names of a turn's tools, those of its history's calls included."""
    called = [block.name for message in turn.messages for block in message.content if isinstance(block, ToolUse)]
    reserved = (*CLI_TOOL_NAMES, STRUCTURED_TOOL_NAME) if turn.schema is not None else CLI_TOOL_NAMES
    return WireNames([*(tool.name for tool in turn.tools), *called], TOOL_NAME, reserved)


def assign_wire_ids(messages: Sequence[Message]) -> list[Message]:
    """The messages with an id of its own for each call, and the same id for the call's result.

    Clients number calls anew in each turn, and other vendors' ids have characters that the service refuses. A result
    belongs to the nearest earlier call with its id that has no result yet.
    """
    taken: set[str] = set()
    waiting: dict[str, list[str]] = {}
    renamed: list[Message] = []
    for message in messages:
        content = list(message.content)
        for at, block in enumerate(content):
            if isinstance(block, ToolUse):
                wire = _find_free_id(block.id, taken)
                taken.add(wire)
                waiting.setdefault(block.id, []).append(wire)
                content[at] = ToolUse(wire, block.name, block.arguments)
            elif isinstance(block, ToolResult):
                calls = waiting.get(block.tool_use_id)
                wire = calls.pop() if calls else _find_free_id(block.tool_use_id, taken)
                content[at] = ToolResult(wire, block.content, block.is_error)
        renamed.append(Message(message.role, tuple(content)))
    return renamed


def _find_free_id(call_id: str, taken: set[str]) -> str:
    base = call_id
    if not CALL_ID.fullmatch(call_id):
        base = f"call_{hashlib.sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    wire, number = base, 1
    while wire in taken:
        number += 1
        wire = f"{base[:115]}_{number}"
    return wire
