"""Converts the tools of a Messages request: custom tools, and Anthropic's tools that a client runs. Pure.

Invariants: a tool that Anthropic runs, or of an unknown type, is left out and named. Messages can add and remove tools;
the model sees one list for the complete conversation.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct, UnsetType

from api.conversation import tools as tooling
from api.conversation.fields import decode_json
from api.conversation.parts import ToolDefinition, ToolParams
from api.core.problems import invalid_problem
from api.dialects.anthropic.blocks import decode_type
from api.dialects.anthropic.client_tools import find_client_tool
from api.dialects.anthropic.ignored_fields import TOOL_CHOICE_TYPES, to_header_name
from api.dialects.anthropic.models import InputMessage, InputTool, MessagesRequest

# Tools that need Anthropic's models and services on both sides.
UNSUPPORTED_TYPES = re.compile(r"(computer|browser)_.*")
# Blocks that change the tools, and how they name a tool. References to an MCP server's tools are ignored.
TOOL_REFERENCE_TYPES = (None, "tool_reference", "tool_definition")
TOOL_CHANGE_TYPES = ("tool_addition", "tool_removal", "compaction")


class _ToolHeader(Struct, frozen=True):
    """The fields that identify a tool."""

    type: str | None = None
    name: object = None
    input_schema: Raw = Raw(b"null")


class _ClientTool(Struct, frozen=True):
    """The fields that are read of Anthropic's tools."""

    name: str = ""
    strict: bool | None = None


class _ToolChange(Struct, frozen=True):
    """A block that adds or removes a tool, or a summary of such blocks. tool: a reference or a definition."""

    tool: Raw = Raw(b"null")
    tool_changes: Raw = Raw(b"null")


class _ChangedTool(Struct, frozen=True):
    """The tool that is added or removed: by its name, or by a definition as in `tools`."""

    type: object = None
    name: object = None
    definition: Raw = Raw(b"null")


type PlacedTool = tuple[str, Raw]
# The block's type, the name of the tool, and its definition if the block has one.
type ToolChange = tuple[str, str, PlacedTool | None]

_header = msgspec.json.Decoder(_ToolHeader)
_client_tool = msgspec.json.Decoder(_ClientTool)
_custom_tool = msgspec.json.Decoder(InputTool)
_function = msgspec.json.Decoder(ToolDefinition)
_change = msgspec.json.Decoder(_ToolChange)
_changed = msgspec.json.Decoder(_ChangedTool | None)
_raws = msgspec.json.Decoder(list[Raw] | None)


def parse_tools(request: MessagesRequest, *, strict: bool) -> tuple[tooling.ToolSet, tuple[str, ...]]:
    """Returns the offered tools, and the names of those that were left out or replaced. Raises Problem (400)."""
    tools: list[ToolDefinition] = []
    places: list[str] = []
    ignored: list[str] = []
    for where, raw in _list_effective_tools(request):
        kind = decode_json(bytes(raw), _header, where).type
        tool, exactly = _parse_tool(kind, raw, where)
        if tool:
            tools.append(tool)
            places.append(where)
        if not exactly:
            if strict or UNSUPPORTED_TYPES.fullmatch(kind or ""):
                raise invalid_problem(
                    f"`{where}`: tools of type `{kind}` are not supported. Offer a custom tool with `name`, `description` "
                    "and `input_schema`.",
                    f"{where}.type",
                    "unsupported_parameter",
                )
            ignored.append(to_header_name(f"tools.{kind}", "tools.type"))
    return _build_tool_set(request, tools, places), tuple(dict.fromkeys(ignored))


def _parse_tool(kind: str | None, raw: Raw, where: str) -> tuple[ToolDefinition | None, bool]:
    """Returns the tool to offer, if there is one, and whether it is exactly what the client sent. Raises Problem."""
    if kind == "function":
        return decode_json(bytes(raw), _function, where), True
    client_tool, exactly = find_client_tool(kind)
    if client_tool:
        sent = decode_json(bytes(raw), _client_tool, where)
        return msgspec.structs.replace(client_tool, name=sent.name or client_tool.name, strict=sent.strict), exactly
    is_custom = kind in {None, "custom"}
    if not is_custom and bytes(decode_json(bytes(raw), _header, where).input_schema) == b"null":
        return None, False
    tool = decode_json(bytes(raw), _custom_tool, where)
    if bytes(tool.input_schema) == b"null":
        raise invalid_problem(f"`{where}.input_schema` is missing.", f"{where}.input_schema")
    return ToolDefinition(**msgspec.structs.asdict(tool)), is_custom


def _list_effective_tools(request: MessagesRequest) -> Sequence[PlacedTool]:
    """Returns the tools of the request after the changes of its messages. Raises Problem."""
    placed = [(f"tools[{index}]", raw) for index, raw in enumerate(request.tools or [])]
    changes = list(_list_changes(request.messages))
    if not changes:
        return placed
    removed: set[str] = set()
    for kind, name, definition in changes:
        if kind == "tool_removal":
            removed.add(name)
            continue
        if definition:
            placed = [*(each for each in placed if _get_name(each) != _get_name(definition)), definition]
        removed.discard(_get_name(definition) if definition else name)
    return [each for each in placed if _get_name(each) not in removed]


def _get_name(placed: PlacedTool) -> str:
    where, raw = placed
    name = decode_json(bytes(raw), _header, where).name
    # A tool without a name gets its place, which no other tool has.
    return name if isinstance(name, str) else where


def _list_changes(messages: Sequence[InputMessage]) -> Iterator[ToolChange]:
    """Yields the changes that messages make to the tools, in order. Raises Problem."""
    for index, message in enumerate(messages):
        if isinstance(message.content, str | UnsetType):
            continue
        for number, raw in enumerate(message.content):
            where = f"messages[{index}].content[{number}]"
            if (kind := decode_type(raw, where)) in TOOL_CHANGE_TYPES:
                yield from _parse_change(kind, raw, where)


def _parse_change(kind: str, raw: Raw, where: str) -> Iterator[ToolChange]:
    change = decode_json(bytes(raw), _change, where)
    if kind == "compaction":
        for number, inner in enumerate(decode_json(bytes(change.tool_changes), _raws, f"{where}.tool_changes") or []):
            place = f"{where}.tool_changes[{number}]"
            yield from _parse_change(decode_type(inner, place), inner, place)
        return
    tool = decode_json(bytes(change.tool), _changed, f"{where}.tool")
    if tool and tool.type not in TOOL_REFERENCE_TYPES:
        return
    if tool and bytes(tool.definition) != b"null":
        yield kind, "", (f"{where}.tool.definition", tool.definition)
    elif tool and isinstance(tool.name, str):
        yield kind, tool.name, None


def _build_tool_set(request: MessagesRequest, tools: list[ToolDefinition], places: list[str]) -> tooling.ToolSet:
    choice = request.tool_choice
    if choice is None:
        return tooling.build_tool_set(ToolParams(tools=tools), places)
    # With an unknown type the model chooses.
    kind = choice.type if choice.type in TOOL_CHOICE_TYPES else "auto"
    tool_choice = {"type": kind, "name": choice.name}
    return tooling.build_tool_set(ToolParams(tools, tool_choice, not choice.disable_parallel_tool_use), places)
