"""The tools that a request offers: the client's own, Anthropic's that a client runs, and those that are left out. Pure.

Invariants: a tool that the vendor runs, or that is of a type which is not known, is left out and named. A tool that a
message adds is offered, and one that a message removes is not: the model sees one list for the whole conversation.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct, UnsetType

from api.conversation import tools as tooling
from api.conversation.fields import decoded
from api.conversation.parts import Offering, ToolDefinition
from api.core.problems import Problem, invalid
from api.dialects.anthropic.blocks import kind_of
from api.dialects.anthropic.client_tools import offer_of
from api.dialects.anthropic.ignored import CHOICES, plain
from api.dialects.anthropic.models import InputMessage, InputTool, MessagesRequest

# Tools that need the vendor's own models and services on both sides.
UNSUPPORTED = re.compile(r"(computer|browser)_.*")
# Blocks that change the tools, and how they name one: those of an MCP server are none of the client's.
CHANGED = (None, "tool_reference", "tool_definition")
CHANGES = ("tool_addition", "tool_removal", "compaction")


class Tools(Struct, frozen=True):
    """The tools that are offered, and the names of what was left out or taken for another."""

    offered: tooling.Offered
    ignored: tuple[str, ...]


class _Head(Struct, frozen=True):
    """What tells one tool from another."""

    type: str | None = None
    name: object = None
    input_schema: Raw = Raw(b"null")


class _ClientTool(Struct, frozen=True):
    """What is read of a tool of Anthropic's that a client runs."""

    name: str = ""
    strict: bool | None = None


class _Change(Struct, frozen=True):
    """A block that adds or removes a tool, or the summary of such blocks. tool: a reference, or a definition."""

    tool: Raw = Raw(b"null")
    tool_changes: Raw = Raw(b"null")


class _ChangedTool(Struct, frozen=True):
    """The tool that is added or removed: by its name, or as it would stand in `tools`."""

    type: object = None
    name: object = None
    definition: Raw = Raw(b"null")


type Placed = tuple[str, Raw]
# Addition or removal, the name of the tool, its definition if it is added by one.
type Change = tuple[str, str, Placed | None]

_head = msgspec.json.Decoder(_Head)
_client = msgspec.json.Decoder(_ClientTool)
_own = msgspec.json.Decoder(InputTool)
_function = msgspec.json.Decoder(ToolDefinition)
_change = msgspec.json.Decoder(_Change)
_changed = msgspec.json.Decoder(_ChangedTool | None)
_raws = msgspec.json.Decoder(list[Raw] | None)


def tools_of(request: MessagesRequest, *, strict: bool) -> Tools:
    """The tools of a request and how they may be used. Raises Problem (400)."""
    own: list[ToolDefinition] = []
    places: list[str] = []
    ignored: list[str] = []
    for where, raw in _in_effect(request):
        kind = decoded(bytes(raw), _head, where).type
        tool, exactly = _definition(kind, raw, where)
        if tool:
            own.append(tool)
            places.append(where)
        if not exactly:
            if strict or UNSUPPORTED.fullmatch(kind or ""):
                raise _unsupported(kind, where)
            ignored.append(plain(f"tools.{kind}", "tools.type"))
    return Tools(_offered(request, own, places), tuple(dict.fromkeys(ignored)))


def _definition(kind: str | None, raw: Raw, where: str) -> tuple[ToolDefinition | None, bool]:
    """A tool as it is offered, if it can be; and whether it is what was sent. Raises Problem."""
    if kind == "function":
        return decoded(bytes(raw), _function, where), True
    offer, exactly = offer_of(kind)
    if offer:
        given = decoded(bytes(raw), _client, where)
        tool = msgspec.structs.replace(offer, name=given.name or offer.name, strict=given.strict)
        return _as_definition(tool), exactly
    is_own = kind in {None, "custom"}
    if not is_own and bytes(decoded(bytes(raw), _head, where).input_schema) == b"null":
        return None, False
    tool = decoded(bytes(raw), _own, where)
    if bytes(tool.input_schema) == b"null":
        raise invalid(f"`{where}.input_schema` is missing.", f"{where}.input_schema")
    return _as_definition(tool), is_own


def _as_definition(tool: InputTool) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name, description=tool.description, input_schema=tool.input_schema, strict=tool.strict
    )


def _unsupported(kind: str | None, where: str) -> Problem:
    return invalid(
        f"`{where}`: tools of type `{kind}` are not supported; offer one of your own, with `name`, `description` and "
        "`input_schema`.",
        f"{where}.type",
        "unsupported_parameter",
    )


def _in_effect(request: MessagesRequest) -> Sequence[Placed]:
    """The tools of the request, without those that its messages remove, with those that they add. Raises Problem."""
    placed = [(f"tools[{index}]", raw) for index, raw in enumerate(request.tools or [])]
    changes = list(_changes(request.messages))
    if not changes:
        return placed
    removed: set[str] = set()
    for kind, name, definition in changes:
        if kind == "tool_removal":
            removed.add(name)
            continue
        if definition:
            placed = _with(placed, definition)
        removed.discard(_name(definition) if definition else name)
    return [each for each in placed if _name(each) not in removed]


def _with(placed: Sequence[Placed], added: Placed) -> list[Placed]:
    return [*(each for each in placed if _name(each) != _name(added)), added]


def _name(placed: Placed) -> str:
    where, raw = placed
    name = decoded(bytes(raw), _head, where).name
    # One without a name is none that another could have.
    return name if isinstance(name, str) else where


def _changes(messages: Sequence[InputMessage]) -> Iterator[Change]:
    """What messages change of the tools, in order. Raises Problem."""
    for index, message in enumerate(messages):
        if isinstance(message.content, str | UnsetType):
            continue
        for number, raw in enumerate(message.content):
            where = f"messages[{index}].content[{number}]"
            if (kind := kind_of(raw, where)) in CHANGES:
                yield from _change_of(kind, raw, where)


def _change_of(kind: str, raw: Raw, where: str) -> Iterator[Change]:
    change = decoded(bytes(raw), _change, where)
    if kind == "compaction":
        for number, inner in enumerate(decoded(bytes(change.tool_changes), _raws, f"{where}.tool_changes") or []):
            place = f"{where}.tool_changes[{number}]"
            yield from _change_of(kind_of(inner, place), inner, place)
        return
    tool = decoded(bytes(change.tool), _changed, f"{where}.tool")
    if tool and tool.type not in CHANGED:
        return
    if tool and bytes(tool.definition) != b"null":
        yield kind, "", (f"{where}.tool.definition", tool.definition)
    elif tool and isinstance(tool.name, str):
        yield kind, tool.name, None


def _offered(request: MessagesRequest, tools: list[ToolDefinition], places: list[str]) -> tooling.Offered:
    choice = request.tool_choice
    if choice is None:
        return tooling.offered(Offering(tools=tools), places)
    # A way of choosing that is not known leaves the choice to the model.
    kind = choice.type if choice.type in CHOICES else "auto"
    raw = Raw(msgspec.json.encode({"type": kind, "name": choice.name}))
    return tooling.offered(Offering(tools, raw, not choice.disable_parallel_tool_use), places)
