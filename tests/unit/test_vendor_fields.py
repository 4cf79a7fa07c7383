"""No field of the vendor's own request types is dropped without a word.

Each field of the types in OpenAI's SDK, nested ones too, is sent once, and the request once more without it (or with another
value, if it must be there). Then one of these holds: the request is refused; `x-ignored-parameters` names it; what is asked
of the model, or how it is answered, is another; or the field is bookkeeping, which is listed here or in `api.parameters`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NotRequired, Required, TypeAliasType, Union, get_args, get_origin

import msgspec
import pytest
from openai.types import completion_create_params as completions
from openai.types.chat import completion_create_params as chat
from openai.types.responses import input_token_count_params as counting
from openai.types.responses import response_create_params as responses
from typing_extensions import get_type_hints, is_typeddict

from api.openai_chat.decode import decode as decode_chat
from api.openai_completions.decode import decode as decode_completion
from api.openai_responses.decode import decode as decode_response
from api.openai_responses.store import Store, Stored
from api.parameters import CHAT, COMPLETIONS, RESPONSES, Policy
from api.problems import Problem

type Json = dict[str, Any]

MISSING: Any = msgspec.UNSET
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
# Values that mean something, by the last name of the field.
WORDS: dict[str, tuple[Any, ...]] = {
    "image_url": (DOT, "https://example.com/a.png"),
    "file_data": ("aGk=", "aG8="),
    "url": (DOT, "https://example.com/a.png"),
    "arguments": ("{}", '{"a":1}'),
    "parameters": ({"type": "object"}, {"type": "object", "title": "x"}),
    "schema": ({"type": "object"}, {"type": "object", "title": "x"}),
    "tool_choice": ("required", "none"),
    "max_tokens": (7, 8),
    "max_completion_tokens": (7, 8),
    "max_output_tokens": (7, 8),
    "n": (2, 3),
    "best_of": (2, 1),
    "previous_response_id": ("resp_1",),
}
# Values that ask for nothing beyond what is done anyway.
DEFAULTS: dict[str, tuple[object, ...]] = {
    "detail": ("auto",),
    "mode": ("standard", "auto"),
    "context": ("auto",),
    "truncation": ("disabled",),
    "stream": (False,),
    "modalities": (["text"],),
    "type": ("direct", "text", "message", "auto"),
    "parallel_tool_calls": (True,),
    "best_of": (1,),
    "caller": ({"type": "direct"},),
    "environment": ({"type": "local"},),
    "allowed_callers": (["direct"],),
    "reasoning_effort": (),
    "include": (),
}
# Bookkeeping: what it means is said elsewhere in the request, or it is of the vendor's own doings.
QUIET = {
    # Ids and states of items, which nothing is known by here.
    *("id", "status", "prompt_cache_breakpoint"),
    # The name of a tool that a result belongs to, which its call has.
    *("messages[function].name", "input[function_call_output].name", "input[function_call_output].namespace"),
    # A label for people; and a promise that is always kept.
    *("response_format[json_schema].json_schema.name", "response_format[json_schema].json_schema.strict"),
    *("text.format[json_schema].name", "text.format[json_schema].strict"),
    # No event is padded.
    "stream_options.include_obfuscation",
    # The message whose type may be left out.
    "input[message].type",
}


def unwrapped(kind: Any) -> Any:
    """A type without what is said about it."""
    while isinstance(kind, TypeAliasType) or get_origin(kind) in {Required, NotRequired}:
        kind = kind.__value__ if isinstance(kind, TypeAliasType) else get_args(kind)[0]
    return kind


def tag(kind: Any) -> str:
    """The literal type or role of a typed dict."""
    hints = get_type_hints(kind)
    for name in ("type", "role"):
        values = get_args(hints.get(name))
        literals = [value for value in values if isinstance(value, str)]
        if len(literals) == 1:
            return literals[0]
    return "message" if "role" in hints else ""


def literals(kind: Any) -> tuple[Any, ...]:
    """The values of a type that has no parts."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return {bool: (True, False), int: (1, 2), float: (0.5, 1.0), str: ("x", "y")}.get(kind, ({"k": "v"}, {"k": "w"}))


def least(kind: Any, name: str) -> Any:
    """The shortest value of a type."""
    return next(iter(variants(kind, name)))[1]


def required(kind: Any) -> Json:
    """A typed dict with the fields that it must have."""
    hints = get_type_hints(kind, include_extras=True)
    # The SDK's annotations are texts, so a typed dict does not know its own.
    whole = {name for name in kind.__required_keys__ if kind.__total__ and get_origin(hints[name]) is not NotRequired}
    return {name: least(hint, name) for name, hint in hints.items() if name in whole or get_origin(hint) is Required}


def variants(kind: Any, name: str, seen: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """The place of each field in a type, a value with it, and one without it or with another."""
    kind = unwrapped(kind)
    origin = get_origin(kind)
    if kind is type(None):
        return
    if is_typeddict(kind):
        if kind in seen:
            yield "", required(kind), MISSING
            return
        yield "", required(kind), MISSING
        base = required(kind)
        for field, hint in get_type_hints(kind).items():
            for place, value, other in variants(hint, field, (*seen, kind)):
                if other is not MISSING and not place and field not in base:
                    # That it may be left out says enough.
                    continue
                without = {key: kept for key, kept in base.items() if key != field}
                if other is MISSING:
                    yield f".{field}{place}", {**base, field: value}, MISSING if field in base else without
                else:
                    yield f".{field}{place}", {**base, field: value}, {**base, field: other}
        return
    if origin in {Union, type(int | str)}:
        for part in get_args(kind):
            of_kind = f"[{tag(part)}]" if is_typeddict(unwrapped(part)) and tag(unwrapped(part)) else ""
            yield from ((f"{of_kind}{place}", value, other) for place, value, other in variants(part, name, seen))
        return
    if origin is not None and origin is not Literal and origin is not dict and len(get_args(kind)) == 1:
        for place, value, other in variants(get_args(kind)[0], name, seen):
            yield place, [value], MISSING if other is MISSING else [other]
        return
    values = WORDS.get(name, literals(kind))
    for value in values:
        yield "", value, MISSING
    if len(values) > 1:
        yield "", values[0], values[1]


# --- What makes a request of a field ----------------------------------------------------------------------------------

CALLS = {"function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call"}


def chat_body(field: str, value: Any) -> Json:
    """A chat completion in which the value makes sense."""
    user = {"role": "user", "content": "Hi"}
    tools = [{"type": "function", "function": {"name": "x"}}, {"type": "custom", "custom": {"name": "y"}}]
    match field:
        case "messages":
            return {"messages": [user, *paired_messages(value)]}
        case "stream_options":
            return {"messages": [user], "stream": True, field: value}
        case "tool_choice" | "parallel_tool_calls":
            return {"messages": [user], "tools": tools, field: value}
        case "function_call":
            return {"messages": [user], "functions": [{"name": "x"}, {"name": "y"}], field: value}
        case _:
            return {"messages": [user], field: value}


def paired_messages(messages: list[Json]) -> list[Json]:
    """Messages with the calls and results that they need."""
    [message] = messages
    user = {"role": "user", "content": "Go on."}
    if message["role"] == "assistant":
        calls = [
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in message.get("tool_calls", [])
        ]
        legacy = [{"role": "function", "name": "x", "content": "ok"}] if message.get("function_call") else []
        return [message, *calls, *legacy, user]
    if message["role"] == "tool":
        call = {"id": message["tool_call_id"], "type": "function", "function": {"name": "x", "arguments": "{}"}}
        return [{"role": "assistant", "tool_calls": [call]}, message]
    if message["role"] == "function":
        return [{"role": "assistant", "function_call": {"name": "x", "arguments": "{}"}}, message]
    return [message]


def completion_body(field: str, value: Any) -> Json:
    """A legacy completion."""
    more: Json = {"stream": True} if field == "stream_options" else {"n": 2} if field == "best_of" else {}
    return {"prompt": "Hi", **more, field: value}


def response_body(field: str, value: Any) -> Json:
    """A request for a response in which the value makes sense."""
    tools = [{"type": "function", "name": "x", "parameters": {"type": "object"}}, {"type": "custom", "name": "y"}]
    user = {"role": "user", "content": "Hi"}
    match field:
        case "input" if isinstance(value, list):
            return {"input": [user, *paired_items(value)]}
        case "tool_choice" | "parallel_tool_calls":
            return {"input": "Hi", "tools": tools, field: value}
        case "stream_options":
            return {"input": "Hi", "stream": True, field: value}
        case _:
            return {"input": "Hi", field: value}


def paired_items(items: list[Any]) -> list[Any]:
    """Items with the calls and results that they need."""
    [item] = items
    kind = item.get("type") if isinstance(item, dict) else None
    if kind in CALLS:
        call = item.get("call_id") or item.get("id")
        return [item, {"type": "function_call_output", "call_id": call, "output": "ok"}]
    if isinstance(kind, str) and kind.removesuffix("_output") in CALLS and kind.endswith("_output"):
        call = {
            "type": "function_call",
            "call_id": item.get("call_id") or item.get("id"),
            "name": "x",
            "arguments": "{}",
        }
        return [call, item]
    return [item, {"role": "user", "content": "Go on."}]


# --- What becomes of it -----------------------------------------------------------------------------------------------


def memory() -> Store:
    """One response is kept, for `previous_response_id`."""
    store = Store(10, 10**6, 60)
    item = msgspec.Raw(b'{"role":"user","content":"Before."}')
    store.shelf("owner").put(Stored("resp_1", b"{}", (), (item,), ()))
    return store


def chat_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_chat(msgspec.json.encode(body), Policy(most_choices=8))
    return msgspec.structs.replace(call, ignored=()), call.ignored


def completion_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_completion(msgspec.json.encode(body), Policy(most_choices=8))
    return msgspec.structs.replace(call, ignored=()), call.ignored


def response_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_response(msgspec.json.encode(body), Policy(), memory().shelf("owner"))
    ours = (
        *(call.model, call.system, call.drafts, call.max_tokens, call.offered, call.tools.namespaces, call.schema),
        *(call.effort, call.store, call.background, call.stream, call.summaries, call.sealed, call.request.metadata),
    )
    return ours, call.ignored


def is_quiet(path: str, table: Mapping[str, Any]) -> bool:
    """Whether it is bookkeeping."""
    first, last = path.partition("[")[0].partition(".")[0], path.rpartition(".")[2].partition("[")[0]
    is_meaningless = first in table and table[first].treatment == "meaningless"
    return is_meaningless or path in QUIET or last in QUIET or any(f".{name}." in path for name in QUIET)


def is_named(path: str, value: Any, ignored: Sequence[str]) -> bool:
    """Whether a field, or what it is in, is named as ignored: a parameter, a field, a kind of items or of tools."""
    plain = re.sub(r"\[\w*\]", "", path)
    first = value[0] if isinstance(value, list) and value else None
    kind = first.get("type") if isinstance(first, dict) else None
    names = {*ignored, *(name.replace(".custom.format", ".format") for name in ignored)}
    names |= {name.replace("tools.", "tools.tools.") for name in names}
    return f"{path.partition('[')[0]}.{kind}" in ignored or any(f"{plain}.".startswith(f"{name}.") for name in names)


def is_accounted_for(dialect: tuple[Any, Any, Any], field: str, path: str, value: Any, other: Any) -> bool:
    """Whether a field is used, named, refused or bookkeeping."""
    body_of, asked, table = dialect
    last = path.rpartition(".")[2].partition("[")[0]
    if is_quiet(path, table):
        return True
    body = body_of(field, value)
    without = {key: kept for key, kept in body.items() if key != field}
    try:
        decoded, ignored = asked(body)
    except Problem as problem:
        return problem.status == 400
    if is_named(path, value, ignored):
        return True
    try:
        before, _ = asked(without if other is MISSING else body_of(field, other))
    except Problem:
        # Without it there is no request.
        return True
    if decoded != before:
        return True
    return any(leaf is False or leaf in DEFAULTS.get(last, ()) for leaf in leaves(value))


def leaves(value: Any) -> Iterator[Any]:
    """Everything inside of a value, and the value itself."""
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from leaves(each)


DIALECTS = {
    "chat completions": (chat.CompletionCreateParamsNonStreaming, (chat_body, chat_asked, CHAT)),
    "completions": (completions.CompletionCreateParamsNonStreaming, (completion_body, completion_asked, COMPLETIONS)),
    "responses": (responses.ResponseCreateParamsNonStreaming, (response_body, response_asked, RESPONSES)),
    "input tokens": (counting.InputTokenCountParams, (response_body, response_asked, RESPONSES)),
}


@pytest.mark.wire(1, 15, 16)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_field_that_the_vendors_sdk_knows_is_used_named_or_refused(name: str):
    """Also inside of messages, items, parts, tools and options."""
    params, dialect = DIALECTS[name]
    dropped: dict[str, Any] = {}
    number = 0
    for field, hint in get_type_hints(params).items():
        for place, value, other in variants(hint, field):
            number += 1
            if not is_accounted_for(dialect, field, field + place, value, other):
                dropped.setdefault(field + place, value)
    assert dropped == {}
    assert number > 20
