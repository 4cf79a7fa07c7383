"""Maps names of tools and ids of calls to names and ids that the service accepts, and back. Pure.

Invariants: the same conversation gets the same names and ids in every request, so that the service's prompt cache can be
used; a name or id that the service accepts is not changed.
(https://docs.claude.com/en/api/messages, `tools.name` and `tool_use.id`)
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

from shared.turn import Message, ToolResult, ToolUse, Turn

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
# The executor's own tool for structured answers; a client's tool of that name is renamed where both are offered.
STRUCTURED_TOOL_NAME = "StructuredOutput"
# Tools that the CLI treats specially even where it does not offer them.
CLI_TOOL_NAMES = ("Agent", "Artifact", "ToolSearch")


class WireNames:
    """Maps the client's names to names on the wire, and back."""

    def __init__(self, names: Iterable[str], accept: re.Pattern[str], reserved: Iterable[str] = ()) -> None:
        taken = set(reserved)

        def is_available(name: str) -> bool:
            return bool(accept.fullmatch(name)) and name not in taken

        # Names that need no change come first: a substitute must not equal one of them.
        self._to_wire: dict[str, str] = {}
        for name in sorted(dict.fromkeys(names), key=lambda name: not is_available(name)):
            self._to_wire[name] = name if is_available(name) else _build_substitute(name, is_available)
            taken.add(self._to_wire[name])
        self._to_client = {wire: name for name, wire in self._to_wire.items()}

    @property
    def has_changes(self) -> bool:
        """Whether any name is changed."""
        return any(name != wire for name, wire in self._to_wire.items())

    def to_wire(self, name: str) -> str:
        """Returns the name that the model sees."""
        return self._to_wire.get(name, name)

    def to_client(self, wire: str) -> str:
        """Returns the client's name."""
        return self._to_client.get(wire, wire)


def _build_substitute(name: str, is_available: Callable[[str], bool]) -> str:
    """Replaces the characters that the service rejects, and appends eight hex digits of the name's hash."""
    digest = name.encode("utf-8", "surrogatepass")
    while True:
        digest = hashlib.sha256(digest).hexdigest().encode()
        wire = f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{digest[:8].decode()}"
        if is_available(wire):
            return wire


def build_tool_names(turn: Turn) -> WireNames:
    """Maps the names of a turn's tools, including those of calls in its history."""
    called = [block.name for message in turn.messages for block in message.content if isinstance(block, ToolUse)]
    reserved = (*CLI_TOOL_NAMES, STRUCTURED_TOOL_NAME) if turn.schema is not None else CLI_TOOL_NAMES
    return WireNames([*(tool.name for tool in turn.tools), *called], TOOL_NAME, reserved)


def assign_wire_ids(messages: Sequence[Message]) -> list[Message]:
    """Gives each call a unique id, and the call's result the same id.

    Clients reuse ids in later turns, and other vendors' ids contain characters that the service rejects. A result belongs
    to the nearest earlier call with its id that has no result yet.
    """
    taken: set[str] = set()
    waiting: dict[str, list[str]] = {}
    renamed: list[Message] = []
    for message in messages:
        content = list(message.content)
        for index, block in enumerate(content):
            if isinstance(block, ToolUse):
                wire = _find_free_id(block.id, taken)
                taken.add(wire)
                waiting.setdefault(block.id, []).append(wire)
                content[index] = ToolUse(wire, block.name, block.arguments)
            elif isinstance(block, ToolResult):
                calls = waiting.get(block.tool_use_id)
                wire = calls.pop() if calls else _find_free_id(block.tool_use_id, taken)
                content[index] = ToolResult(wire, block.content, block.is_error)
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
