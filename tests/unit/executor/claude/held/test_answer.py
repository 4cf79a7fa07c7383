"""An answer is recorded as a client puts it together from the events."""

from executor.claude.held.answer import AnswerRecorder
from shared.events import (
    Event,
    RefusedOutput,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
)
from shared.turn import Block, RedactedThinking, Text, Thinking, ToolUse


def record(*events: Event) -> tuple[Block, ...]:
    """Returns the blocks of these events."""
    recorder = AnswerRecorder()
    for event in events:
        recorder.record(event)
    return recorder.build_content()


def test_blocks_keep_their_order_and_their_content():
    """Thinking with its signature, texts joined, arguments joined."""
    assert record(
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingSignature("s"),
        ThinkingRedacted("r"),
        TextDelta("Hel"),
        TextDelta("lo"),
        ToolCall("a", "f"),
        ToolArgumentsDelta('{"x":'),
        ToolArgumentsDelta("1}"),
        ToolCall("b", "g"),
        TextDelta("!"),
    ) == (
        Thinking("hm", "s"),
        RedactedThinking("r"),
        Text("Hello"),
        ToolUse("a", "f", '{"x":1}'),
        ToolUse("b", "g", "{}"),
        Text("!"),
    )


def test_thinking_whose_text_is_not_shown_has_only_its_signature():
    """Also between two texts."""
    assert record(ThinkingSignature("s"), TextDelta("a"), ThinkingSignature("t"), TextDelta("b")) == (
        *(Thinking("", "s"), Text("a")),
        *(Thinking("", "t"), Text("b")),
    )


def test_a_refusal_is_remembered():
    """A process is not held after it."""
    recorder = AnswerRecorder()
    recorder.record(RefusedOutput("no"))
    assert recorder.is_refusal
