"""Text answers: retries, cuts and counts, as the CLI's lines tell of them."""

import pytest

from executor.claude.cli.protocol import CliError, InvalidLine, Line
from executor.claude.output.service_events import OutputDetails, ServiceUsage
from executor.claude.output.usage import merge_usage
from shared.errors import ErrorKind
from shared.events import Failed, Started, TextDelta, Usage
from tests.unit.executor.claude.output.test_parser import (
    OBJECT,
    STARTED,
    SYNTHETIC,
    TOOLS,
    calls,
    done,
    fed,
    says,
    service,
    start,
    stops,
    through,
    turn,
)


def test_a_retry_before_any_words_is_silent() -> None:
    """Nothing that was sent has to be taken back; the counts are those of the answer that came through."""
    first = start(ServiceUsage(99, 98))
    events = fed(turn(), first, service("content_block_start"), start(), says("a"), stops("end_turn"), through())
    assert events == [Started("claude-x", Usage(99, 98)), TextDelta("a"), done()]


def test_an_error_that_a_retry_solves_is_dropped() -> None:
    """Only an end without a stop reason looks at complaints."""
    complaint = CliError("overloaded", 529, SYNTHETIC)
    assert fed(turn(), complaint, start(), says("a"), stops("end_turn"), through())[-1] == done()


def test_a_retry_after_words_is_a_cut() -> None:
    """What was sent can't be taken back, so the answer ends honestly instead of beginning again."""
    events = fed(turn(), start(), says("a"), start(), says("b"), stops("end_turn"))
    assert events == [STARTED, TextDelta("a"), Failed(ErrorKind.UPSTREAM_CUT)]


def test_a_retry_discards_text_that_was_buffered() -> None:
    """The text of the lost message is not repeated before that of the message that came through."""
    request = turn(schema=OBJECT, tools=TOOLS)
    script = (start(), says("lost"), start(), says("kept"), calls("get_weather", "{}"), stops("tool_use"), through())
    assert [event.text for event in fed(request, *script) if isinstance(event, TextDelta)] == ["kept"]


def test_an_empty_delta_is_nothing_said() -> None:
    """A retry after it is still silent."""
    events = fed(turn(), start(), says(""), start(), says("a"), stops("end_turn"), through())
    assert events == [STARTED, TextDelta("a"), done()]


@pytest.mark.parametrize("line", [InvalidLine("not JSON"), None])
def test_garbage_or_a_closed_output_is_the_clis_failure(line: Line | None) -> None:
    """Without the model's own end there is no answer."""
    lines = [line] if line else []
    assert fed(turn(), start(), says("a"), *lines)[-1] == Failed(ErrorKind.CLI_FAILED)


def test_counts_are_running_totals_of_which_the_last_word_on_each_holds() -> None:
    """What a message does not speak of keeps what was said of it before."""
    begun = merge_usage(Usage(), ServiceUsage(10, 1, cache_read_input_tokens=4, cache_creation_input_tokens=3))
    assert begun == Usage(10, 1, 4, 3)
    assert merge_usage(begun, ServiceUsage(output_tokens=9, output_tokens_details=OutputDetails(5))) == Usage(
        10, 9, 4, 3, 5
    )
    assert merge_usage(begun, ServiceUsage()) == begun
