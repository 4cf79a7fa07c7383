"""The client's tools as the CLI takes them: an MCP server of ours, its handshake answered before it is asked. Pure.

Law: the model sees the client's own name, description and schema. A name the service would not take
(`^[a-zA-Z0-9_-]{1,64}$`), or the CLI would not leave alone, travels as another and comes back as it was given, in calls and in the history alike.
(`sdkMcpServers` and `sdkMcpServerManifests` are fields of `SDKControlInitializeRequest` in the CLI's agent SDK;
the results are those of https://modelcontextprotocol.io/specification.)
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import msgspec

from shared.turn import Tool, ToolUse, Turn

SERVER = "client"
TAKEN = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# With a tool of this name on offer the CLI adds words of its own to the conversation, or takes the tool away.
OWN = frozenset({"Agent", "Artifact", "ToolSearch"})
# The CLI's own tool for structured answers; a client's tool of that name steps aside when both are in play.
STRUCTURED = "StructuredOutput"
PROTOCOL = "2025-11-25"
# Results of one message are asked for at once, and reach the model whole, not as the name of a file.
HELD = {"annotations": {"readOnlyHint": True}, "_meta": {"anthropic/maxResultSizeChars": 1_000_000_000}}


class Names:
    """Client names and wire names, both ways."""

    def __init__(self, names: Iterable[str], *, structured: bool) -> None:
        taken = {*OWN, STRUCTURED} if structured else set(OWN)
        # Names that can travel as they are come first: another's stand-in must not be one of them.
        as_given = sorted(dict.fromkeys(names), key=lambda name: not _fits(name, taken))
        self._wire: dict[str, str] = {}
        for name in as_given:
            self._wire[name] = _wire_name(name, taken)
            taken.add(self._wire[name])
        self._client = {wire: name for name, wire in self._wire.items()}

    def wire(self, name: str) -> str:
        """The name the model sees."""
        return self._wire.get(name, name)

    def client(self, wire: str) -> str:
        """The name the client gave."""
        return self._client.get(wire, wire)


def names_of(turn: Turn) -> Names:
    """The names of a turn's tools, those of its history's calls included."""
    called = [block.name for message in turn.messages for block in message.content if isinstance(block, ToolUse)]
    return Names([*(tool.name for tool in turn.tools), *called], structured=turn.schema is not None)


def _fits(name: str, taken: set[str]) -> bool:
    return bool(TAKEN.fullmatch(name)) and name not in taken


def _wire_name(name: str, taken: set[str]) -> str:
    """The name itself or, as long as that is taken, one with eight hex digits of it: the same on every request."""
    wire = name
    mark = name.encode("utf-8", "surrogatepass")
    while not _fits(wire, taken):
        mark = hashlib.sha256(mark).hexdigest().encode()
        wire = f"{re.sub(r'[^a-zA-Z0-9_-]', '_', name)[:55]}_{mark[:8].decode()}"
    return wire


def offer(tools: Sequence[Tool], names: Names, *, bare: bool = False, held: bool = False) -> dict[str, object]:
    """The part of `initialize` that offers the client's tools; empty without tools. bare: the CLI runs with `--bare`.

    held: their results are brought to this process; see HELD.
    """
    if not tools:
        return {}
    listed = [
        {
            "name": names.wire(tool.name),
            "description": _whole(tool.description) if bare else tool.description,
            "inputSchema": msgspec.Raw(_object_schema(tool.schema).encode()),
            **(HELD if held else {}),
        }
        for tool in tools
    ]
    about: dict[str, object] = {
        "protocolVersion": PROTOCOL,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": SERVER, "version": "1"},
    }
    return {
        "sdkMcpServers": [SERVER],
        "sdkMcpServerManifests": {SERVER: {"initializeResult": about, "toolsListResult": {"tools": listed}}},
    }


def _whole(description: str) -> str:
    """A description of which `--bare` shows everything: it shows the first paragraph, or all if that one is empty."""
    return f"\n\n{description}" if "\n\n" in description or description != description.strip() else description


def _object_schema(schema: str) -> str:
    """MCP demands `"type": "object"` at the root of a tool's schema; one that leaves it out means it."""
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(schema, type=dict[str, msgspec.Raw])
    if "type" in fields:
        return schema
    return msgspec.json.encode({"type": "object", **fields}).decode()


def answered(message: Mapping[str, object], tools: Mapping[str, object]) -> dict[str, object]:
    """The JSON-RPC answer to what the CLI asks our server when it does not use the manifest."""
    manifests = cast("Mapping[str, Mapping[str, object]]", tools.get("sdkMcpServerManifests") or {SERVER: {}})
    answers: dict[object, object] = {
        "initialize": manifests[SERVER].get("initializeResult", {}),
        "tools/list": manifests[SERVER].get("toolsListResult", {"tools": []}),
    }
    return {"jsonrpc": "2.0", "id": message.get("id", 0), "result": answers.get(message.get("method"), {})}
