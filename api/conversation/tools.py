"""The tools that a request offers, and how the model may use them, whichever vendor's form they have. Pure.

Law: names, descriptions and schemas stay as the client gave them; a choice that can't be supported is refused.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, cast

import msgspec
from msgspec import Struct

from api.conversation.parts import CalledFunction, FunctionDefinition, Offering, ToolDefinition
from api.conversation.schemas import usable
from api.core.problems import invalid
from shared.json_schema.limits import Allowance
from shared.turn import Tool

# A tool that takes free text travels as a function with this one argument.
CUSTOM_FIELD = "input"
CUSTOM_SCHEMA = '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
NO_ARGUMENTS = '{"type":"object","properties":{}}'
MOST_TOOLS = 512
# Between the names of a namespace and of a tool in it.
SEAM = "__"

type Choice = Literal["auto", "none", "any", "tool"]


class Offered(Struct, frozen=True):
    """The tools and their use.

    custom: the names of those that take free text. strict: of those whose arguments must meet their schema.
    legacy: the request used `functions`, so the answer does too. places: where in the request a tool's schema is, by its
    name.
    """

    tools: tuple[Tool, ...] = ()
    choice: Choice = "auto"
    forced: str | None = None
    parallel: bool = True
    custom: frozenset[str] = frozenset()
    strict: frozenset[str] = frozenset()
    legacy: bool = False
    places: Mapping[str, str] = {}


def offered(request: Offering, places: Sequence[str] | None = None) -> Offered:
    """What a request offers. places: where each tool is in it, if not in order. Raises Problem (400)."""
    allowance = Allowance()
    if request.functions and not request.tools:
        read = [_function(each, f"functions[{at}]", allowance) for at, each in enumerate(request.functions)]
    else:
        tools = request.tools or []
        places = places or [f"tools[{index}]" for index in range(len(tools))]
        read = [_tool(tool, place, allowance) for tool, place in zip(tools, places, strict=True)]
    listed = [each.tool for each in read]
    where = "functions" if request.functions and not request.tools else "tools"
    if twice := [name for name, count in Counter(tool.name for tool in listed).items() if count > 1]:
        raise invalid(f"`{where}`: two tools are called `{twice[0]}`.", where)
    if len(listed) > MOST_TOOLS:
        raise invalid(f"`{where}`: up to {MOST_TOOLS} tools may be offered, not {len(listed)}.", where)
    if where == "functions":
        choice, forced, allowed = _legacy_choice(request.function_call, listed)
    else:
        choice, forced, allowed = _choice(request.tool_choice, listed)
    return Offered(
        tools=tuple(tool for tool in listed if allowed is None or tool.name in allowed),
        choice=choice,
        forced=forced,
        parallel=request.parallel_tool_calls is not False and where != "functions",
        custom=frozenset(each.tool.name for each in read if each.custom),
        strict=frozenset(each.tool.name for each in read if each.strict),
        legacy=where == "functions",
        places={each.tool.name: each.place for each in read},
    )


class _Read(Struct, frozen=True):
    """A tool. place: of its schema in the request. custom: it takes free text. strict: its schema is a promise."""

    tool: Tool
    place: str
    custom: bool = False
    strict: bool = False


def _tool(tool: ToolDefinition, where: str, allowance: Allowance) -> _Read:
    if tool.custom or tool.type == "custom":
        name = tool.custom.name if tool.custom else tool.name or ""
        described = tool.custom.description if tool.custom else tool.description
        whole = Tool(_name(name, f"{where}.custom" if tool.custom else where), described or "", CUSTOM_SCHEMA)
        return _Read(whole, where, custom=True)
    if tool.function:
        return _function(tool.function, f"{where}.function", allowance)
    if tool.type not in {None, "function"}:
        raise invalid(f"`{where}`: tools of type `{tool.type}` are not supported.", f"{where}.type")
    field = "parameters" if bytes(tool.parameters) != b"null" else "input_schema"
    flat = FunctionDefinition(tool.name or "", tool.description, getattr(tool, field), tool.strict)
    return _function(flat, where, allowance, field)


def _function(function: FunctionDefinition, where: str, allowance: Allowance, field: str = "parameters") -> _Read:
    schema = bytes(function.parameters).decode()
    if schema == "null":
        schema = NO_ARGUMENTS
    place = f"{where}.{field}"
    # Only the arguments of strict tools are checked here.
    fields = usable(msgspec.json.decode(schema), place, allowance, evaluated=bool(function.strict))
    if fields.get("type", "object") != "object":
        raise invalid(f"`{place}` must describe an object.", place, "invalid_schema")
    tool = Tool(_name(function.name, where), function.description or "", schema)
    return _Read(tool, place, strict=bool(function.strict))


def _name(name: str, where: str) -> str:
    if not name or len(name) > 512:
        raise invalid(f"`{where}.name` must have 1 to 512 characters.", f"{where}.name")
    return name


def _choice(raw: msgspec.Raw, tools: Sequence[Tool]) -> tuple[Choice, str | None, frozenset[str] | None]:
    """The choice, the forced tool, the allowed ones."""
    match cast("object", msgspec.json.decode(bytes(raw))):
        case None | "auto" | {"type": "auto"}:
            return "auto", None, None
        case "none" | {"type": "none"}:
            return "none", None, None
        case "required" | "any" | {"type": "required"} | {"type": "any"}:
            return "any", None, _some(tools)
        case {"type": "allowed_tools"} as choice:
            fields = cast("dict[str, object]", choice)
            return _allowed(cast("dict[str, object]", fields.get("allowed_tools") or fields), tools)
        case {"type": "function" | "custom" | "tool"} as choice:
            return "tool", _known(_named(cast("dict[str, object]", choice)), tools), None
        case _:
            message = "`tool_choice` must be none, auto, required, a named tool, or allowed tools."
            raise invalid(message, "tool_choice")


def _allowed(allowed: dict[str, object], tools: Sequence[Tool]) -> tuple[Choice, None, frozenset[str]]:
    subset, mode = allowed.get("tools"), allowed.get("mode", "auto")
    if not isinstance(subset, list):
        raise invalid("`tool_choice.allowed_tools.tools` must be a list of tools.", "tool_choice")
    named = [
        _named(cast("dict[str, object]", item)) if isinstance(item, dict) else ""
        for item in cast("list[object]", subset)
    ]
    names = frozenset(_known(name, tools) for name in named)
    if mode not in {"auto", "required"} or not names:
        raise invalid("`tool_choice.mode` must be auto or required, with at least one tool.", "tool_choice")
    return ("any" if mode == "required" else "auto"), None, names


def _legacy_choice(
    call: str | CalledFunction | None, tools: Sequence[Tool]
) -> tuple[Choice, str | None, frozenset[str] | None]:
    match call:
        case None | "auto":
            return "auto", None, None
        case "none":
            return "none", None, None
        case CalledFunction(name):
            return "tool", _known(name, tools, "function_call"), None
        case _:
            raise invalid("`function_call` must be none, auto, or a named function.", "function_call")


def _named(choice: dict[str, object]) -> str:
    inner = choice.get("function") or choice.get("custom") or choice
    name = cast("dict[str, object]", inner).get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else ""


def _known(name: str, tools: Sequence[Tool], where: str = "tool_choice") -> str:
    if name not in {tool.name for tool in tools}:
        raise invalid(f"`{where}` names the tool `{name}`, which is not among those offered.", where)
    return name


def _some(tools: Sequence[Tool]) -> None:
    if not tools:
        raise invalid("`tool_choice` demands a tool, but none is offered.", "tool_choice")


def qualified(namespace: str | None, name: str) -> str:
    """The name under which a tool is offered to the model."""
    return f"{namespace.removesuffix(SEAM)}{SEAM}{name}" if namespace else name
