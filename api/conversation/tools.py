"""Parses the tools of a request and the tool choice, in the form of any vendor. Pure.

Invariants: names, descriptions and schemas stay as the client sent them; an unsupported choice raises a Problem.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, cast

import msgspec
from msgspec import Struct

from api.conversation.parts import FunctionCall, FunctionDefinition, ToolDefinition, ToolParams
from api.conversation.schemas import check_schema
from api.core.problems import invalid_problem
from shared.json_schema.limits import SchemaBudget
from shared.turn import Tool

# A tool with free text reaches the model as a function with this one argument.
CUSTOM_TOOL_FIELD = "input"
CUSTOM_TOOL_SCHEMA = '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
EMPTY_SCHEMA = '{"type":"object","properties":{}}'
MAX_TOOLS = 512
# Separates the names of a namespace and a tool in it.
NAMESPACE_SEPARATOR = "__"

type ToolChoiceMode = Literal["auto", "none", "any", "tool"]


class ToolSet(Struct, frozen=True):
    """The tools of a request, and how the model may use them.

    custom: the names of tools with free text. strict: the names of tools whose arguments must be valid against their
    schema. legacy: the request uses `functions`, so the answer does too. places: the place of each tool's schema in the
    request, by the tool's name.
    """

    tools: tuple[Tool, ...] = ()
    choice: ToolChoiceMode = "auto"
    forced_tool: str | None = None
    parallel: bool = True
    custom: frozenset[str] = frozenset()
    strict: frozenset[str] = frozenset()
    legacy: bool = False
    places: Mapping[str, str] = {}


def build_tool_set(request: ToolParams, places: Sequence[str] | None = None) -> ToolSet:
    """Returns the tools of a request. places: the place of each tool in it, if not in order. Raises Problem (400)."""
    allowance = SchemaBudget()
    if request.functions and not request.tools:
        parsed = [_parse_function(each, f"functions[{at}]", allowance) for at, each in enumerate(request.functions)]
    else:
        tools = request.tools or []
        places = places or [f"tools[{index}]" for index in range(len(tools))]
        parsed = [_parse_tool(tool, place, allowance) for tool, place in zip(tools, places, strict=True)]
    listed = [each.tool for each in parsed]
    where = "functions" if request.functions and not request.tools else "tools"
    if duplicates := [name for name, count in Counter(tool.name for tool in listed).items() if count > 1]:
        raise invalid_problem(f"`{where}`: two tools have the name `{duplicates[0]}`.", where)
    if len(listed) > MAX_TOOLS:
        raise invalid_problem(f"`{where}`: up to {MAX_TOOLS} tools are allowed, not {len(listed)}.", where)
    if where == "functions":
        choice, forced, allowed = _parse_legacy_choice(request.function_call, listed)
    else:
        choice, forced, allowed = _parse_choice(request.tool_choice, listed)
    return ToolSet(
        tools=tuple(tool for tool in listed if allowed is None or tool.name in allowed),
        choice=choice,
        forced_tool=forced,
        parallel=request.parallel_tool_calls is not False and where != "functions",
        custom=frozenset(each.tool.name for each in parsed if each.custom),
        strict=frozenset(each.tool.name for each in parsed if each.strict),
        legacy=where == "functions",
        places={each.tool.name: each.place for each in parsed},
    )


class _ParsedTool(Struct, frozen=True):
    """A tool. place: of its schema in the request. custom: it takes free text. strict: its arguments must be valid."""

    tool: Tool
    place: str
    custom: bool = False
    strict: bool = False


def _parse_tool(tool: ToolDefinition, where: str, allowance: SchemaBudget) -> _ParsedTool:
    if tool.custom or tool.type == "custom":
        name = tool.custom.name if tool.custom else tool.name or ""
        description = tool.custom.description if tool.custom else tool.description
        name = _check_name(name, f"{where}.custom" if tool.custom else where)
        return _ParsedTool(Tool(name, description or "", CUSTOM_TOOL_SCHEMA), where, custom=True)
    if tool.function:
        return _parse_function(tool.function, f"{where}.function", allowance)
    if tool.type not in {None, "function"}:
        raise invalid_problem(f"`{where}`: tools of type `{tool.type}` are not supported.", f"{where}.type")
    field = "parameters" if bytes(tool.parameters) != b"null" else "input_schema"
    flat = FunctionDefinition(tool.name or "", tool.description, getattr(tool, field), tool.strict)
    return _parse_function(flat, where, allowance, field)


def _parse_function(
    function: FunctionDefinition, where: str, allowance: SchemaBudget, field: str = "parameters"
) -> _ParsedTool:
    schema = bytes(function.parameters).decode()
    if schema == "null":
        schema = EMPTY_SCHEMA
    place = f"{where}.{field}"
    # The server validates the arguments of strict tools only.
    fields = check_schema(msgspec.json.decode(schema), place, allowance, evaluated=bool(function.strict))
    if fields.get("type", "object") != "object":
        raise invalid_problem(f"`{place}` must describe an object.", place, "invalid_schema")
    tool = Tool(_check_name(function.name, where), function.description or "", schema)
    return _ParsedTool(tool, place, strict=bool(function.strict))


def _check_name(name: str, where: str) -> str:
    if not name or len(name) > 512:
        raise invalid_problem(f"`{where}.name` must have 1 to 512 characters.", f"{where}.name")
    return name


def _parse_choice(choice: object, tools: Sequence[Tool]) -> tuple[ToolChoiceMode, str | None, frozenset[str] | None]:
    """Returns the choice, the forced tool, and the names of the allowed tools."""
    match choice:
        case None | "auto" | {"type": "auto"}:
            return "auto", None, None
        case "none" | {"type": "none"}:
            return "none", None, None
        case "required" | "any" | {"type": "required"} | {"type": "any"}:
            return "any", None, _require_tools(tools)
        case {"type": "allowed_tools"}:
            fields = cast("dict[str, object]", choice)
            return _parse_allowed_tools(cast("dict[str, object]", fields.get("allowed_tools") or fields), tools)
        case {"type": "function" | "custom" | "tool"}:
            return "tool", _check_known(_get_choice_name(cast("dict[str, object]", choice)), tools), None
        case _:
            message = "`tool_choice` must be none, auto, required, a named tool, or allowed tools."
            raise invalid_problem(message, "tool_choice")


def _parse_allowed_tools(
    allowed: dict[str, object], tools: Sequence[Tool]
) -> tuple[ToolChoiceMode, None, frozenset[str]]:
    subset, mode = allowed.get("tools"), allowed.get("mode", "auto")
    if not isinstance(subset, list):
        raise invalid_problem("`tool_choice.allowed_tools.tools` must be a list of tools.", "tool_choice")
    listed = [
        _get_choice_name(cast("dict[str, object]", item)) if isinstance(item, dict) else ""
        for item in cast("list[object]", subset)
    ]
    names = frozenset(_check_known(name, tools) for name in listed)
    if mode not in ("auto", "required") or not names:
        raise invalid_problem("`tool_choice.mode` must be auto or required, with at least one tool.", "tool_choice")
    return ("any" if mode == "required" else "auto"), None, names


def _parse_legacy_choice(
    call: str | FunctionCall | None, tools: Sequence[Tool]
) -> tuple[ToolChoiceMode, str | None, frozenset[str] | None]:
    match call:
        case None | "auto":
            return "auto", None, None
        case "none":
            return "none", None, None
        case FunctionCall(name):
            return "tool", _check_known(name, tools, "function_call"), None
        case _:
            raise invalid_problem("`function_call` must be none, auto, or a named function.", "function_call")


def _get_choice_name(choice: dict[str, object]) -> str:
    inner = choice.get("function") or choice.get("custom") or choice
    name = cast("dict[str, object]", inner).get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else ""


def _check_known(name: str, tools: Sequence[Tool], where: str = "tool_choice") -> str:
    if name not in {tool.name for tool in tools}:
        raise invalid_problem(f"`{where}` names the tool `{name}`, which is not among those offered.", where)
    return name


def _require_tools(tools: Sequence[Tool]) -> None:
    if not tools:
        raise invalid_problem("`tool_choice` requires a tool, but none is offered.", "tool_choice")


def has_grammar(tool: ToolDefinition) -> bool:
    """Whether a custom tool has a grammar for its text, which has no effect here."""
    custom = tool.custom or (tool if tool.type == "custom" else None)
    if not custom:
        return False
    match cast("object", msgspec.json.decode(custom.format)):
        case None | {"type": "text"}:
            return False
        case _:
            return True


def qualify_name(namespace: str | None, name: str) -> str:
    """Returns the name of a tool as the model sees it."""
    return f"{namespace.removesuffix(NAMESPACE_SEPARATOR)}{NAMESPACE_SEPARATOR}{name}" if namespace else name
