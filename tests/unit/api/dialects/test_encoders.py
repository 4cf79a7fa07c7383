"""The laws of every encoder, held to the same answers: order, one end, failures at any point, tokens, nothing lost."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from msgspec import Struct

from api.core.problems import Problem, problem_from_failure
from shared.errors import ErrorKind
from shared.events import (
    Admitted,
    Done,
    Event,
    Failed,
    Queued,
    RefusedOutput,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
    UsageWindows,
)
from tests.support.built_values import STOP_REASONS, awkward, words
from tests.support.dialects_under_test import (
    DIALECTS,
    Call,
    DialectUnderTest,
    Heard,
    StreamEvent,
    chat,
    chat_choice,
    completions,
    is_end,
    is_error,
    parse_events,
    text_choice,
)

small = st.integers(0, 2**40)
pieces = words | awkward
arguments = st.dictionaries(words, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | awkward, max_size=3)
usages = st.builds(Usage, small, small, small, small, small)
failures = st.builds(Failed, st.sampled_from(ErrorKind), words, st.none() | st.floats(0, 100))


@st.composite
def parts(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def call(draw: st.DrawFn, number: int) -> list[Event]:
    """A call, with its arguments in pieces; none at all where it has none."""
    begun = ToolCall(f"toolu_{number}", draw(st.sampled_from(["Read", "get_weather", "a.b", "größe"])))
    given_arguments = draw(arguments)
    if not given_arguments and draw(st.booleans()):
        return [begun]
    return [begun, *(ToolArgumentsDelta(piece) for piece in draw(parts(json.dumps(given_arguments))))]


thoughts = st.builds(
    lambda said, signature: [*(ThinkingDelta(piece) for piece in said), ThinkingSignature(signature)],
    st.lists(pieces, max_size=3),
    words,
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """An answer as an executor tells it: what comes before it, its blocks in any order, its end."""
    before = draw(st.lists(st.builds(Queued, small) | st.builds(UsageWindows, words, st.just(())), max_size=2))
    admitted = draw(st.builds(Admitted, pooled=st.booleans(), offline=st.booleans()))
    events: list[Event] = [*before, admitted, Started(draw(st.sampled_from(["claude-x", "claude-é"])))]
    kinds = draw(st.lists(st.sampled_from(["text", "thought", "redacted", "call", "windows"]), max_size=6))
    for number, kind in enumerate(kinds):
        match kind:
            case "text":
                events += [TextDelta(piece) for piece in draw(st.lists(pieces, min_size=1, max_size=3))]
            case "thought":
                events += draw(thoughts)
            case "redacted":
                events.append(ThinkingRedacted(draw(words)))
            case "call":
                events += draw(call(number))
            case _:
                events.append(UsageWindows("allowed", ()))
    if draw(st.integers(0, 5)) == 0:
        events.append(RefusedOutput(draw(pieces.filter(bool))))
    reason = draw(st.sampled_from(STOP_REASONS))
    sequence = "END" if reason == "stop_sequence" else None
    reported = draw(st.sampled_from(["", "", "model_context_window_exceeded"])) if reason == "max_tokens" else ""
    return [*events, Done(reason, draw(usages), draw(st.none() | st.just(0.25)), sequence, reported)]


def through(dialect: DialectUnderTest, answer: list[Event]) -> list[Event]:
    """The request to this dialect: tools and structured answers only where it has them."""
    kinds: tuple[type[Event], ...] = (ToolCall, ToolArgumentsDelta) if "calls" not in dialect.shows else ()
    if "refusal" not in dialect.shows and not dialect.name.startswith("messages"):
        kinds = (*kinds, RefusedOutput)
    return [event for event in answer if not isinstance(event, kinds)]


class Encoded(Struct):
    """An answer, encoded. streams: the bytes of each event."""

    streams: list[bytes]
    body: bytes

    @property
    def stream(self) -> bytes:
        return b"".join(self.streams)


def encoded(dialect: DialectUnderTest, answer: list[Event]) -> Encoded:
    encoder = dialect.encoder()
    streams = [encoder.encode_event(event) for event in answer]
    return Encoded(streams, encoder.encode_answer() if isinstance(answer[-1], Done) else b"")


def given_thoughts(dialect: DialectUnderTest, answer: list[Event]) -> tuple[str, ...]:
    """What a client sees of the thinking."""
    blocks: list[str] = []
    said: list[str] | None = None
    shown = "omitted" not in dialect.shows
    proven = "blocks" in dialect.shows
    for event in answer:
        match event:
            case ThinkingDelta(text):
                said = [*(said or []), text if shown else ""]
            case ThinkingSignature(signature):
                blocks.append("".join(said or []) + (f"|{signature}" if proven else ""))
                said = None
            case ThinkingRedacted(data):
                blocks.append(data if proven else "")
            case _:
                pass
    if not {"thinking", "omitted"} & dialect.shows:
        return ()
    if dialect.name.startswith("responses") or proven:
        return tuple(blocks)
    # One text, without the borders of its blocks.
    return ("".join(blocks),) if "".join(blocks) else ()


def given_calls(answer: list[Event]) -> tuple[Call, ...]:
    calls: list[Call] = []
    for event in answer:
        match event:
            case ToolCall(call_id, name):
                calls.append(Call(call_id, name, ""))
            case ToolArgumentsDelta(piece):
                calls[-1] = msgspec.structs.replace(calls[-1], arguments=calls[-1].arguments + piece)
            case _:
                pass
    return tuple(calls)


def expected(dialect: DialectUnderTest, answer: list[Event]) -> Heard:
    """What any client must have of an answer."""
    done = answer[-1]
    assert isinstance(done, Done)
    text = "".join(event.text for event in answer if isinstance(event, TextDelta))
    declined = "".join(event.text for event in answer if isinstance(event, RefusedOutput))
    aside = "refusal" in dialect.shows
    usage = done.usage
    counted = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    openai = dialect.name.startswith(("chat", "completions", "responses"))
    return Heard(
        model=next(event.model for event in answer if isinstance(event, Started)),
        text=text if aside else text + declined,
        refusal=declined if aside else "",
        thoughts=given_thoughts(dialect, answer),
        calls=given_calls(answer),
        reason=expected_reason(dialect, done, declined=bool(declined)),
        tokens=(*counted, usage.reasoning_tokens) if openai else counted,
    )


def expected_reason(dialect: DialectUnderTest, done: Done, *, declined: bool) -> str:
    """Why the answer ended: Messages gives the service's own word, even one that no other dialect has."""
    if not dialect.name.startswith("messages"):
        return dialect.reasons[done.stop_reason]
    return "refusal" if declined else done.raw_stop_reason or dialect.reasons[done.stop_reason]


def read(heard: Heard) -> Heard:
    """With the calls' arguments read: how they are spaced is not the point; none at all is an empty object."""
    calls = [
        msgspec.structs.replace(each, arguments=json.dumps(json.loads(each.arguments or "{}"))) for each in heard.calls
    ]
    return msgspec.structs.replace(heard, calls=tuple(calls))


def each_door(answer: list[Event]) -> Iterator[tuple[DialectUnderTest, list[Event]]]:
    """Every dialect with its form of the request; a failure names it."""
    for dialect in DIALECTS:
        note(f"through the dialect {dialect}")
        yield dialect, through(dialect, answer)


@given(answers())
def test_the_stream_and_the_plain_answer_say_what_the_model_said(answer: list[Event]):
    """All words, thoughts, calls, tokens and the reason, in both forms, in every dialect; and nothing else."""
    for dialect, said in each_door(answer):
        given_out = encoded(dialect, said)
        wanted = read(expected(dialect, said))
        # A plain answer of REST's is the words alone.
        plain = msgspec.structs.replace(wanted, thoughts=()) if dialect.name == "rest" else wanted
        assert read(dialect.plain(json.loads(given_out.body))) == plain
        streamed = wanted if dialect.tokens else msgspec.structs.replace(wanted, tokens=())
        assert read(dialect.streamed(parse_events(given_out.stream))) == streamed


@pytest.mark.wire(31, 37, 51)
@given(answers())
def test_a_stream_has_one_end_and_it_comes_last(answer: list[Event]):
    """Told with the model's own end, not before; an answer that is whole holds no error."""
    for dialect, said in each_door(answer):
        streams = encoded(dialect, said).streams
        events = parse_events(b"".join(streams))
        assert [is_end(event) for event in events] == [*[False] * (len(events) - 1), True]
        assert not any(is_error(event) for event in events)
        assert not any(is_end(event) for event in parse_events(b"".join(streams[:-1])))


@pytest.mark.wire(38)
@given(answers())
def test_each_event_is_told_at_once_and_whole(answer: list[Event]):
    """What an event of the model's brings is whole events of the stream; what decides nothing is told only where waiting is."""
    for dialect, said in each_door(answer):
        for event, stream in zip(said, encoded(dialect, said).streams, strict=True):
            parse_events(stream)
            if isinstance(event, UsageWindows) or (
                isinstance(event, Queued | Admitted) and "waiting" not in dialect.shows
            ):
                assert stream == b""


@pytest.mark.wire(36, 51)
@given(answers(), failures, st.floats(0, 1, exclude_max=True))
def test_a_failure_at_any_point_is_the_end(answer: list[Event], failed: Failed, point: float):
    """What was said before it stands; then comes one error, in the words of a plain error, and no end of an answer."""
    for dialect, said in each_door(answer):
        before_it = said[: int(point * len(said))]
        streams = encoded(dialect, [*before_it, failed]).streams
        assert streams[:-1] == encoded(dialect, said).streams[: len(before_it)]
        events = parse_events(b"".join(streams))
        # OpenAI's streams of chunks end in `[DONE]` after an error too.
        chunked = dialect.name.startswith(("chat", "completions"))
        *before, error = events[:-1] if chunked else events
        assert not chunked or is_end(events[-1])
        assert is_error(error)
        assert not any(is_error(event) or is_end(event) for event in before)
        if dialect.name.startswith("responses"):
            failed_response(events, problem_from_failure(failed))
        else:
            assert error[1] == json.loads(dialect.encoder().encode_error(problem_from_failure(failed)))


def failed_response(events: list[StreamEvent], problem: Problem) -> None:
    """A response that failed holds what was done of it, and why it failed; its events are counted to the end."""
    response = (events[-1][1] or {})["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": problem.code, "message": problem.message}
    assert response["output"] == [each["item"] for name, each in events if each and name.endswith("item.done")]
    assert [each["sequence_number"] for _, each in events if each] == list(range(len(events)))


@pytest.mark.wire(26)
@given(answers())
def test_thinking_is_shown_to_who_asked_for_it(answer: list[Event]):
    """And is no part of the text, in any dialect."""
    marked = [msgspec.structs.replace(e, text="THOUGHT") if isinstance(e, ThinkingDelta) else e for e in answer]
    marked = [msgspec.structs.replace(e, data="REDACTED") if isinstance(e, ThinkingRedacted) else e for e in marked]
    for dialect, said in each_door(marked):
        given_out = encoded(dialect, said)
        if "thinking" not in dialect.shows:
            assert b"THOUGHT" not in given_out.stream + given_out.body
        if "blocks" not in dialect.shows:
            assert b"REDACTED" not in given_out.stream + given_out.body


@pytest.mark.parametrize("made", [chat, completions])
@given(st.lists(answers(), min_size=2, max_size=3), st.data())
def test_several_answers_side_by_side_are_each_whole(made: Any, given_answers: list[list[Event]], data: st.DataObject):
    """However their events are mixed: each has its index, its order and its end; the tokens are those of all."""
    dialect = DIALECTS[0] if made is chat else next(each for each in DIALECTS if each.name == "completions")
    several = [through(dialect, answer) for answer in given_answers]
    encoder = made(len(several))
    left = [list(answer) for answer in several]
    stream = b""
    while any(left):
        number = data.draw(st.sampled_from([number for number, events in enumerate(left) if events]))
        stream += encoder.encode_event(left[number].pop(0), number)
    *chunks, (_, last), (_, done) = parse_events(stream)
    assert done is None
    assert last
    assert last["choices"] == []
    for number, answer in enumerate(several):
        own = [chunk for _, chunk in chunks if chunk and chunk["choices"][0]["index"] == number]
        heard = (chat_choice if made is chat else text_choice)(own)
        wanted = msgspec.structs.replace(expected(dialect, answer), tokens=(), model=heard.model)
        assert read(heard) == read(wanted)
    counted = [answer[-1].usage.output_tokens for answer in several if isinstance(answer[-1], Done)]
    assert last["usage"]["completion_tokens"] == sum(counted)
    assert json.loads(encoder.encode_answer())["usage"] == last["usage"]
