"""The encoder of every dialect, for tests: events in; what a client reads from the stream and from the plain answer out.

Invariants: the readers follow the vendor's documentation strictly, and share no code with the encoders.
Reading a stream checks its order: what is begun, continued, ended, counted.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from mcp_types import CallToolResult
from msgspec import Struct

from api.agent.answer_builder import AnswerBuilder
from api.conversation.parameters import Policy
from api.core.problems import Problem, problem_from_failure
from api.dialects.anthropic.encode import MessageEncoder
from api.dialects.mcp.encode import build_error_result, build_result, render_progress
from api.dialects.openai_chat.encode import ChatEncoder, ChatOutputOptions
from api.dialects.openai_completions.encode import CompletionEncoder
from api.dialects.openai_responses.decode import decode
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.output_items import ResponsesOutputOptions as ResponsesForm
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import build_response
from api.dialects.rest.encode import RestEncoder
from api.http.event_stream import Encoder
from shared.events import Done, Event, Failed, StopReason

type Json = dict[str, Any]
type StreamEvent = tuple[str, Json | None]  # the name of an event, if it has one, and its data; None for `[DONE]`

# The names of a stream's last event when there is an answer, and when there is none; "" has none of its own.
ENDS = {"message_stop", "result", "response.completed", "response.incomplete", "[DONE]"}


class Call(Struct, frozen=True):
    """A call, as a client has it. arguments: JSON text."""

    id: str
    name: str
    arguments: str


class Heard(Struct, frozen=True):
    """What a client has of an answer. thoughts: block by block. tokens: as the dialect counts them. reason: its own word."""

    model: str
    text: str = ""
    refusal: str = ""
    thoughts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reason: str = ""
    tokens: tuple[int, ...] = ()


class DialectUnderTest(Struct, frozen=True):
    """A dialect. shows: what of an answer it has a place for; `waiting`: what comes before it is told of. reasons: its word for each stop reason.

    tokens: whether a stream tells them. error: the code of an error event. streamed, plain: reads an answer.
    """

    name: str
    encoder: Callable[[], Encoder[Any]]
    shows: frozenset[str]
    reasons: dict[StopReason, str]
    streamed: Callable[[list[StreamEvent]], Heard]
    plain: Callable[[Json], Heard]
    tokens: bool = True

    def __repr__(self) -> str:
        return self.name


def parse_events(stream: bytes) -> list[StreamEvent]:
    """The events of a stream, each whole, in one line of JSON for every reader."""
    found: list[StreamEvent] = []
    assert stream == b"" or stream.endswith(b"\n\n")
    for event in stream.decode().split("\n\n")[:-1]:
        matched = re.fullmatch(r"(?:event: ([a-z_.]+)\n)?data: (.*)", event, re.DOTALL)
        assert matched, event
        name, data = matched[1] or "", matched[2]
        assert len(data.splitlines()) == 1, data
        found.append((name, None if data == "[DONE]" else json.loads(data, parse_constant=lambda word: 1 / 0)))
    return found


def is_end(event: StreamEvent) -> bool:
    """Whether it ends a stream well."""
    name, data = event
    return name in ENDS or (not name and data is None)


def is_error(event: StreamEvent) -> bool:
    """Whether it says that there is no (whole) answer."""
    name, data = event
    return name in {"error", "response.failed"} or bool(not name and data and "error" in data)


# --- OpenAI's chat completions -----------------------------------------------------------------------------------

CHAT_REASONS: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def openai_tokens(usage: Json | None) -> tuple[int, ...]:
    """Tokens of chat completions and of completions."""
    if usage is None:
        return ()
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    details = usage["prompt_tokens_details"]
    cached = (details["cached_tokens"], details["cache_write_tokens"])
    reasoned = usage["completion_tokens_details"]["reasoning_tokens"]
    return (usage["prompt_tokens"] - sum(cached), *cached, usage["completion_tokens"], reasoned)


def pieces(events: list[StreamEvent], kind: str) -> tuple[list[Json], Json | None]:
    """The chunks that hold something of a choice, and the usage at the end, if it is told."""
    *chunks, (_, done) = events
    assert done is None
    heads = {(data["id"], data["created"], data["object"]) for _, data in chunks if data}
    assert len(heads) == 1
    assert next(iter(heads))[2] == kind
    last = chunks[-1][1]
    counted = last["usage"] if last and not last["choices"] else None
    whole = [data for _, data in (chunks[:-1] if counted else chunks) if data]
    assert all(len(data["choices"]) == 1 for data in whole)
    assert all(data.get("usage", 0) is (None if counted else 0) or "usage" not in data for data in whole)
    return whole, counted


def chat_choice(chunks: list[Json]) -> Heard:
    """One choice's chunks: the role first and once, the reason last and once, calls counted without gaps."""
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert not any("role" in delta for delta in deltas[1:])
    assert deltas[-1] == {}
    assert reasons[-1]
    assert not any(reasons[:-1])
    calls: list[Call] = []
    for delta in deltas:
        assert set(delta) <= {"role", "content", "reasoning_content", "refusal", "tool_calls"}
        for piece in delta.get("tool_calls", ()):
            if piece["index"] == len(calls):
                assert set(piece) == {"index", "id", "type", "function"}
                assert piece["type"] == "function"
                calls.append(Call(piece["id"], piece["function"]["name"], ""))
            else:
                assert set(piece) == {"index", "function"}
                assert piece["index"] == len(calls) - 1
            grown = calls[-1].arguments + piece["function"]["arguments"]
            calls[-1] = msgspec.structs.replace(calls[-1], arguments=grown)
    thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
    return Heard(
        model=chunks[-1]["model"],
        text="".join(delta.get("content", "") for delta in deltas),
        refusal="".join(delta.get("refusal", "") for delta in deltas),
        thoughts=(thought,) if thought else (),
        calls=tuple(calls),
        reason=reasons[-1],
    )


def chat_streamed(events: list[StreamEvent]) -> Heard:
    chunks, counted = pieces(events, "chat.completion.chunk")
    return msgspec.structs.replace(chat_choice(chunks), tokens=openai_tokens(counted))


def chat_plain(body: Json) -> Heard:
    assert body["object"] == "chat.completion"
    [choice] = body["choices"]
    message = choice["message"]
    calls = message.get("tool_calls", [])
    assert calls or "tool_calls" not in message
    assert message["content"] is not None or calls or message["refusal"] is not None
    return Heard(
        model=body["model"],
        text=message["content"] or "",
        refusal=message["refusal"] or "",
        thoughts=(message["reasoning_content"],) if "reasoning_content" in message else (),
        calls=tuple(Call(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls),
        reason=choice["finish_reason"],
        tokens=openai_tokens(body["usage"]),
    )


def chat(choices: int = 1, *, usage: bool = True, thinking: bool = True) -> Encoder[Event]:
    return ChatEncoder(
        "chatcmpl-1", 1_700_000_000, "asked", ChatOutputOptions(include_usage=usage, reasoning=thinking), choices
    )


# --- OpenAI's legacy completions ---------------------------------------------------------------------------------


def text_choice(chunks: list[Json]) -> Heard:
    """One choice's pieces: the reason last and once."""
    choices = [chunk["choices"][0] for chunk in chunks]
    reasons = [choice["finish_reason"] for choice in choices]
    assert reasons[-1]
    assert not any(reasons[:-1])
    assert choices[-1]["text"] == ""
    text = "".join(choice["text"] for choice in choices)
    return Heard(chunks[-1]["model"], text, reason=reasons[-1])


def completions_streamed(events: list[StreamEvent]) -> Heard:
    chunks, counted = pieces(events, "text_completion")
    return msgspec.structs.replace(text_choice(chunks), tokens=openai_tokens(counted))


def completions_plain(body: Json) -> Heard:
    [choice] = body["choices"]
    tokens = openai_tokens(body["usage"])
    return Heard(body["model"], choice["text"], reason=choice["finish_reason"], tokens=tokens)


def completions(choices: int = 1, *, usage: bool = True) -> Encoder[Event]:
    return CompletionEncoder("cmpl-1", 1_700_000_000, "asked", [""] * choices, include_usage=usage)


# --- Anthropic's messages ----------------------------------------------------------------------------------------

CONTINUED = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


def messages_streamed(events: list[StreamEvent]) -> Heard:
    """message_start, ping; each block begun, continued and ended under the next index; message_delta, message_stop."""
    assert all(data and data["type"] == name for name, data in events)
    (_, start), (ping, _), *blocks, (delta_name, delta), (stop, _) = events
    assert start
    assert delta
    message = start["message"]
    assert (ping, delta_name, stop) == ("ping", "message_delta", "message_stop")
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == ([], None, None)
    assert (message["role"], message["type"]) == ("assistant", "message")
    content: list[Json] = []
    is_open = False
    for name, data in blocks:
        assert data
        match name:
            case "content_block_start":
                assert not is_open
                assert data["index"] == len(content)
                content.append({**data["content_block"], "pieces": ""})
                is_open = True
            case "content_block_delta":
                assert is_open
                assert data["index"] == len(content) - 1
                kind = content[-1]["type"]
                if data["delta"]["type"] == "signature_delta":
                    assert kind == "thinking"
                    content[-1]["signature"] = data["delta"]["signature"]
                else:
                    assert data["delta"]["type"] == CONTINUED[kind][0]
                    content[-1]["pieces"] += data["delta"][CONTINUED[kind][1]]
            case _:
                assert name == "content_block_stop"
                assert is_open
                assert data["index"] == len(content) - 1
                is_open = False
    assert not is_open
    for block in content:
        block[CONTINUED[block["type"]][1] if block["type"] != "redacted_thinking" else "pieces"] = block["pieces"]
    calls = [Call(each["id"], each["name"], each["pieces"] or "{}") for each in content if each["type"] == "tool_use"]
    return _message(message["model"], content, calls, delta["delta"], delta["usage"])


def messages_plain(body: Json) -> Heard:
    assert (body["type"], body["role"]) == ("message", "assistant")
    uses = [block for block in body["content"] if block["type"] == "tool_use"]
    assert all(isinstance(block["input"], dict) for block in uses)
    calls = [Call(block["id"], block["name"], json.dumps(block["input"])) for block in uses]
    return _message(body["model"], body["content"], calls, body, body["usage"])


def _message(model: str, content: Sequence[Json], calls: Sequence[Call], end: Json, usage: Json) -> Heard:
    texts = [block["text"] for block in content if block["type"] == "text"]
    thoughts = [
        f"{block['thinking']}|{block['signature']}" if block["type"] == "thinking" else block["data"]
        for block in content
        if block["type"] in {"thinking", "redacted_thinking"}
    ]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    return Heard(
        model=model,
        text="".join(texts),
        thoughts=tuple(thoughts),
        calls=tuple(calls),
        reason=end["stop_reason"],
        tokens=tuple(usage[name] for name in names),
    )


def messages(*, thinking: bool = False, shown: bool = True) -> Encoder[Event]:
    return MessageEncoder("msg_1", "asked", "req_1", thinking=thinking, show_thinking=shown)


# --- OpenAI's responses ------------------------------------------------------------------------------------------


def responses_streamed(events: list[StreamEvent]) -> Heard:
    """Numbers count up; an item is added, continued, done under the next index; the last event has the whole response."""
    assert all(data and data["type"] == name for name, data in events)
    whole = [data for _, data in events if data]
    assert [data["sequence_number"] for data in whole] == list(range(len(whole)))
    created, progress, *items, last = whole
    assert (created["type"], progress["type"]) == ("response.created", "response.in_progress")
    assert created["response"]["output"] == progress["response"]["output"] == []
    assert {data["response"]["id"] for data in (created, progress, last)} == {last["response"]["id"]}
    assert last["type"] == f"response.{last['response']['status']}"
    done: list[Json] = []
    current: Json | None = None
    said = ""
    for data in items:
        kind = data["type"].removeprefix("response.")
        assert "response" not in data
        assert data["output_index"] == len(done)
        if kind == "output_item.added":
            assert current is None
            assert data["item"]["status"] == "in_progress"
            current, said = data["item"], ""
            continue
        assert current
        if kind == "output_item.done":
            assert data["item"]["id"] == current["id"]
            done.append(data["item"])
            current = None
            continue
        assert data["item_id"] == current["id"]
        if kind.endswith(".delta"):
            said += data["delta"]
        elif kind in {
            "output_text.done",
            "refusal.done",
            "reasoning_summary_text.done",
            "function_call_arguments.done",
        }:
            assert said == data.get("text", data.get("refusal", data.get("arguments")))
    assert current is None
    assert last["response"]["output"] == done
    return responses_plain(last["response"])


def responses_plain(body: Json) -> Heard:
    text, refusal = "", ""
    thoughts: list[str] = []
    calls: list[Call] = []
    for item in body["output"]:
        match item["type"]:
            case "message":
                [part] = item["content"]
                text += part.get("text", "")
                refusal += part.get("refusal", "")
            case "reasoning":
                thoughts.append("".join(part["text"] for part in item["summary"]))
            case _:
                assert item["type"] == "function_call"
                calls.append(Call(item["call_id"], item["name"], item["arguments"]))
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    cached = (usage["input_tokens_details"]["cached_tokens"], usage["input_tokens_details"]["cache_write_tokens"])
    reasoned = usage["output_tokens_details"]["reasoning_tokens"]
    incomplete = body["incomplete_details"]
    assert (body["status"] == "incomplete") == (incomplete is not None)
    assert (body["status"] == "completed") == (body["completed_at"] is not None)
    return Heard(
        model=body["model"],
        text=text,
        refusal=refusal,
        thoughts=tuple(thoughts),
        calls=tuple(calls),
        reason=incomplete["reason"] if incomplete else body["status"],
        tokens=(usage["input_tokens"] - sum(cached), *cached, usage["output_tokens"], reasoned),
    )


def responses(*, thoughts: bool = False) -> Encoder[Event]:
    sent: Json = {"input": "Hi", "reasoning": {"summary": "auto"}} if thoughts else {"input": "Hi"}
    call = decode(json.dumps(sent).encode(), Policy(), ResponseStore(0, 0, 1).for_key("owner"))
    form = ResponsesForm(show_summaries=thoughts, include_encrypted=thoughts)
    return ResponsesEncoder(build_response("resp_1", 1_700_000_000, "asked", call), form, lambda: 1_700_000_001)


RESPONSES_REASONS: dict[StopReason, str] = {
    **dict.fromkeys(CHAT_REASONS, "completed"),
    "max_tokens": "max_output_tokens",
    "refusal": "content_filter",
}


# --- REST --------------------------------------------------------------------------------------------------------


class Rest:
    """REST's encoder, fed as its routes feed it: the answer follows the last event. Mutable: what was said."""

    def __init__(self) -> None:
        self._encoder = RestEncoder()
        self._saying = AnswerBuilder("asked")
        self.encode_answer = self._encoder.encode_answer
        self.encode_error = self._encoder.encode_error

    def encode_event(self, event: Event | Failed, choice: int = 0) -> bytes:
        self._saying.add_event(event)
        after = self._encoder.encode_event(self._saying.build_chat_answer()) if isinstance(event, Done) else b""
        return self._encoder.encode_event(event, choice) + after


def rest_streamed(events: list[StreamEvent]) -> Heard:
    """start; text and thinking as they come; the result, which is the plain answer."""
    (start, first), *middle, (end, result) = events
    assert (start, end) == ("start", "result")
    assert first
    assert result
    assert {name for name, _ in middle} <= {"text", "thinking"}
    whole = rest_plain(result)
    assert whole.model == first["model"]
    assert whole.text == "".join(data["text"] for name, data in middle if data and name == "text")
    thought = "".join(data["text"] for name, data in middle if data and name == "thinking")
    return msgspec.structs.replace(whole, thoughts=(thought,) if thought else ())


def rest_plain(body: Json) -> Heard:
    usage = body["usage"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    assert body["is_error"] == (body["stop_reason"] != "end_turn")
    tokens = tuple(usage[name] for name in names)
    return Heard(body["model"], body["result"], reason=body["stop_reason"], tokens=tokens)


# --- MCP ---------------------------------------------------------------------------------------------------------


class Mcp:
    """MCP's progress and result, as its server sends them: the answer follows the last event. Mutable: what was said."""

    def __init__(self) -> None:
        self._saying = AnswerBuilder("asked")

    def encode_event(self, event: Event | Failed, choice: int = 0) -> bytes:
        assert choice == 0
        if isinstance(event, Failed):
            return _named("error", self.encode_error(problem_from_failure(event)))
        self._saying.add_event(event)
        message = render_progress(event)
        said = _named("progress", json.dumps({"message": message}).encode()) if message else b""
        return said + (_named("result", self.encode_answer()) if isinstance(event, Done) else b"")

    def encode_answer(self) -> bytes:
        return _result(build_result(self._saying.build_chat_answer()))

    def encode_error(self, problem: Problem) -> bytes:
        return _result(build_error_result(problem))


def _named(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _result(answer: CallToolResult) -> bytes:
    return json.dumps(answer.model_dump(by_alias=True, exclude_none=True)).encode()


def mcp_streamed(events: list[StreamEvent]) -> Heard:
    """What it waits for, who answers, each piece of text; the result, which is the plain answer."""
    *told_of, (end, answer) = events
    assert (end, {name for name, _ in told_of}) == ("result", {"progress"})
    assert answer
    messages = [data["message"] for _, data in told_of if data]
    whole = mcp_plain(answer)
    said = messages.index(f"{whole.model} answers.") + 1
    assert all(message.startswith(("Queued", "The work starts")) for message in messages[: said - 1])
    assert whole.text == "".join(messages[said:])
    return whole


def mcp_plain(body: Json) -> Heard:
    """The answer twice: structured, and as a text that says when it is not whole."""
    structured = body["structuredContent"]
    [content] = body["content"]
    assert content["type"] == "text"
    early = f"\n\n(ended early: {structured['stop_reason']})" if structured["is_error"] else ""
    assert content["text"] == structured["result"] + early
    assert body["isError"] == structured["is_error"]
    return rest_plain(structured)


SAME: dict[StopReason, str] = {reason: reason for reason in CHAT_REASONS}
COMPLETIONS_REASONS: dict[StopReason, str] = {**CHAT_REASONS, "tool_use": "stop"}
EVERYTHING = frozenset({"text", "refusal", "thinking", "calls"})

DIALECTS = [
    DialectUnderTest("chat", chat, EVERYTHING, CHAT_REASONS, chat_streamed, chat_plain),
    DialectUnderTest(
        "chat without usage",
        lambda: chat(usage=False),
        EVERYTHING,
        CHAT_REASONS,
        chat_streamed,
        chat_plain,
        tokens=False,
    ),
    DialectUnderTest(
        "chat without thinking",
        lambda: chat(thinking=False),
        EVERYTHING - {"thinking"},
        CHAT_REASONS,
        chat_streamed,
        chat_plain,
    ),
    DialectUnderTest(
        "completions",
        completions,
        frozenset({"text"}),
        COMPLETIONS_REASONS,
        completions_streamed,
        completions_plain,
    ),
    DialectUnderTest("messages", messages, frozenset({"text", "calls"}), SAME, messages_streamed, messages_plain),
    DialectUnderTest(
        "messages with thinking",
        lambda: messages(thinking=True),
        frozenset({"text", "calls", "thinking", "blocks"}),
        SAME,
        messages_streamed,
        messages_plain,
    ),
    DialectUnderTest(
        "messages with thinking omitted",
        lambda: messages(thinking=True, shown=False),
        frozenset({"text", "calls", "omitted", "blocks"}),
        SAME,
        messages_streamed,
        messages_plain,
    ),
    DialectUnderTest(
        "responses",
        responses,
        frozenset({"text", "refusal", "calls", "omitted"}),
        RESPONSES_REASONS,
        responses_streamed,
        responses_plain,
    ),
    DialectUnderTest(
        "responses with thoughts",
        lambda: responses(thoughts=True),
        frozenset({"text", "refusal", "calls", "thinking"}),
        RESPONSES_REASONS,
        responses_streamed,
        responses_plain,
    ),
    DialectUnderTest("rest", Rest, frozenset({"text", "thinking"}), SAME, rest_streamed, rest_plain),
    DialectUnderTest("mcp", Mcp, frozenset({"text", "waiting"}), SAME, mcp_streamed, mcp_plain),
]
