"""The calls of a held turn: the CLI asks for their results, whoever asked for the turn brings them.

Law: a call is wanted once, when the model's message that holds it is whole: what a message that is cut short calls for
is never done. A result answers the one call it names, and no call but one that waits.
(https://modelcontextprotocol.io/specification, `tools/call`)
"""

from collections.abc import Awaitable, Callable
from typing import cast

from executor.claude.conversation import mcp_answer
from executor.claude.protocol import Asked
from executor.claude.tools import Names
from shared.events import Event, ToolArguments, ToolCall, Wanted
from shared.turn import Document, Image, Text, ToolResult

CALL_ID = "claudecode/toolUseId"
NOT_GIVEN_OUT = "This call was not made: one call at a time is allowed."
NO_FILE = "A file of type {type} was brought here, which can't be shown in a result."

type Deliver = Callable[[bytes], Awaitable[None]]


class NotAwaited(Exception):
    """A result was brought that no call waits for."""


class Results:
    """Where the results of a turn's calls are brought. Mutable: the calls that wait, and the way to the CLI."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Asked, Deliver]] = {}

    def expect(self, call_id: str, asked: Asked, deliver: Deliver) -> None:
        """From now on the result of this call is waited for."""
        self._waiting[call_id] = asked, deliver

    async def bring(self, result: ToolResult) -> None:
        """Give a result to the call that waits for it. Raises NotAwaited."""
        if result.tool_use_id not in self._waiting:
            raise NotAwaited("a result came that no call waits for")
        asked, deliver = self._waiting.pop(result.tool_use_id)
        await deliver(brought(asked, result))


class Calls:
    """The calls of one model's message after another. Mutable: what was called, and what the CLI asked for so far."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._arguments: dict[str, str] = {}
        self._last = ""
        self._asked: list[Asked] = []

    def note(self, events: list[Event]) -> None:
        """Remember the calls that were given out."""
        for event in events:
            match event:
                case ToolCall(call_id):
                    self._last = call_id
                    self._arguments[call_id] = ""
                case ToolArguments(piece):
                    self._arguments[self._last] += piece
                case _:
                    pass

    def ask(self, asked: Asked) -> None:
        """The CLI wants the result of a call."""
        self._asked.append(asked)

    def due(self) -> tuple[list[tuple[Asked, Wanted]], list[bytes]]:
        """What the CLI asked for since the last time, as it is to be told; and answers to what was never given out."""
        asked, self._asked = self._asked, []
        wanted: list[tuple[Asked, Wanted]] = []
        refused: list[bytes] = []
        for one in asked:
            call_id, name = _call(one)
            arguments = self._arguments.pop(call_id, None)
            if arguments is None:
                refused.append(brought(one, ToolResult(call_id, (Text(NOT_GIVEN_OUT),), is_error=True)))
            else:
                wanted.append((one, Wanted(call_id, self._names.client(name), arguments)))
        return wanted, refused


def is_call(asked: Asked) -> bool:
    """Whether the CLI asks for the result of a call."""
    return asked.subtype == "mcp_message" and (asked.message or {}).get("method") == "tools/call"


def _call(asked: Asked) -> tuple[str, str]:
    """The id and the wire name of the call that the CLI asks for."""
    parameters = cast("dict[str, object]", (asked.message or {}).get("params") or {})
    meta = cast("dict[str, object]", parameters.get("_meta") or {})
    return str(meta.get(CALL_ID, "")), str(parameters.get("name", ""))


def brought(asked: Asked, result: ToolResult) -> bytes:
    """A result as the line that answers what the CLI asked."""
    content = [_part(part) for part in result.content]
    outcome: dict[str, object] = {"content": content, **({"isError": True} if result.is_error else {})}
    message = asked.message or {}
    return mcp_answer(asked.request_id, {"jsonrpc": "2.0", "id": message.get("id", 0), "result": outcome})


def _part(part: Text | Image | Document) -> dict[str, object]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image", "data": data, "mimeType": media_type}
        case Document("text/plain", data):
            return {"type": "text", "text": data}
        case Document(media_type):
            return {"type": "text", "text": NO_FILE.format(type=media_type)}
