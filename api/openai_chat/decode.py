"""A chat completion request as drafts of a Turn. Pure.

Law: nothing that was sent is lost without a word: `api.parameters` says what becomes of each parameter, and fields that
OpenAI does not document are accepted and mean nothing, as OpenAI's own service has it. Bodies in the shapes of other
APIs, which some clients post to this address, are read as what they are.
"""

import msgspec

from api import content, tooling
from api.conversation import Draft, DraftBlock, DraftResult, paired, says_something
from api.fields import arguments, budget, choices, decoded, effort, most_tokens, stops
from api.items import said
from api.openai_chat.models import ChatMessage, ChatRequest, Items
from api.parameters import CHAT, Policy, checked, without_loss
from api.problems import invalid
from api.schemas import usable
from api.shapes import as_chat
from api.turn_request import TurnRequest
from shared.turn import Effort, Text, ToolUse

_fields = msgspec.json.Decoder(dict[str, object])
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_request = msgspec.json.Decoder(ChatRequest)
_items = msgspec.json.Decoder(Items)


class ChatCall(TurnRequest, frozen=True, kw_only=True):
    """A chat completion, understood. choices: how many answers. include_usage: also in a stream."""

    choices: int
    include_usage: bool


def decode(body: bytes, policy: Policy) -> ChatCall:
    """Read the body of POST /v1/chat/completions. Raises Problem (400, 413), with the field at fault in `param`."""
    sent = decoded(body, _fields)
    fields = as_chat(sent)
    ignored = checked(CHAT, fields, strict=policy.strict)
    # What is in the usual shape is read from the body itself, so that schemas stay as they were sent.
    request = decoded(body if fields is sent else reshaped(body, sent, fields), _request)
    if request.stream_options is not None and not request.stream:
        raise invalid("`stream_options` goes with `stream: true` only.", "stream_options")
    # An `input` that is left in shape is one of items; beside messages it means nothing.
    items = decoded(body, _items).input if fields is not sent and "input" in fields else []
    system, drafts, skipped = conversation(request.messages, items)
    return ChatCall(
        model=request.model,
        system=system,
        drafts=drafts,
        max_tokens=max_tokens(request),
        offered=tooling.offered(request),
        schema=answer_schema(request),
        effort=thinking(request),
        stop=stops(request.stop),
        choices=choices(request.n, policy.most_choices),
        max_budget_usd=budget(request.max_budget_usd),
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        ignored=(*ignored, *without_loss((*without_effect(request), *skipped), strict=policy.strict)),
    )


def reshaped(body: bytes, sent: dict[str, object], fields: dict[str, object]) -> bytes:
    """Returns a body whose fields were put into shape; those that stayed are left as they were sent."""
    raw = decoded(body, _raw_fields)
    kept = {name: raw[name] if sent.get(name) is value and name in raw else value for name, value in fields.items()}
    return msgspec.json.encode(kept)


def without_effect(request: ChatRequest) -> tuple[str, ...]:
    """What is honoured elsewhere and means nothing in this request."""
    has_schema = request.response_format is not None and request.response_format.type != "text"
    stop = ("stop",) if has_schema and request.stop else ()
    customs = [tool.custom or tool for tool in request.tools or [] if tool.custom or tool.type == "custom"]
    grammars = any(bytes(custom.format) != b"null" for custom in customs)
    return (*stop, *(("tools.custom.format",) if grammars else ()))


def conversation(
    messages: list[ChatMessage], items: str | list[msgspec.Raw]
) -> tuple[tuple[str, ...], tuple[Draft, ...], tuple[str, ...]]:
    """The system texts and the conversation, each in order, and the kinds of items that mean nothing. Raises Problem."""
    system: list[str] = []
    drafts: list[Draft] = []
    legacy_call: str | None = None
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message.role:
            case "system" | "developer":
                system.append(content.text_only(message.content, f"{where}.content"))
            case "user":
                drafts.append(Draft("user", content.blocks(message.content, f"{where}.content"), where))
            case "assistant":
                drafts.append(Draft("assistant", assistant(message, index, where), where))
                legacy_call = legacy_id(index) if message.function_call else None
            case "tool" | "function":
                drafts.append(Draft("user", (result(message, legacy_call, where),), where))
            case other:
                known = "system, developer, user, assistant or tool"
                raise invalid(f"`{where}.role` must be {known}, not `{other}`.", f"{where}.role")
    if isinstance(items, str):
        drafts.append(Draft("user", (Text(items),), "input"))
        items = []
    spoken = said((f"input[{index}]", item) for index, item in enumerate(items))
    system += spoken.system
    drafts += spoken.drafts
    if not says_something(drafts):
        raise invalid(
            "`messages` must hold a message of the user's or the assistant's that says something.", "messages"
        )
    paired(drafts)
    return tuple(system), tuple(drafts), spoken.skipped


def assistant(message: ChatMessage, index: int, where: str) -> tuple[DraftBlock, ...]:
    """What an assistant's message says and calls. Raises Problem."""
    said = content.blocks(message.content, f"{where}.content")
    if message.refusal and not said:
        said = (Text(message.refusal),)
    calls: list[ToolUse] = []
    for number, call in enumerate(message.tool_calls or []):
        place = f"{where}.tool_calls[{number}]"
        if not call.id:
            raise invalid(f"`{place}.id` is missing.", f"{place}.id")
        called = call.custom or call.function
        if called and not called.name:
            kind = "custom" if call.custom else "function"
            raise invalid(f"`{place}.{kind}.name` is missing.", f"{place}.{kind}.name")
        if call.custom:
            text = msgspec.json.encode({tooling.CUSTOM_FIELD: call.custom.input}).decode()
            calls.append(ToolUse(call.id, call.custom.name, text))
        elif call.function:
            calls.append(ToolUse(call.id, call.function.name, arguments(call.function, f"{place}.function")))
        else:
            raise invalid(f"`{place}.function` is missing.", f"{place}.function")
    if message.function_call:
        call = message.function_call
        calls.append(ToolUse(legacy_id(index), call.name, arguments(call, f"{where}.function_call")))
    return (*said, *calls)


def legacy_id(index: int) -> str:
    """The id of a legacy call, which has none of its own: its message's place."""
    return f"call_legacy_{index}"


def result(message: ChatMessage, legacy_call: str | None, where: str) -> DraftResult:
    """What a tool brought. Raises Problem."""
    call = message.tool_call_id or (legacy_call if message.role == "function" else None)
    if not call:
        raise invalid(f"`{where}.tool_call_id` is missing.", f"{where}.tool_call_id")
    return DraftResult(call, content.parts(message.content, f"{where}.content"))


def answer_schema(request: ChatRequest) -> str | None:
    """The schema that the answer must meet, as text. Raises Problem."""
    form = request.response_format
    match form.type if form else "text":
        case "json_object":
            return '{"type":"object"}'
        case "json_schema":
            assert form
            inner = form.json_schema.schema if form.json_schema else form.schema
            where = "response_format.json_schema.schema" if form.json_schema else "response_format.schema"
            usable(msgspec.json.decode(bytes(inner)), where)
            return bytes(inner).decode()
        case "text":
            return None
        case other:
            where = "response_format.type"
            raise invalid(f"`{where}` must be text, json_object or json_schema, not `{other}`.", where)


def max_tokens(request: ChatRequest) -> int | None:
    """The most the model may write; `max_completion_tokens` is the newer name and wins. Raises Problem."""
    if request.max_completion_tokens is not None:
        return most_tokens(request.max_completion_tokens, "max_completion_tokens")
    return most_tokens(request.max_tokens, "max_tokens")


def thinking(request: ChatRequest) -> Effort | None:
    """How hard to think, by OpenAI's name for it or by that of other gateways. Raises Problem."""
    options = request.reasoning
    if request.reasoning_effort is not None or options is None:
        return effort(request.reasoning_effort, "reasoning_effort")
    return effort(options.effort or ("none" if options.enabled is False else None), "reasoning.effort")
