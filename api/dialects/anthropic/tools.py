"""The tools that a request offers: the client's own, Anthropic's that a client runs, and those that are left out. Pure.

Invariants: a tool that the vendor runs, or that is of a type which is not known, is left out and named. A tool that a
message adds is offered, and one that a message removes is not: the model sees one list for the whole conversation.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct, UnsetType

from api.conversation import tools as tooling
from api.conversation.fields import decode_json
from api.conversation.parts import ToolDefinition, ToolParams
from api.core.problems import Problem, invalid_problem
from api.dialects.anthropic.blocks import decode_type
from api.dialects.anthropic.client_tools import find_client_tool
from api.dialects.anthropic.ignored_fields import TOOL_CHOICE_TYPES, to_header_name
from api.dialects.anthropic.models import InputMessage, InputTool, MessagesRequest

# Tools that need the vendor's own models and services on both sides.
UNSUPPORTED_TYPES = re.compile(r"(computer|browser)_.*")
# Blocks that change the tools, and how they name one: those of an MCP server are none of the client's.
TOOL_REFERENCE_TYPES = (None, "tool_reference", "tool_definition")
TOOL_CHANGE_TYPES = ("tool_addition", "tool_removal", "compaction")


class MessagesToolSet(Struct, frozen=True):
    """The tools that are offered, and the names of what was left out or taken for another."""

    tool_set: tooling.ToolSet
    ignored: tuple[str, ...]


class _ToolHeader(Struct, frozen=True):
    """What tells one tool from another."""

    type: str | None = None
    name: object = None
    input_schema: Raw = Raw(b"null")


class _ClientTool(Struct, frozen=True):
    """What is read of a tool of Anthropic's that a client runs."""

    name: str = ""
    strict: bool | None = None


class _ToolChange(Struct, frozen=True):
    """A block that adds or removes a tool, or the summary of such blocks. tool: a reference, or a definition."""

    tool: Raw = Raw(b"null")
    tool_changes: Raw = Raw(b"null")


class _ChangedTool(Struct, frozen=True):
    """The tool that is added or removed: by its name, or as it would stand in `tools`."""

    type: object = None
    name: object = None
    definition: Raw = Raw(b"null")


type PlacedTool = tuple[str, Raw]
# Addition or removal, the name of the tool, its definition if it is added by one.
type ToolChange = tuple[str, str, PlacedTool | None]

_head = msgspec.json.Decoder(_ToolHeader)
_client = msgspec.json.Decoder(_ClientTool)
_own = msgspec.json.Decoder(InputTool)
_function = msgspec.json.Decoder(ToolDefinition)
_change = msgspec.json.Decoder(_ToolChange)
_changed = msgspec.json.Decoder(_ChangedTool | None)
_raws = msgspec.json.Decoder(list[Raw] | None)


def parse_tools(request: MessagesRequest, *, strict: bool) -> MessagesToolSet:
    """The tools of a request and how they may be used. Raises Problem (400)."""
    own: list[ToolDefinition] = []
    places: list[str] = []
    ignored: list[str] = []
    for where, raw in _list_effective_tools(request):
        kind = decode_json(bytes(raw), _head, where).type
        tool, exactly = _parse_tool(kind, raw, where)
        if tool:
            own.append(tool)
            places.append(where)
        if not exactly:
            if strict or UNSUPPORTED_TYPES.fullmatch(kind or ""):
                raise _unsupported_problem(kind, where)
            ignored.append(to_header_name(f"tools.{kind}", "tools.type"))
    return MessagesToolSet(_build_tool_set(request, own, places), tuple(dict.fromkeys(ignored)))


def _parse_tool(kind: str | None, raw: Raw, where: str) -> tuple[ToolDefinition | None, bool]:
    """A tool as it is offered, if it can be; and whether it is what was sent. Raises Problem."""
    if kind == "function":
        return decode_json(bytes(raw), _function, where), True
    offer, exactly = find_client_tool(kind)
    if offer:
        given = decode_json(bytes(raw), _client, where)
        tool = msgspec.structs.replace(offer, name=given.name or offer.name, strict=given.strict)
        return _to_definition(tool), exactly
    is_own = kind in {None, "custom"}
    if not is_own and bytes(decode_json(bytes(raw), _head, where).input_schema) == b"null":
        return None, False
    tool = decode_json(bytes(raw), _own, where)
    if bytes(tool.input_schema) == b"null":
        raise invalid_problem(f"`{where}.input_schema` is missing.", f"{where}.input_schema")
    return _to_definition(tool), is_own


def _to_definition(tool: InputTool) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name, description=tool.description, input_schema=tool.input_schema, strict=tool.strict
    )


def _unsupported_problem(kind: str | None, where: str) -> Problem:
    return invalid_problem(
        f"`{where}`: tools of type `{kind}` are not supported; offer one of your own, with `name`, `description` and "
        "`input_schema`.",
        f"{where}.type",
        "unsupported_parameter",
    )


def _list_effective_tools(request: MessagesRequest) -> Sequence[PlacedTool]:
    """The tools of the request, without those that its messages remove, with those that they add. Raises Problem."""
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
            placed = _replace_tool(placed, definition)
        removed.discard(_get_name(definition) if definition else name)
    return [each for each in placed if _get_name(each) not in removed]


def _replace_tool(placed: Sequence[PlacedTool], added: PlacedTool) -> list[PlacedTool]:
    return [*(each for each in placed if _get_name(each) != _get_name(added)), added]


def _get_name(placed: PlacedTool) -> str:
    where, raw = placed
    name = decode_json(bytes(raw), _head, where).name
    # One without a name is none that another could have.
    return name if isinstance(name, str) else where


def _list_changes(messages: Sequence[InputMessage]) -> Iterator[ToolChange]:
    """What messages change of the tools, in order. Raises Problem."""
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
    # A way of choosing that is not known leaves the choice to the model.
    kind = choice.type if choice.type in TOOL_CHOICE_TYPES else "auto"
    named = {"type": kind, "name": choice.name}
    return tooling.build_tool_set(ToolParams(tools, named, not choice.disable_parallel_tool_use), places)
