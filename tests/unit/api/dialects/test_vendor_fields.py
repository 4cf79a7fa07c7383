"""No field of the vendor's own request types is dropped without a word.

Each field of the types in OpenAI's SDK, nested ones too, is sent once, and the request once more without it (or with another
value, if it must be there). Then one of these holds: the request is refused; `x-ignored-parameters` names it; what is asked
of the model, or how it is answered, is another; or the field is bookkeeping, which is listed here or in `api.conversation.parameters`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types import completion_create_params as completions
from openai.types.chat import completion_create_params as chat
from openai.types.responses import input_token_count_params as counting
from openai.types.responses import response_create_params as responses

from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.openai_chat.decode import decode as decode_chat
from api.dialects.openai_completions.decode import decode as decode_completion
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS
from api.dialects.openai_responses.decode import decode as decode_response
from api.dialects.openai_responses.store import ResponseStore, StoredResponse
from tests.support.vendor_types import MISSING, Json, list_variants

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
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "store": (True,),
    "function_call": ("auto",),
    "best_of": (2,),
    "caller": ({"type": "direct"},),
    "environment": ({"type": "local"},),
    "allowed_callers": (["direct"],),
    "format": ({"type": "text"},),
    "response_format": ({"type": "text"},),
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


def memory() -> ResponseStore:
    """One response is kept, for `previous_response_id`."""
    store = ResponseStore(10, 10**6, 60)
    item = msgspec.Raw(b'{"role":"user","content":"Before."}')
    store.for_key("owner").put(StoredResponse("resp_1", b"{}", (), (item,), ()))
    return store


def chat_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_chat(msgspec.json.encode(body), Policy(max_choices=8))
    return msgspec.structs.replace(call, ignored=()), call.ignored


def completion_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_completion(msgspec.json.encode(body), Policy(max_choices=8))
    return msgspec.structs.replace(call, ignored=()), call.ignored


def response_asked(body: Json) -> tuple[object, Sequence[str]]:
    call = decode_response(msgspec.json.encode(body), Policy(), memory().for_key("owner"))
    ours = (
        *(call.model, call.system, call.drafts, call.max_tokens, call.tool_set, call.namespaces, call.schema),
        *(
            call.effort,
            call.store,
            call.background,
            call.stream,
            call.show_summaries,
            call.include_encrypted,
            call.request.metadata,
        ),
    )
    return ours, call.ignored


def completed(value: Any) -> Any:
    """The same with what the vendor's types leave open and a request must have, by other values than those in WORDS."""
    if isinstance(value, list):
        return [completed(each) for each in value]
    if not isinstance(value, dict):
        return value
    inner = {name: completed(each) for name, each in value.items()}
    match inner:
        case {"type": "input_image"} if "file_id" not in inner:
            return {"image_url": "https://example.com/b.png", **inner}
        case {"type": "input_file"} if not inner.keys() & {"file_id", "file_url"}:
            return {"file_data": "aGkh", **inner}
        case {"type": "file", "file": file} if "file_id" not in file:
            return {**inner, "file": {"file_data": "aGkh", **file}}
        case {"type": "function_call_output"}:
            return {"call_id": "z", **inner}
        case {"type": "json_schema", "json_schema": form}:
            return {**inner, "json_schema": {"schema": {"type": "object", "title": "y"}, **form}}
        case {"mode": _, "tools": [{"k": word}]}:
            return {
                **inner,
                "tools": [{"type": "function", "name": "x"} if word == "v" else {"type": "custom", "name": "y"}],
            }
        case _:
            return inner


def is_quiet(path: str, table: Mapping[str, Any]) -> bool:
    """Whether it is bookkeeping."""
    first, last = re.split(r"[.[]", path)[0], path.rpartition(".")[2].partition("[")[0]
    is_meaningless = first in table and table[first].treatment == "accepted"
    return is_meaningless or path in QUIET or last in QUIET or any(f".{name}." in path for name in QUIET)


def is_named(path: str, value: Any, ignored: Sequence[str]) -> bool:
    """Whether a field, or what it is in, is named as ignored: a parameter, a field, a kind of items or of tools."""
    plain = re.sub(r"\[\w*\]", "", path)
    first = value[0] if isinstance(value, list) and value else None
    kind = first.get("type") if isinstance(first, dict) else None
    names = {*ignored, *(name.replace(".custom.format", ".format") for name in ignored)}
    names |= {name.replace("tools.", "tools.tools.") for name in names}
    field = re.split(r"[.[]", path)[0]
    wholes = {f"{field}.{kind}", f"{field}.{first}"} & set(ignored)
    return bool(wholes) or any(f"{plain}.".startswith(f"{name}.") for name in names)


def is_accounted_for(dialect: tuple[Any, Any, Any], field: str, path: str, value: Any, other: Any) -> bool:
    """Whether a field is used, named, refused or bookkeeping."""
    body_of, asked, table = dialect
    if is_quiet(path, table):
        return True
    body = body_of(field, completed(value))
    without = {key: kept for key, kept in body.items() if key != field}
    try:
        decoded, ignored = asked(body)
    except Problem as problem:
        return problem.status == 400
    if is_named(path, value, ignored):
        return True
    try:
        before, _ = asked(without if other is MISSING else body_of(field, completed(other)))
    except Problem:
        # Without it there is no request.
        return True
    if decoded != before:
        return True
    sent = [(field, value), *leaves(value)]
    return value == {} or any(asks_nothing(name, leaf) for name, leaf in sent if name in path)


def asks_nothing(name: str, value: Any) -> bool:
    """Whether a value is what a field that is not sent means."""
    return value is False or value in DEFAULTS.get(name, ())


def leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything inside of a value, with its name."""
    for each in value if isinstance(value, list) else ():
        yield from leaves(each)
    for name, each in value.items() if isinstance(value, dict) else ():
        yield name, each
        yield from leaves(each)


DIALECTS = {
    "chat completions": (chat.CompletionCreateParamsNonStreaming, (chat_body, chat_asked, CHAT_PARAMETERS)),
    "completions": (
        completions.CompletionCreateParamsNonStreaming,
        (completion_body, completion_asked, COMPLETIONS_PARAMETERS),
    ),
    "responses": (responses.ResponseCreateParamsNonStreaming, (response_body, response_asked, RESPONSES_PARAMETERS)),
    "input tokens": (counting.InputTokenCountParams, (response_body, response_asked, RESPONSES_PARAMETERS)),
}


@pytest.mark.wire(1, 15, 16)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_field_that_the_vendors_sdk_knows_is_used_named_or_refused(name: str):
    """Also inside of messages, items, parts, tools and options."""
    params, dialect = DIALECTS[name]
    dropped: dict[str, Any] = {}
    number = 0
    for field, hint in get_type_hints(params).items():
        for place, value, other in list_variants(hint, field, WORDS):
            number += 1
            if not is_accounted_for(dialect, field, field + place, value, other):
                dropped.setdefault(field + place, value)
    assert dropped == {}
    assert number > 20


def test_a_field_that_is_dropped_is_found():
    """What the test above looks for, it finds."""
    for _, dialect in DIALECTS.values():
        assert not is_accounted_for(dialect, "opts", "opts", 1, MISSING)
    for name, field in (("chat completions", "messages"), ("responses", "input")):
        value, other = ([{"role": "user", "content": "x", **more}] for more in ({"opts": 1}, {}))
        assert not is_accounted_for(DIALECTS[name][1], field, f"{field}[user].opts", value, other)
