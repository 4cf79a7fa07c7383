"""Builds the CLI's settings for a Turn, which contain the fields of the request's body. Pure.

Invariants: the CLI changes nothing of the request. It passes on the fields of `CLAUDE_CODE_EXTRA_BODY` unchanged, in place
of its own (https://code.claude.com/docs/en/env-vars), and keeps its headers, its system text and its metadata. If a CLI
passed nothing on, it would send `PLACEHOLDER`, which the service rejects: no request is ever answered without its
conversation.
"""

from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from executor.claude.request.blocks import Json, WireTools, build_reminder, build_text_block
from executor.claude.request.messages import add_cache_marks, to_wire_messages
from executor.claude.request.model_rules import ModelRules
from executor.claude.request.tool_forms import ToolForm
from executor.claude.request.tool_names import STRUCTURED_TOOL_NAME, build_tool_names
from shared.turn import Tool, Turn

# A block of a type that the service does not know: the service's error then names the cause.
PLACEHOLDER: Json = {"type": "conversation_is_in_the_extra_body"}
STRUCTURED_DESCRIPTION = (
    "Use this tool to return your final response in the requested structured format. You MUST call this tool exactly once "
    "at the end of your response to provide the structured output."
)
NO_THINKING: Json = {"type": "disabled"}
CALL_ANY_TOOL = "Answer by calling one of the tools. An answer in words alone can't be used."
CALL_ONE_TOOL = "Answer by calling the tool `{name}`. An answer in words alone can't be used."


class ModelRequest(Struct, frozen=True):
    """A turn in the service's form, for all its rounds.

    messages: the conversation as the client sent it, then the call instruction. call_instruction: tells the model to call
    a tool, where the model accepts no `tool_choice` that forces it. cache_ttl: "5m" or "1h".
    """

    turn: Turn
    wire: WireTools
    rules: ModelRules
    messages: tuple[Json, ...]
    call_instruction: str
    cache_ttl: str


def build_request(turn: Turn, rules: ModelRules, cache_ttl: str) -> ModelRequest:
    """Builds the request for a turn by the rules of its model."""
    wire = WireTools(build_tool_names(turn), {tool.name: ToolForm(tool.schema) for tool in turn.tools})
    instruction = "" if rules.forced_tools else _build_call_instruction(turn, wire)
    messages = to_wire_messages(turn.messages, wire, rules)
    if instruction and messages:
        messages = _add_call_instruction(messages, instruction, rules)
    return ModelRequest(turn, wire, rules, tuple(messages), instruction, cache_ttl)


def build_settings(request: ModelRequest, messages: Sequence[Json], *, needs_call: bool) -> Json:
    """Builds the CLI's settings for one round: model, effort and body. needs_call: the request still demands a call."""
    turn = request.turn
    body = build_body(request, messages, needs_call=needs_call)
    environment = {
        "CLAUDE_CODE_EXTRA_BODY": msgspec.json.encode(body).decode(),
        "CLAUDE_CODE_PROMPT_CACHE_TTL": request.cache_ttl,
    }
    if turn.max_tokens is not None:
        # The CLI derives its thinking limit from it. The body has the number too, since the CLI would lower its own.
        environment["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(turn.max_tokens)
    effort: Json = {"effortLevel": turn.effort} if turn.effort else {}
    return {"model": turn.model, "env": environment, **effort}


def build_body(request: ModelRequest, messages: Sequence[Json], *, needs_call: bool) -> Json:
    """Builds the fields that the CLI passes on unchanged."""
    turn = request.turn
    body: Json = {"messages": add_cache_marks(messages, request.cache_ttl)}
    # Sorted, so that the order of a client's list does not matter: the cached prompt starts with the tools.
    tools = [
        _tool_to_wire(tool, request.wire)
        for tool in sorted(_list_offered_tools(request), key=lambda tool: tool.name.casefold())
    ]
    if turn.schema is not None:
        schema = msgspec.Raw(ToolForm(turn.schema, is_answer=True).schema.encode())
        tools.append({"name": STRUCTURED_TOOL_NAME, "description": STRUCTURED_DESCRIPTION, "input_schema": schema})
    if tools:
        body["tools"] = tools
    if choice := _build_tool_choice(request, needs_call=needs_call):
        body["tool_choice"] = choice
        if choice["type"] in {"any", "tool"} and not request.rules.thinks_when_forced:
            body["thinking"] = NO_THINKING
    if messages and messages[-1]["role"] == "assistant" and request.rules.prefill:
        # The service accepts a prefilled answer only while the model does not think.
        body["thinking"] = NO_THINKING
    if turn.max_tokens is not None:
        body["max_tokens"] = turn.max_tokens
    # The service rejects a stop text without a visible character; the output parser looks for those.
    if (stops := [stop for stop in turn.stop if stop.strip()]) and turn.schema is None:
        body["stop_sequences"] = stops
    return body


def _list_offered_tools(request: ModelRequest) -> Sequence[Tool]:
    """Returns the offered tools: only the forced tool, where the model accepts no `tool_choice` that forces it.

    An interactive turn offers all: its later rounds need them, and the model's thinking is bound to the offered tools.
    """
    turn = request.turn
    if request.call_instruction and turn.tool_choice == "tool" and not turn.interactive:
        return [tool for tool in turn.tools if tool.name == turn.forced_tool]
    return turn.tools


def _tool_to_wire(tool: Tool, wire: WireTools) -> Json:
    schema = msgspec.Raw(wire.find_form(tool.name).schema.encode())
    return {"name": wire.names.to_wire(tool.name), "description": tool.description, "input_schema": schema}


def _build_tool_choice(request: ModelRequest, *, needs_call: bool) -> Json:
    """Builds the service's `tool_choice`; empty where the model may choose freely."""
    turn = request.turn
    if not turn.tools:
        return {}
    is_free = turn.tool_choice in {"any", "tool"} and (request.call_instruction or not needs_call)
    kind = "auto" if is_free else turn.tool_choice
    choice: Json = {"type": kind}
    if kind == "tool":
        choice["name"] = request.wire.names.to_wire(turn.forced_tool or "")
    if not turn.parallel_tools and kind != "none":
        choice["disable_parallel_tool_use"] = True
    return {} if choice == {"type": "auto"} else choice


def _build_call_instruction(turn: Turn, wire: WireTools) -> str:
    match turn.tool_choice:
        case "tool":
            return CALL_ONE_TOOL.format(name=wire.names.to_wire(turn.forced_tool or ""))
        case "any":
            return CALL_ANY_TOOL
        case _:
            return ""


def _add_call_instruction(messages: Sequence[Json], instruction: str, rules: ModelRules) -> list[Json]:
    """Adds the instruction after the conversation, so that the cached prefix does not change.

    It stays there in further rounds: the model's thinking is bound to everything before it.
    """
    last = messages[-1]
    content = cast("list[Json]", last["content"])
    if last["role"] == "system":
        return [*messages[:-1], {**last, "content": [*content, build_text_block(instruction)]}]
    if last["role"] == "user" and rules.system_messages:
        return [*messages, {"role": "system", "content": [build_text_block(instruction)]}]
    if last["role"] == "user":
        return [*messages[:-1], {**last, "content": [*content, build_reminder(instruction)]}]
    return [*messages, {"role": "user", "content": [build_text_block(instruction)]}]
