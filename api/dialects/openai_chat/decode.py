"""Decodes a chat completion request into drafts of a Turn. Pure.

Invariants: nothing that a client sends is dropped silently. `api.conversation.parameters` defines the treatment of each
parameter. Fields that OpenAI does not document are accepted and ignored, as OpenAI's own service does. Some clients post
bodies in the shapes of other APIs to this address; they are converted.
"""

import msgspec

from api.conversation import content
from api.conversation import tools as tooling
from api.conversation.compat import rewrite_body, to_chat_fields
from api.conversation.drafts import Draft, DraftBlock, DraftResult, split_system_texts
from api.conversation.fields import check_choice_count, decode_json, parse_effort, parse_stop_sequences
from api.conversation.items import parse_items
from api.conversation.parameters import Policy, ShowReasoning, check_ignored, check_parameters
from api.conversation.parts import TOOL_DECODER, FunctionCall, ToolParams
from api.conversation.schemas import parse_answer_format
from api.conversation.turn_request import TurnRequest
from api.conversation.unused_fields import CHAT_FIELDS, find_unused_fields, is_description_lost
from api.core.problems import invalid_problem
from api.dialects.anthropic.thinking import budget_to_effort
from api.dialects.openai_chat.models import (
    MESSAGE_DECODER,
    TOOL_CALL_DECODER,
    ChatCompletionRequest,
    ChatInputItems,
    ChatMessage,
    ReasoningOptions,
    ResponseFormat,
)
from api.dialects.openai_parameters import CHAT_PARAMETERS
from shared.turn import Effort, Text, ToolUse

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(ChatCompletionRequest)
_items = msgspec.json.Decoder(ChatInputItems)


class ChatTurnRequest(TurnRequest, frozen=True, kw_only=True):
    """A decoded chat completion request. choices: the number of answers. include_usage: in the stream too."""

    choices: int
    include_usage: bool
    reasoning: bool


def decode(body: bytes, policy: Policy) -> ChatTurnRequest:
    """Decodes the body of POST /v1/chat/completions. Raises Problem (400, 413) with the invalid field in `param`."""
    sent = decode_json(body, _fields)
    fields = to_chat_fields(sent)
    ignored = check_parameters(CHAT_PARAMETERS, fields, strict=policy.strict)
    chat_body = body if fields is sent else rewrite_body(body, sent, fields)
    request = decode_json(chat_body, _request)
    if request.stream_options is not None and not request.stream:
        raise invalid_problem("`stream_options` needs `stream: true`.", "stream_options")
    # An `input` that is left after the conversion has items. OpenAI's own bodies have no `input`.
    items = decode_json(chat_body, _items).input if fields is not sent and "input" in fields else []
    tool_params = build_tool_params(request)
    system, drafts, skipped = parse_conversation(request.messages, items)
    without_effect = (*list_without_effect(request, tool_params), *find_unused_fields(fields, CHAT_FIELDS), *skipped)
    return ChatTurnRequest(
        model=request.model,
        system=system,
        drafts=drafts,
        # `max_completion_tokens` is the newer name and wins.
        max_tokens=request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens,
        tool_set=tooling.build_tool_set(tool_params),
        schema=_parse_answer_format(request.response_format),
        effort=resolve_effort(request),
        stop=parse_stop_sequences(request.stop),
        choices=check_choice_count(request.n, policy.max_choices),
        max_budget_usd=request.max_budget_usd,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        reasoning=is_reasoning_shown(request, policy.show_reasoning),
        ignored=(*ignored, *check_ignored(without_effect, strict=policy.strict)),
    )


def build_tool_params(request: ChatCompletionRequest) -> ToolParams:
    """Returns the tools and the tool choice as they were sent. Raises Problem."""
    tools = request.tools
    return ToolParams(
        tools=None
        if tools is None
        else [TOOL_DECODER.decode(tool, f"tools[{index}]") for index, tool in enumerate(tools)],
        tool_choice=msgspec.json.decode(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls,
        functions=request.functions,
        function_call=request.function_call,
    )


def list_without_effect(request: ChatCompletionRequest, tool_params: ToolParams) -> tuple[str, ...]:
    """Returns the names of fields that have no effect in this request."""
    has_schema = request.response_format is not None and request.response_format.type != "text"
    stop = ("stop",) if has_schema and request.stop else ()
    grammars = any(tooling.has_grammar(tool) for tool in tool_params.tools or [])
    schema_format = request.response_format.json_schema if request.response_format else None
    lost = schema_format is not None and is_description_lost(schema_format.description, schema_format.schema)
    fields = (("tools.custom.format", grammars), ("response_format.json_schema.description", lost))
    return (*stop, *(name for name, is_unused in fields if is_unused))


def parse_conversation(
    messages: list[msgspec.Raw], items: str | list[msgspec.Raw]
) -> tuple[tuple[str, ...], tuple[Draft, ...], tuple[str, ...]]:
    """Returns the system texts, the conversation, and the types of items without effect. Raises Problem."""
    drafts: list[Draft] = []
    legacy_call: str | None = None
    for index, raw in enumerate(messages):
        where = f"messages[{index}]"
        message = MESSAGE_DECODER.decode(raw, where)
        place = f"{where}.content"
        match message.role:
            case "system" | "developer":
                drafts.append(Draft("system", content.parse_texts(message.content, place), where))
            case "user":
                drafts.append(Draft("user", content.parse_blocks(message.content, "user", place), where))
            case "assistant":
                # A legacy call has no id.
                legacy_call = f"call_legacy_{index}" if message.function_call else None
                drafts.append(Draft("assistant", parse_assistant_message(message, legacy_call, where), where))
            case "tool" | "function":
                drafts.append(Draft("user", (parse_tool_message(message, legacy_call, where),), where))
            case other:
                known = "system, developer, user, assistant or tool"
                raise invalid_problem(f"`{where}.role` must be {known}, not `{other}`.", f"{where}.role")
    if isinstance(items, str):
        drafts.append(Draft("user", (Text(items),), "input"))
        items = []
    parsed, skipped = parse_items((f"input[{index}]", item) for index, item in enumerate(items))
    missing = invalid_problem("`messages` must have a message with content.", "messages")
    system, conversation = split_system_texts((), [*drafts, *parsed], missing)
    return system, conversation, skipped


def parse_assistant_message(message: ChatMessage, legacy_call: str | None, where: str) -> tuple[DraftBlock, ...]:
    """Returns the content and the calls of an assistant's message. Raises Problem."""
    blocks = content.parse_blocks(message.content, "assistant", f"{where}.content")
    if message.refusal and not blocks:
        blocks = (Text(message.refusal),)
    calls = [
        parse_tool_call(raw, f"{where}.tool_calls[{number}]") for number, raw in enumerate(message.tool_calls or [])
    ]
    if message.function_call and legacy_call:
        calls.append(parse_function_call(legacy_call, message.function_call, f"{where}.function_call"))
    return (*blocks, *calls)


def parse_tool_call(raw: msgspec.Raw, where: str) -> ToolUse:
    """Decodes a tool call in the history. Raises Problem."""
    call = TOOL_CALL_DECODER.decode(raw, where)
    if not call.id:
        raise invalid_problem(f"`{where}.id` is missing.", f"{where}.id")
    if call.custom:
        if not call.custom.name:
            raise invalid_problem(f"`{where}.custom.name` is missing.", f"{where}.custom.name")
        text = msgspec.json.encode({tooling.CUSTOM_TOOL_FIELD: call.custom.input}).decode()
        return ToolUse(call.id, call.custom.name, text)
    if call.function:
        return parse_function_call(call.id, call.function, f"{where}.function")
    kind = "custom" if call.type == "custom" else "function"
    raise invalid_problem(f"`{where}.{kind}` is missing.", f"{where}.{kind}")


def parse_function_call(call_id: str, function: FunctionCall, where: str) -> ToolUse:
    """Converts a function call. Raises Problem."""
    if not function.name:
        raise invalid_problem(f"`{where}.name` is missing.", f"{where}.name")
    return ToolUse(call_id, function.name, content.read_arguments(function.arguments, f"{where}.arguments"))


def parse_tool_message(message: ChatMessage, legacy_call: str | None, where: str) -> DraftResult:
    """Converts a tool's result. Raises Problem."""
    call_id = message.tool_call_id or (legacy_call if message.role == "function" else None)
    if not call_id:
        raise invalid_problem(f"`{where}.tool_call_id` is missing.", f"{where}.tool_call_id")
    return DraftResult(call_id, content.parse_parts(message.content, f"{where}.content"))


def _parse_answer_format(answer: ResponseFormat | None) -> str | None:
    if not answer:
        return None
    where = "response_format.json_schema" if answer.json_schema else "response_format"
    schema = answer.json_schema.schema if answer.json_schema else answer.schema
    return parse_answer_format(answer.type, schema, "response_format", f"{where}.schema")


def resolve_effort(request: ChatCompletionRequest) -> Effort | None:
    """Returns the effort, by OpenAI's parameter or by that of other gateways. Raises Problem."""
    options = request.reasoning
    named = parse_effort(request.reasoning_effort, "reasoning_effort")
    if options is None:
        return named
    of_options = parse_effort(options.effort or ("none" if options.enabled is False else None), "reasoning.effort")
    effort = named or of_options
    if effort or options.max_tokens is None:
        return effort
    if options.max_tokens < 0:
        raise invalid_problem("`reasoning.max_tokens` must be 0 or more.", "reasoning.max_tokens")
    return budget_to_effort(options.max_tokens)


def is_reasoning_shown(request: ChatCompletionRequest, setting: ShowReasoning) -> bool:
    """Whether the answer has `reasoning_content`. The setting decides; a request can decline it."""
    options = request.reasoning or ReasoningOptions()
    if setting == "never" or request.include_reasoning is False or options.exclude:
        return False
    if setting == "always" or request.include_reasoning:
        return True
    effort_named = request.reasoning_effort or options.effort
    if effort_named is not None:
        return effort_named != "none"
    if options.enabled is not None:
        return options.enabled
    return bool(options.max_tokens) or (options.summary or "none") != "none"
