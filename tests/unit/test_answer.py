"""The CLI's lines as the events of one answer."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.answer import COMPLAINTS, Answer, added, stop_reason
from executor.claude.protocol import (
    Answered,
    Asked,
    Complained,
    Ended,
    Garbage,
    Line,
    Other,
    ServiceDelta,
    ServiceEvent,
    ServiceMessage,
    ServiceUsage,
    Streamed,
)
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, StopReason, TextDelta, Usage

SYNTHETIC = "API Error: the CLI's own words"
BEGUN = ServiceUsage(10, 1)
ENDED = ServiceUsage(None, 2)


def start(model: str = "claude-x", usage: ServiceUsage = BEGUN) -> Line:
    """The service begins an answer."""
    return Streamed(ServiceEvent("message_start", message=ServiceMessage(model, usage)))


def says(text: str) -> Line:
    """The service sends words."""
    return Streamed(ServiceEvent("content_block_delta", delta=ServiceDelta("text_delta", text)))


def stops(reason: str | None = "end_turn", usage: ServiceUsage = ENDED) -> Line:
    """The service ends an answer, or, without a reason, tells of its counts only."""
    return Streamed(ServiceEvent("message_delta", delta=ServiceDelta(stop_reason=reason), usage=usage))


def service(kind: str) -> Line:
    """An event of the service that carries nothing."""
    return Streamed(ServiceEvent(kind))


def thinks(text: str) -> Line:
    """A delta that is not text, though it has a field of that name."""
    return Streamed(ServiceEvent("content_block_delta", delta=ServiceDelta("thinking_delta", text)))


def complains(error: str, status: int | None = None, text: str = SYNTHETIC) -> Line:
    """The CLI speaks of an error in the model's place."""
    return Complained(error, status, text)


def through(status: int | None = None, *, is_error: bool = True) -> Line:
    """The CLI is through; its last word is its own."""
    return Ended(is_error, 1, status, SYNTHETIC)


def fed(*lines: Line) -> list[Event]:
    """The events of these lines, and of the end of the output behind them."""
    answer = Answer()
    return [event for line in lines for event in answer.feed(line)] + answer.end()


def failure(*lines: Line) -> ErrorKind:
    """How the answer fails, its last event."""
    last = fed(*lines)[-1]
    assert isinstance(last, Failed)
    return last.kind


counts = st.none() | st.integers(0, 10**6)
usages = st.builds(ServiceUsage, counts, counts, counts, counts)
services = st.sampled_from(["ping", "content_block_start", "content_block_stop", "message_stop", "error", "new_event"])
lines: st.SearchStrategy[Line] = st.one_of(
    st.builds(start, st.sampled_from(["claude-x", "claude-y", ""]), usages),
    st.builds(says, st.sampled_from(["a", "b", " ", ""])),
    st.builds(thinks, st.text(max_size=3)),
    st.builds(stops, st.sampled_from([None, "end_turn", "max_tokens", "refusal", "unheard_of"]), usages),
    st.builds(service, services),
    st.builds(complains, st.sampled_from([*COMPLAINTS, "unknown"]), st.sampled_from([None, 400, 413, 500])),
    st.builds(lambda is_error: through(is_error=is_error), st.booleans()),
    st.builds(Garbage, st.just("not JSON")),
    st.builds(Other, st.sampled_from(["system", "assistant", "user", "rate_limit_event"])),
    st.builds(Asked, st.just("1"), st.just("can_use_tool")),
    st.builds(Answered, st.just("1"), st.none() | st.just("refused"), st.just(msgspec.Raw(b"null"))),
)
# Long enough to get anywhere: mostly words, few ends.
scripts = st.lists(lines | st.builds(says, st.just("w")) | st.builds(start), max_size=20)


def is_terminal(event: Event) -> bool:
    return isinstance(event, Done | Failed)


@given(scripts)
def test_whatever_the_lines_there_is_one_terminal_and_it_is_last(script: list[Line]) -> None:
    """Every answer ends, once, and nothing follows."""
    events = fed(*script)
    assert [index for index, event in enumerate(events) if is_terminal(event)] == [len(events) - 1]


@given(scripts, scripts)
def test_nothing_comes_after_the_terminal(script: list[Line], more: list[Line]) -> None:
    """An answer that is over stays so, also if it is asked for its end again."""
    answer = Answer()
    for line in script:
        assert not answer.over
        answer.feed(line)
        if answer.over:
            break
    answer.end()
    assert answer.over
    assert [answer.feed(line) for line in more] == [[] for _ in more]
    assert answer.end() == []


@given(scripts)
def test_over_is_true_exactly_from_the_terminal_on(script: list[Line]) -> None:
    """Who feeds it can trust `over` to stop reading."""
    answer = Answer()
    for line in script:
        expected = answer.over or any(is_terminal(event) for event in answer.feed(line))
        assert answer.over == expected


def words_of(script: list[Line]) -> list[str]:
    """The service's words among lines: what an answer may say at most."""
    return [
        line.event.delta.text
        for line in script
        if isinstance(line, Streamed) and line.event.delta.type == "text_delta" and line.event.delta.text
    ]


@given(scripts)
def test_the_text_is_the_services_words_in_order_up_to_the_end(script: list[Line]) -> None:
    """Each text delta comes out once, as it is, as soon as it comes in; nothing else ever does."""
    answer = Answer()
    for line in script:
        over = answer.over
        texts = [event.text for event in answer.feed(line) if isinstance(event, TextDelta)]
        assert texts == ([] if over else words_of([line]))


@given(scripts)
def test_an_answer_is_whole_only_if_its_first_decisive_line_is_a_stop_reason(script: list[Line]) -> None:
    """Decisive are: a stop reason, a result, garbage, and an answer that begins anew after words were sent."""
    said = False
    expected: type[Done | Failed] = Failed
    for line in script:
        match line:
            case Streamed(ServiceEvent(type="message_delta", delta=ServiceDelta(stop_reason=str()))):
                expected = Done
                break
            case Streamed(ServiceEvent(type="message_start")) if said:
                break
            case Ended() | Garbage():
                break
            case _:
                said = said or bool(words_of([line]))
    assert isinstance(fed(*script)[-1], expected)


@given(scripts)
def test_an_answer_starts_at_most_once(script: list[Line]) -> None:
    """Dialects say the role once, at the start; a retry does not make them say it again."""
    events = fed(*script)
    assert sum(isinstance(event, Started) for event in events) <= 1


def test_an_answer_is_its_start_its_words_and_its_end() -> None:
    """The usual case, with all that the CLI writes around it."""
    assert fed(
        Other("system"),
        start(usage=ServiceUsage(10, 1, 4, 3)),
        service("content_block_start"),
        says("Hel"),
        says("lo"),
        Other("assistant"),
        service("content_block_stop"),
        stops(usage=ServiceUsage(None, 2)),
        service("message_stop"),
        through(is_error=False),
    ) == [
        Started("claude-x"),
        TextDelta("Hel"),
        TextDelta("lo"),
        Done("end_turn", Usage(10, 2, cache_read_tokens=4, cache_write_tokens=3)),
    ]


def test_the_answer_ends_where_the_model_ended_it_though_the_cli_goes_on() -> None:
    """After max_tokens the CLI resumes by itself; none of that is the answer, and no count of it either."""
    events = fed(start(), says("a"), stops("max_tokens"), Other("user"), start(), says("more"), stops())
    assert events == [Started("claude-x"), TextDelta("a"), Done("max_tokens", Usage(10, 2))]


def test_a_message_delta_without_a_stop_reason_ends_nothing() -> None:
    """Only a stop reason is an end."""
    assert fed(start(), stops(None), says("a"), stops())[1:] == [TextDelta("a"), Done("end_turn", Usage(10, 2))]


def test_the_clis_own_words_are_never_the_answer() -> None:
    """A synthetic message, and the text of a result, reach nobody."""
    for ends in (
        fed(start(), complains("server_error"), through()),
        fed(start(), says("a"), complains("server_error"), through()),
        fed(complains("unknown"), through(), says(SYNTHETIC)),
    ):
        assert SYNTHETIC not in str(ends)
        assert isinstance(ends[-1], Failed)


def test_a_retry_before_any_words_is_silent() -> None:
    """Nothing that was sent has to be taken back; the counts are those of the answer that came through."""
    first = ServiceUsage(99, 98, 97, 96)
    events = fed(start(usage=first), service("content_block_start"), start(), says("a"), stops())
    assert events == [Started("claude-x"), TextDelta("a"), Done("end_turn", Usage(10, 2))]


def test_a_complaint_that_a_retry_mends_is_forgotten_by_the_answer() -> None:
    """Only an end without a stop reason looks at complaints."""
    assert fed(complains("overloaded", 529), start(), says("a"), stops())[-1] == Done("end_turn", Usage(10, 2))


def test_a_retry_after_words_is_a_cut() -> None:
    """What was sent can't be taken back, so the answer ends honestly instead of beginning again."""
    events = fed(start(), says("a"), service("message_stop"), start(), says("a"), stops())
    assert events == [Started("claude-x"), TextDelta("a"), Failed(ErrorKind.UPSTREAM_CUT)]


def test_an_empty_delta_is_nothing_said() -> None:
    """It makes no event, and a retry after it is still silent."""
    events = fed(start(), says(""), thinks("hm"), start(), says("a"), stops())
    assert events == [Started("claude-x"), TextDelta("a"), Done("end_turn", Usage(10, 2))]


@pytest.mark.parametrize("error", [*COMPLAINTS, "unknown"])
def test_an_end_after_words_is_a_cut_whatever_the_cli_complains_of(error: str) -> None:
    """The caller has part of an answer: that is what it must know."""
    assert failure(start(), says("a"), complains(error, 529), through()) is ErrorKind.UPSTREAM_CUT


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        (complains("authentication_failed", 401), ErrorKind.CREDENTIAL_REFUSED),
        (complains("authentication_failed", text="Not logged in · Please run /login"), ErrorKind.NOT_LOGGED_IN),
        (complains("authentication_failed", 401, "Not logged in"), ErrorKind.CREDENTIAL_REFUSED),
        (complains("authentication_failed"), ErrorKind.CREDENTIAL_REFUSED),
        (complains("oauth_org_not_allowed", 403), ErrorKind.CREDENTIAL_REFUSED),
        (complains("billing_error", 400), ErrorKind.BILLING),
        (complains("rate_limit", 429), ErrorKind.RATE_LIMIT),
        (complains("overloaded", 529), ErrorKind.OVERLOADED),
        (complains("server_error", 500), ErrorKind.UPSTREAM),
        (complains("server_error", 529), ErrorKind.OVERLOADED),
        (complains("invalid_request", 400), ErrorKind.INVALID_REQUEST),
        (complains("invalid_request", 400, "Prompt is too long"), ErrorKind.PROMPT_TOO_LONG),
        (complains("unknown", None, "prompt is too long: 250000 tokens"), ErrorKind.PROMPT_TOO_LONG),
        (complains("invalid_request", 413), ErrorKind.PROMPT_TOO_LONG),
        (complains("model_not_found", 404), ErrorKind.MODEL_NOT_FOUND),
        (complains("unknown", 400), ErrorKind.INVALID_REQUEST),
        (complains("unknown"), ErrorKind.UPSTREAM),
        (complains("a kind of tomorrow", 503), ErrorKind.UPSTREAM),
    ],
    ids=str,
)
def test_each_complaint_is_a_kind_of_its_own(complaint: Line, kind: ErrorKind) -> None:
    """What the caller or the owner can do differs by kind; a 400 is never something to try again."""
    assert failure(complaint, through()) is kind
    assert failure(start(), complaint, through()) is kind


def test_the_last_complaint_counts() -> None:
    """Earlier ones may have been mended by a retry."""
    assert failure(complains("overloaded", 529), complains("rate_limit", 429), through()) is ErrorKind.RATE_LIMIT


def test_a_status_on_the_result_counts_if_the_complaint_has_none() -> None:
    """The CLI says it in one place or the other."""
    assert failure(complains("unknown"), through(413)) is ErrorKind.PROMPT_TOO_LONG
    assert failure(complains("unknown"), through(400)) is ErrorKind.INVALID_REQUEST
    assert failure(complains("unknown", 500), through(413)) is ErrorKind.UPSTREAM


def test_an_end_without_a_complaint_is_upstreams_fault_only_if_it_is_an_error() -> None:
    """A result that claims success without an answer is the CLI's own failure."""
    assert failure(through()) is ErrorKind.UPSTREAM
    assert failure(through(is_error=False)) is ErrorKind.CLI_FAILED


@pytest.mark.parametrize("before", [(), (start(),), (start(), says("a"))])
def test_garbage_or_a_closed_output_is_the_clis_failure(before: tuple[Line, ...]) -> None:
    """There is nothing left to wait for."""
    assert failure(*before, Garbage("not JSON"), says("b"), stops()) is ErrorKind.CLI_FAILED
    assert failure(*before) is ErrorKind.CLI_FAILED


@given(usages, usages)
def test_counts_are_running_totals_of_which_the_last_word_on_each_holds(
    first: ServiceUsage, last: ServiceUsage
) -> None:
    """A count that the end repeats replaces the start's (0 too); one that it leaves out stays."""
    done = fed(start(usage=first), says("a"), stops(usage=last))[-1]
    assert isinstance(done, Done)

    def final(name: str) -> int:
        values: list[int | None] = [getattr(last, name), getattr(first, name), 0]
        return next(value for value in values if value is not None)

    assert done.usage == Usage(
        input_tokens=final("input_tokens"),
        output_tokens=final("output_tokens"),
        cache_read_tokens=final("cache_read_input_tokens"),
        cache_write_tokens=final("cache_creation_input_tokens"),
    )


def test_counts_that_are_not_spoken_of_change_nothing() -> None:
    """`added` is the identity for a message without counts."""
    assert added(Usage(1, 2, 3, 4), ServiceUsage()) == Usage(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_use"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        ("of tomorrow", "end_turn"),
        ("", "end_turn"),
    ],
)
def test_the_stop_reason_is_the_models_own(theirs: str, ours: StopReason) -> None:
    """One that is not known yet is an end, not an error."""
    assert stop_reason(theirs) == ours
    assert fed(start(), says("a"), stops(theirs))[-1] == Done(ours, Usage(10, 2))
