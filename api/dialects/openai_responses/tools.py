"""Converts the tools of a Responses request for `api.conversation.tools`. Pure.

Invariants: a tool that OpenAI runs itself is left out and named, unless the request depends on it. A tool in a namespace
is offered under a name made of both names, and its calls return the two names.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from msgspec import Struct

from api.conversation import tools as tooling
from api.conversation.parts import TOOL_DECODER, ToolDefinition, ToolParams
from api.conversation.tools import has_grammar, qualify_name
from api.core.problems import Problem, invalid_problem
from api.dialects.openai_responses.models import ResponsesRequest

# Types of tools that the client runs. All others run at OpenAI, or need a model that was trained for them.
CLIENT_TOOL_TYPES = frozenset({None, "function", "custom"})

type Json = dict[str, object]


class NamespacedName(Struct, frozen=True):
    """The two names of a tool in a namespace."""

    namespace: str
    name: str


def parse_tools(
    request: ResponsesRequest,
) -> tuple[tooling.ToolSet, Mapping[str, NamespacedName], tuple[str, ...]]:
    """Returns the offered tools, the names of those in namespaces by offered name, and what was left out. Raises Problem."""
    listed: list[ToolDefinition] = []
    places: list[str] = []
    namespaces: dict[str, NamespacedName] = {}
    ignored: list[str] = []
    for index, raw in enumerate(request.tools or []):
        where = f"tools[{index}]"
        tool = TOOL_DECODER.decode(raw, where)
        if tool.type == "namespace":
            for number, each in enumerate(tool.tools or []):
                place = f"{where}.tools[{number}]"
                inner = TOOL_DECODER.decode(each, place)
                if inner.type not in CLIENT_TOOL_TYPES:
                    ignored.append(f"tools.{inner.type}")
                    continue
                outer, name = _get_name(tool, where), _get_name(inner, place)
                namespaces[qualify_name(outer, name)] = NamespacedName(outer, name)
                listed.append(_flatten_tool(inner, qualify_name(outer, name), tool))
                places.append(place)
        elif tool.type in CLIENT_TOOL_TYPES:
            listed.append(tool)
            places.append(where)
        else:
            ignored.append(f"tools.{tool.type}")
    if any(has_grammar(tool) for tool in listed):
        ignored.append("tools.custom.format")
    # A tool outside of namespaces wins over one of the same name in a namespace.
    listed_names = [_get_name(tool, place) for tool, place in zip(listed, places, strict=True)]
    known = {names.name: qualified for qualified, names in namespaces.items()} | {name: name for name in listed_names}
    choice = _resolve_choice(msgspec.json.decode(bytes(request.tool_choice)), known, namespaces, ignored)
    params = ToolParams(tools=listed, tool_choice=choice, parallel_tool_calls=request.parallel_tool_calls)
    return tooling.build_tool_set(params, places), namespaces, tuple(dict.fromkeys(ignored))


def _get_name(tool: ToolDefinition, where: str) -> str:
    inner = tool.function or tool.custom
    name = inner.name if inner else tool.name
    if not name:
        raise invalid_problem(f"`{where}.name` is missing.", f"{where}.name")
    return name


def _flatten_tool(tool: ToolDefinition, name: str, namespace: ToolDefinition) -> ToolDefinition:
    """Converts a tool of a namespace to one outside. The namespace's description goes before its own."""
    flat = tool.function or tool.custom
    own = flat.description if flat else tool.description
    description = "\n\n".join(filter(None, (namespace.description, own))) or None
    if flat:
        renamed = msgspec.structs.replace(flat, name=name, description=description)
        return msgspec.structs.replace(tool, **{"function" if tool.function else "custom": renamed})
    return msgspec.structs.replace(tool, name=name, description=description)


def _resolve_choice(
    choice: object, known: Mapping[str, str], namespaces: Mapping[str, NamespacedName], ignored: Sequence[str]
) -> object:
    """Returns the choice with the names of offered tools. Raises Problem for a tool that only OpenAI can run."""
    if not isinstance(choice, dict):
        return choice
    fields = cast("Json", choice)
    kind = fields.get("type")
    if kind == "allowed_tools":
        inner = fields.get("allowed_tools")
        options = cast("Json", inner) if isinstance(inner, dict) else fields
        listed = options.get("tools")
        if not isinstance(listed, list):
            return fields
        allowed = [
            each for tool in cast("list[object]", listed) for each in _resolve_allowed(tool, known, namespaces, ignored)
        ]
        if not allowed:
            raise _choice_problem("allowed_tools")
        return {"type": kind, "mode": options.get("mode", "auto"), "tools": allowed}
    if kind in ("function", "custom", "tool") and isinstance(fields.get("name"), str):
        return {**fields, "name": _resolve_name(fields, known)}
    if isinstance(kind, str) and kind not in {"function", "custom", "tool", "auto", "none", "required", "any"}:
        raise _choice_problem(kind)
    return fields


def _resolve_allowed(
    tool: object, known: Mapping[str, str], namespaces: Mapping[str, NamespacedName], ignored: Sequence[str]
) -> list[object]:
    if not isinstance(tool, dict):
        return [tool]
    fields = cast("Json", tool)
    if f"tools.{fields.get('type')}" in ignored:
        return []
    if fields.get("type") == "namespace":
        within = [name for name, names in namespaces.items() if names.namespace == fields.get("name")]
        return [{"type": "function", "name": name} for name in within]
    return [{**fields, "name": _resolve_name(fields, known)} if isinstance(fields.get("name"), str) else fields]


def _resolve_name(fields: Json, known: Mapping[str, str]) -> str:
    """Returns the offered name of a tool that a choice names with or without its namespace."""
    name, namespace = cast("str", fields["name"]), fields.get("namespace")
    return qualify_name(namespace, name) if isinstance(namespace, str) else known.get(name, name)


def _choice_problem(kind: str) -> Problem:
    message = f"`tool_choice` demands `{kind}`, which only OpenAI can run. Offer a function instead."
    return invalid_problem(message, "tool_choice", "unsupported_parameter")
