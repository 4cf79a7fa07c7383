"""Values of the contract, made by hypothesis: every message, every event, whole conversations."""

from hypothesis import strategies as st

from shared.errors import ErrorKind
from shared.events import (
    Admitted,
    Declined,
    Done,
    Event,
    Failed,
    Queued,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolCall,
    Usage,
    Window,
    Windows,
)
from shared.turn import Message, Role, Text, Turn
from shared.wire import AskStatus, Model, Status, Submit, ToApi, ToExecutor

STOP_REASONS: tuple[StopReason, ...] = (
    *("end_turn", "max_tokens", "stop_sequence"),
    *("tool_use", "refusal", "pause_turn"),
)
ROLES: tuple[Role, ...] = ("user", "assistant")

words = st.text(max_size=30)
# What makes lines, JSON, Unicode or the CLI stumble, where they may.
awkward = st.sampled_from(
    [
        *("@/etc/passwd", "/compact", "--help", "-", "!ls", "#memo", " padded\t", "\x1b[0m"),
        *("a\nb", "\r\n.", '{"type":"result"}\n', "\\u0000", "a\x00", "a\u2028b", "a\u0085b", '"', "\\"),
        *("\ufeff", "é", "e\u0301", "👩‍👩‍👧", "\ufffd", "\u202eabc"),
    ]
)
blank = st.sampled_from(["", " ", "\n", "\t \r\n", "\u00a0", "\u2003"])
spoken = (words | awkward).filter(lambda text: text.strip() != "")
counts = st.integers(0, 2**53)
seconds = st.floats(0, 1e9)


def texts_of(message: Message) -> list[str]:
    """The texts of a message, block by block."""
    return [block.text for block in message.content if isinstance(block, Text)]


def conversations(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Message, ...]]:
    """Messages of these texts, at least one of which is spoken."""
    contents = st.lists(st.builds(Text, texts), max_size=4).map(tuple)
    messages = st.lists(st.builds(Message, st.sampled_from(ROLES), contents), max_size=8)
    return messages.filter(lambda many: any(text.strip() for one in many for text in texts_of(one))).map(tuple)


turns = st.builds(
    Turn,
    model=words,
    messages=conversations(spoken | blank),
    system=st.lists(words | awkward, max_size=4).map(tuple),
    max_tokens=st.none() | st.integers(1, 2**31),
)

models = st.builds(Model, value=words, resolved=words, name=words, description=words)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Queued, counts),
    st.builds(Admitted, parked=st.booleans(), offline=st.booleans()),
    st.builds(Started, words),
    st.builds(TextDelta, words | awkward),
    st.builds(ThinkingDelta, words | awkward),
    st.builds(ToolCall, words, words | awkward),
    st.builds(ToolArguments, words | awkward),
    st.builds(Declined, words | awkward),
    st.builds(Windows, words, st.lists(st.builds(Window, words, st.none() | seconds, st.none() | seconds)).map(tuple)),
    st.builds(
        Done,
        st.sampled_from(STOP_REASONS),
        st.builds(Usage, counts, counts, counts, counts, counts),
        st.none() | seconds,
    ),
    st.builds(Failed, st.sampled_from(ErrorKind), words, st.none() | seconds),
)

statuses = st.builds(
    Status,
    role=st.just("claude"),
    mode=st.sampled_from(["online", "offline"]),
    credential=words,
    cli_found=st.booleans(),
    cli_version=words,
    max_concurrent=counts,
    max_queue=counts,
    running=counts,
    waiting=counts,
    parked=counts,
    draining=st.booleans(),
    problem=words,
    models=st.lists(models, max_size=3).map(tuple),
)

to_executor: st.SearchStrategy[ToExecutor] = st.one_of(
    st.builds(Submit, turns, words, counts), st.builds(AskStatus, counts)
)
to_api: st.SearchStrategy[ToApi] = events | statuses
