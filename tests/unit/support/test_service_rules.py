"""Each rule of the real service is one of the scripted one's: what breaks it alone is refused by its name."""

import base64
import struct
from typing import Any

import pytest

from tests.support.scripted.service_rules import RULES, find_refusal
from tests.support.scripted.service_thinking import sign

type Json = dict[str, Any]

OPUS, SONNET, HAIKU, FABLE = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2"
OLD_OPUS, OLD_SONNET = "claude-opus-4-5-20251101", "claude-sonnet-4-5"
PER_TURN = {"anthropic-beta": "claude-code-20250219,per-turn-control-2026-07-01"}
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
LOOK: Json = {"name": "look", "input_schema": CITY}


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def user(*content: Any) -> Json:
    return {"role": "user", "content": content[0] if len(content) == 1 and isinstance(content[0], str) else [*content]}


def assistant(*content: Any) -> Json:
    return {**user(*content), "role": "assistant"}


def system(*content: Any) -> Json:
    return {**user(*content), "role": "system"}


def call(name: Any = "c1", given: Any = None, tool: str = "look") -> Json:
    return {"type": "tool_use", "id": name, "name": tool, "input": {} if given is None else given}


def result(name: str = "c1", content: Any = "sunny") -> Json:
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def png(width: int = 1, height: int = 1, extra: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + bytes(extra)


def gif(width: int = 1, height: int = 1) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height)


def webp(width: int, height: int) -> bytes:
    return b"RIFF....WEBPVP8X" + bytes(8) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width)


def image(data: bytes | str, media_type: str = "image/png") -> Json:
    sent = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": sent}}


def document(data: bytes) -> Json:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(data).decode()}
    return {"type": "document", "source": source}


def ask(*messages: Json, model: str = SONNET, **more: Any) -> Json:
    return {"model": model, "max_tokens": 100, "messages": list(messages or [user("hi")]), **more}


def tools(*schemas: Any) -> Json:
    return ask(tools=[{"name": f"t{number}", "input_schema": schema} for number, schema in enumerate(schemas)])


def broken(body: Any, headers: Json | None = None) -> str | None:
    """The rule that a body breaks."""
    refused = find_refusal(body, headers or {})
    return refused and refused[0]


def told(body: Any) -> str:
    """The service's message."""
    refused = find_refusal(body, {})
    assert refused
    return refused[1]


FORCED: Json = {"tools": [LOOK], "tool_choice": {"type": "any"}}
NAMED: Json = {"tools": [LOOK], "tool_choice": {"type": "tool", "name": "look"}}
ADAPTIVE: Json = {"thinking": {"type": "adaptive"}}
BUDGET: Json = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
OFF: Json = {"thinking": {"type": "disabled"}}
BETWEEN: Json = {"thinking": {"type": "between_tools"}}
LOOP = (user("weather?"), assistant(call()), user(result()))
MANY = [image(png()) for _ in range(20)]

REFUSED: list[tuple[str, Json]] = [
    *(("forced_tool_choice", ask(model=model, **FORCED)) for model in (OPUS, SONNET, FABLE, "claude-fable-5")),
    ("forced_tool_choice", ask(**NAMED)),
    ("forced_tool_choice", ask(model="claude-opus-4-8", **FORCED, **ADAPTIVE)),
    ("forced_tool_choice", ask(model=OLD_SONNET, **FORCED, **BUDGET)),
    ("tool_choice", ask(model=HAIKU, tool_choice={"type": "any"})),
    ("tool_choice", ask(tools=[], tool_choice={"type": "auto"})),
    ("tool_choice", ask(model=HAIKU, tools=[LOOK], tool_choice={"type": "tool", "name": "other"})),
    ("tool_choice", ask(tools=[LOOK], tool_choice={"type": "required"})),
    *(("thinking_type", ask(model=model, **BUDGET)) for model in (OPUS, SONNET, HAIKU, FABLE, "claude-opus-4-7")),
    *(("thinking_type", ask(model=model, **OFF)) for model in (OPUS, SONNET, FABLE)),
    *(("thinking_type", ask(model=model, **BETWEEN)) for model in (OPUS, HAIKU, FABLE, "claude-opus-4-8")),
    ("thinking_type", ask(model=OLD_SONNET, **ADAPTIVE)),
    ("thinking_type", ask(thinking={"type": "sometimes"})),
    ("thinking_type", ask(**BETWEEN, output_config={"effort": "max"})),
    ("thinking_display", ask(thinking={"type": "adaptive", "display": "raw"})),
    ("thinking_budget", ask(model=OLD_SONNET, thinking={"type": "enabled"}, max_tokens=2000)),
    ("thinking_budget", ask(model=OLD_SONNET, thinking={"type": "enabled", "budget_tokens": 1023}, max_tokens=2000)),
    ("thinking_budget", ask(model=OLD_SONNET, **BUDGET | {"max_tokens": 1024})),
    ("sampling", ask(temperature=0)),
    ("sampling", ask(top_p=0.9)),
    ("sampling", ask(model=HAIKU, top_k=40)),
    ("sampling", ask(model="claude-opus-4-8", temperature=0.5)),
    ("sampling", ask(model=OLD_SONNET, temperature=1.5)),
    ("sampling", ask(model=OLD_SONNET, temperature=0, **BUDGET)),
    *(
        ("prefill", ask(user("hi"), assistant("Well,"), model=model))
        for model in (OPUS, SONNET, HAIKU, FABLE, "claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-8")
    ),
    ("prefill", ask(user("hi"), assistant("Well, "), model=OLD_SONNET)),
    ("tool_names", ask(tools=[{**LOOK, "name": "a.b"}])),
    ("tool_names", ask(tools=[{**LOOK, "name": "a" * 129}])),
    ("tool_names", ask(tools=[{**LOOK, "name": "a\n"}])),
    ("tool_names", ask(tools=[{"input_schema": CITY}])),
    ("tool_unique", ask(tools=[LOOK, LOOK])),
    ("property_names", tools(CITY, {"type": "object", "properties": {"$top": {}}})),
    ("property_names", tools({"type": "object", "properties": {"": {}}})),
    ("property_names", tools({"type": "object", "properties": {"a" * 65: {}}})),
    *(("root_unions", tools({"type": "object", name: [CITY]})) for name in ("oneOf", "anyOf", "allOf")),
    ("schemas", tools({"type": "string"})),
    ("schemas", tools({})),
    ("schemas", tools(None)),
    ("schemas", tools({"type": "object", "properties": {"a": {"type": "text"}}})),
    ("schemas", tools({"type": "object", "properties": {"a": {"items": [{"type": "string"}]}}})),
    ("call_ids", ask(user("hi"), assistant(call("a.b")), user(result("a.b")))),
    ("call_ids", ask(user("hi"), assistant(call("")), user(result("")))),
    ("call_ids", ask(*LOOP, assistant(call()), user(result()))),
    ("call_ids", ask(user("hi"), assistant(call(), call()), user(result()))),
    ("calls", ask(user("hi"), assistant(call(given=["a"])), user(result()))),
    ("calls", ask(user("hi"), assistant(call(given='{"a": 1}')), user(result()))),
    ("calls", ask(user("hi"), assistant(call(tool="a.b")), user(result()))),
    ("results", ask(user("hi"), assistant(call()), user("and?"))),
    ("results", ask(user("hi"), assistant(call()), assistant("well"), user(result()))),
    ("results", ask(user("hi"), assistant(call(), call("c2")), user(result()), user(result("c2")))),
    ("results", ask(user("hi"), assistant(call()), model=OLD_SONNET)),
    ("results", ask(user(result()))),
    ("results", ask(*LOOP, assistant("fine"), user(result()))),
    ("results", ask(*LOOP[:2], user(result(), result()))),
    ("results", ask(*LOOP[:2], user(text("so"), result()))),
    ("results", ask(user("hi"), assistant(call(), call("c2")), user(result(), text("so"), result("c2")))),
    ("block_types", ask(user({"type": "conversation_in_extra_body", "text": "x"}))),
    ("block_types", ask(*LOOP[:2], user(result(content=[{"type": "video"}])))),
    ("block_types", ask(*LOOP[:2], user(result(content=[result()])))),
    ("block_types", ask(user("hi"), system(image(png())))),
    ("block_roles", ask(user("hi"), assistant(image(png())), user("so"))),
    ("block_roles", ask(user(call()), user(result()))),
    ("block_roles", ask(user({"type": "redacted_thinking", "data": "b3Bh"}))),
    ("empty_content", ask(user(""))),
    ("blank_texts", ask(user(text(" \n")))),
    ("blank_texts", ask(user("hi"), assistant(text("")), user("so"))),
    ("blank_texts", ask(system=[text("")])),
    ("blank_texts", ask(*LOOP[:2], user(result(content=[text("")])))),
    ("blank_texts", ask(user("hi"), system(" "))),
    ("empty_content", ask(user())),
    ("empty_content", ask(user("hi"), assistant(), user("so"))),
    ("no_messages", {**ask(), "messages": []}),
    ("message_fields", ask({**user("hi"), "name": "Ann"})),
    ("base64", ask(user(image("not base64!")))),
    ("base64", ask(user(image("")))),
    ("base64", ask(user({"type": "image"}))),
    ("base64", ask(user(document(b"hello")))),
    ("media_types", ask(user(image(png(), "image/jpeg")))),
    ("media_types", ask(user(image(gif())))),
    ("media_types", ask(user(image(b"BM12345", "image/bmp")))),
    ("media_types", ask(user(image(png()[:16])))),
    ("picture_bytes", ask(user(image(png(extra=5 * 1024 * 1024))))),
    ("picture_sides", ask(user(image(png(8001, 1))))),
    ("picture_sides", ask(user(image(gif(1, 8001), "image/gif")))),
    ("picture_sides", ask(user(image(webp(8001, 8), "image/webp")))),
    ("picture_sides", ask(user(image(jpeg(8, 8001), "image/jpeg")))),
    ("picture_sides", ask(*LOOP[:2], user(result(content=[image(png(1, 8001))])))),
    ("picture_sides", ask(user(*MANY, image(png(2001, 1))))),
    ("picture_sides", ask(user("hi"), assistant(call()), user(result(content=[*MANY, image(png(1, 2001))])))),
    ("max_tokens", ask(max_tokens=128_001)),
    ("max_tokens", ask(model="claude-opus-4-1", max_tokens=32_001)),
    ("max_tokens", ask(model="claude-opus-4-20250514", max_tokens=32_001)),
    ("max_tokens", ask(model=OLD_OPUS, max_tokens=64_001)),
    ("max_tokens", ask(model="claude-opus-4-8", max_tokens=64_001)),
    ("max_tokens", ask(model="claude-3-5-haiku-20241022", max_tokens=8_193)),
    ("max_tokens", ask(max_tokens=0)),
    ("max_tokens", {"model": SONNET, "messages": [user("hi")]}),
    ("system_role", ask(user("hi"), system("Be kind."), model=OLD_OPUS)),
    ("system_role", ask(user("hi"), system("Be kind."), model="claude-sonnet-4-6")),
    ("system_role", ask(system("Be kind."), assistant("yes"), user("hi"))),
    ("system_role", ask(user("hi"), assistant("yes"), system("Be kind."))),
    ("system_role", ask(user("hi"), system("Be kind."), user("so"))),
    ("system_role", ask(user("hi"), system("Be kind."), system("Be brief."), assistant("yes"), user("so"))),
    ("system_role", ask(user("hi"), system())),
    ("system_role", ask(user("hi"), {**system("Be kind."), "name": "x"})),
    ("breakpoints", ask(user(*(text("a", cache_control=MARK) for _ in range(5))))),
    ("breakpoints", ask(*LOOP[:2], user(result(content=[text("a", cache_control=MARK) for _ in range(5)])))),
    (
        "breakpoints",
        ask(
            user(text("a", cache_control=MARK), text("b", cache_control=MARK)),
            tools=[{**LOOK, "cache_control": MARK}],
            system=[text("a", cache_control=MARK), text("b", cache_control=MARK)],
        ),
    ),
    ("breakpoint_order", ask(user(text("a", cache_control=HOUR)), system=[text("a", cache_control=MARK)])),
    ("breakpoint_order", ask(system=[text("a", cache_control=HOUR)], tools=[{**LOOK, "cache_control": MARK}])),
    ("breakpoint_order", ask(user(text("a", cache_control={"type": "ephemeral", "ttl": "2h"})))),
    ("stop_sequences", ask(stop_sequences=["END", " \n"])),
    ("stop_sequences", ask(stop_sequences=[""])),
    ("form", {**ask(), "messages": "hi"}),
    ("form", ask({"role": "tool", "content": "hi"})),
    ("form", ask({"role": "user"})),
    ("form", ask(user({"text": "hi"}))),
    ("form", ask(user({"type": "text"}))),
    ("form", ask(user(result(content={"a": 1})))),
    ("form", ask(tools=["look"])),
]

TAKEN: list[tuple[Json, Json]] = [
    (ask(), {}),
    (ask(model=HAIKU, **FORCED, **ADAPTIVE), {}),
    (ask(model="claude-sonnet-5", **NAMED), {}),
    (ask(model=OLD_SONNET, **FORCED), {}),
    (ask(tools=[LOOK], tool_choice={"type": "auto"}), {}),
    (ask(tools=[LOOK], tool_choice={"type": "none"}), {}),
    (ask(model=HAIKU, **OFF), {}),
    (ask(**BETWEEN, output_config={"effort": "high"}), {}),
    *((ask(thinking={"type": "adaptive", "display": display}), {}) for display in ("summarized", "omitted", "updates")),
    (ask(thinking={"type": "adaptive", "display": "highlights"}), {}),
    (ask(model=OLD_SONNET, **BUDGET), {}),
    (ask(temperature=1, top_p=1), {}),
    (ask(model=OLD_SONNET, temperature=0, top_k=4), {}),
    (ask(user("hi"), assistant("Well,"), model=OLD_OPUS), {}),
    (ask(tools=[{"type": "web_search_20250305", "name": "web_search"}]), {}),
    (tools({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}], "properties": {"$b": {}}}}}), {}),
    (tools({"type": "object", "properties": {"a": {"type": "string", "pattern": "^[^\\p{Cc}]+$"}}}), {}),
    (ask(*LOOP, tools=[LOOK]), {}),
    (ask(*LOOP, tools=[LOOK], model=OLD_SONNET, **BUDGET), {}),
    (ask(user("hi"), assistant(call(), text("after")), user(result(), text("so"))), {}),
    (ask(*LOOP[:2], user(result(content=""))), {}),
    (ask(*LOOP[:2], user(result(content=[text("\n"), image(png())]))), {}),
    (ask(user(image(png(8000, 8000)), document(b"%PDF-1.7"))), {}),
    (ask(user(*MANY[:-1], image(png(8000, 1)))), {}),
    (ask(user(*MANY, image(jpeg(2000, 2000), "image/jpeg"))), {}),
    (ask(user(image(png(extra=5 * 1024 * 1024 - 24)))), {}),
    (ask(max_tokens=128_000), {}),
    (ask(user("hi"), system("Be kind.")), {}),
    (ask(user("hi"), system("Be kind."), assistant("yes"), user("so"), model="claude-opus-4-8"), {}),
    (ask(user("hi"), {**system(), "output_config": {"effort": "low"}}), PER_TURN),
    (ask(user("hi"), {**system("Be kind."), "output_config": {"effort": "low"}}), PER_TURN),
    (ask(user(text("a", cache_control=MARK)), system=[text("a", cache_control=HOUR)]), {}),
    (ask(user(*(text("a", cache_control=MARK) for _ in range(4)))), {}),
]


@pytest.mark.parametrize(("rule", "body"), REFUSED, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(REFUSED)])
def test_what_breaks_a_rule_is_refused_by_its_name_and_taken_without_it(rule: str, body: Json):
    """It breaks no other rule, so that a test can switch off the one that it means."""
    assert broken(body) == rule
    if rule != "form":
        assert find_refusal(body, {}, {rule}) is None


@pytest.mark.parametrize(("body", "headers"), TAKEN)
def test_what_the_service_takes_is_not_refused(body: Json, headers: Json):
    """A rule reaches as far as it says."""
    assert find_refusal(body, headers) is None


def test_every_rule_has_something_that_breaks_it():
    """Those of signatures are below."""
    assert set(RULES) - {rule for rule, _ in REFUSED} == {"signatures", "thinking_unchanged"}


def test_a_message_without_words_is_the_clis_only_where_its_header_says_so():
    """A client that sends one is refused."""
    assert broken(ask(user("hi"), {**system(), "output_config": {"effort": "low"}})) == "system_role"


def test_the_place_of_what_is_refused_is_told():
    """As deep as it lies."""
    assert told(ask(user("hi"), assistant("yes"), user(text("a"), {"type": "odd"}))).startswith("messages.2.content.1:")
    inner = ask(*LOOP[:2], user(result(content=[text("a"), image("!")])))
    assert told(inner).startswith("messages.2.content.0.tool_result.content.1.image.source.base64")
    assert told(tools(CITY, {"type": "string"})).startswith("tools.1.custom.input_schema.type:")


FIRST = user("hi")
ASKED = ask(FIRST, system=[text("Be kind.")], tools=[LOOK])


def thought(asked: Json = ASKED, words: str = "") -> Json:
    """A thinking block as the service gives it out."""
    return {"type": "thinking", "thinking": words, "signature": sign(asked, words)}


def back(*blocks: Json, first: Json = FIRST, **more: Any) -> Json:
    """The next request of a conversation, with the first answer sent back."""
    return {**ASKED, "messages": [first, assistant(*blocks, text("yes")), user("so")], **more}


def test_a_block_that_comes_back_behind_what_it_stood_behind_is_taken():
    """However the content is written, wherever the cache breaks, whatever the CLI's bill says."""
    assert broken(back(thought())) is None
    assert broken(back(thought(), first=user(text("hi", cache_control=MARK)))) is None
    billed = [text("x-anthropic-billing-header: a=b;"), text("Be kind.", cache_control=MARK)]
    assert broken(back(thought(), system=billed, tools=[{**LOOK, "cache_control": MARK}])) is None
    effort = {**system(), "output_config": {"effort": "low"}}
    later = {**ASKED, "messages": [FIRST, effort, assistant(thought(), text("yes")), user("so")]}
    assert broken(later, PER_TURN) is None


def test_a_second_block_holds_without_the_first():
    """A client may leave thinking out."""
    then = {**ASKED, "messages": [FIRST, assistant(thought(), call()), user(result())]}
    without = [FIRST, assistant(call()), user(result()), assistant(thought(then), text("yes")), user("so")]
    assert broken({**then, "messages": without}) is None


def test_a_block_after_text_and_calls_of_its_own_answer_is_bound_to_them():
    """Thinking comes between calls, too."""
    said = text("First,")
    between = {"type": "thinking", "thinking": "", "signature": sign(ASKED, "", [said])}
    assert broken(back(said, between)) is None
    assert broken(back(text("Second,"), between)) == "signatures"


@pytest.mark.parametrize(
    "changed",
    [
        back(thought(), first=user("ho")),
        back(thought(), system=[text("Be cruel.")]),
        back(thought(), system=[text("Be kind."), text("Be brief.")]),
        back(thought(), tools=[]),
        back(thought(), tools=[{**LOOK, "description": "Looks."}]),
        back(thought(), tools=[{**LOOK, "input_schema": dict(reversed(CITY.items()))}]),
        back({**thought(), "signature": "c2lnbmF0dXJl"}),
        back({**thought(), "signature": ""}),
        back({**thought(), "signature": base64.b64encode(bytes(48)).decode()}),
        back({"type": "thinking", "thinking": "", "signature": None}),
        {**ASKED, "messages": [FIRST, user("more"), assistant(thought(), text("yes")), user("so")]},
        {**ASKED, "messages": [FIRST, system("# Environment"), assistant(thought(), text("yes")), user("so")]},
    ],
)
def test_a_block_behind_anything_else_or_by_anyone_else_is_refused(changed: Json):
    """The place is that of the block."""
    refused = find_refusal(changed, {})
    assert refused
    assert refused[0] == "signatures"
    assert "content.0: Invalid `signature` in `thinking` block" in refused[1]


def test_numbers_and_the_order_of_names_in_a_call_count():
    """What a JavaScript parser does to arguments is seen by the block behind them."""
    given = {"10": "a", "2": "b", "one": 1.0}
    then = {**ASKED, "messages": [FIRST, assistant(call(given=given)), user(result())]}
    block = thought(then)
    for other in ({"2": "b", "10": "a", "one": 1.0}, {"10": "a", "2": "b", "one": 1}):
        messages = [FIRST, assistant(call(given=other)), user(result()), assistant(block, text("yes")), user("so")]
        assert broken({**then, "messages": messages}) == "signatures"


def test_older_models_only_ask_that_the_signature_is_the_services():
    """They do not look at what stands before."""
    assert broken(back(thought(), first=user("ho"), model="claude-opus-4-8")) is None
    assert broken(back({**thought(), "signature": "bm9uZQ=="}, model="claude-opus-4-8")) == "signatures"


def test_a_client_may_have_the_service_drop_what_is_bound_elsewhere():
    """By the vendor's own setting, with its header."""
    asked = back(thought(), first=user("ho"), thinking={"type": "adaptive", "block_binding": {}})
    asked["thinking"]["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
    assert broken(asked) == "signatures"
    assert broken(asked, {"anthropic-beta": "thinking-binding-controls-2026-08-01"}) is None


def test_the_words_of_the_last_thinking_are_left_as_they_were():
    """Those of an earlier answer may be another summary, and a block without words is whole."""
    last = {**ASKED, "messages": [FIRST, assistant({**thought(), "thinking": "Hm."}, call()), user(result())]}
    assert broken(last) == "thinking_unchanged"
    assert broken(last | {"messages": [*last["messages"], assistant("yes"), user("so")]}) is None
    silent = {**thought(words="Hm."), "thinking": ""}
    assert broken({**ASKED, "messages": [FIRST, assistant(silent, call()), user(result())]}) is None
