"""Values of the contract, made by hypothesis: every message, every event, whole conversations."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from shared.claude_status import ClaudeStatus, CliModel, HeldStatus
from shared.errors import ErrorKind
from shared.events import (
    Admitted,
    Done,
    Event,
    Failed,
    Queued,
    RefusedOutput,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
    ToolCallPending,
    Usage,
    UsageWindow,
    UsageWindows,
)
from shared.tool_jobs import (
    CommandOutput,
    CommandResult,
    EditFile,
    FileContent,
    FileMatches,
    FindFiles,
    FolderEntry,
    FolderListing,
    JobDone,
    JobResult,
    ListFolder,
    PdfPage,
    PdfPages,
    ReadFile,
    RunCommand,
    SearchFiles,
    SearchMatches,
    ToolJob,
    ToolsStatus,
    WriteFile,
    WriteResult,
)
from shared.turn import Message, Role, Text, ToolResult, Turn
from shared.wire import DeliverToolResult, EndHeld, GetStatus, HeldEnded, RunTool, Submit, ToApi, ToExecutor

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

models = st.builds(CliModel, value=words, resolved=words, name=words, description=words)


def few(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Up to three of them."""
    return st.lists(each, max_size=3).map(tuple)


events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Queued, counts),
    st.builds(Admitted, pooled=st.booleans(), offline=st.booleans(), conversation=words),
    st.builds(Started, words),
    st.builds(TextDelta, words | awkward),
    st.builds(ThinkingDelta, words | awkward),
    st.builds(ThinkingSignature, words),
    st.builds(ThinkingRedacted, words),
    st.builds(ToolCall, words, words | awkward),
    st.builds(ToolCallPending, words, words, words | awkward),
    st.builds(ToolArgumentsDelta, words | awkward),
    st.builds(RefusedOutput, words | awkward),
    st.builds(
        UsageWindows,
        words,
        st.lists(st.builds(UsageWindow, words, st.none() | seconds, st.none() | seconds)).map(tuple),
    ),
    st.builds(
        Done,
        st.sampled_from(STOP_REASONS),
        st.builds(Usage, counts, counts, counts, counts, counts),
        st.none() | seconds,
        st.none() | words,
        held=few(words),
    ),
    st.builds(Failed, st.sampled_from(ErrorKind), words, st.none() | seconds),
)


def made(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a struct; its numbers are those that can be there."""
    numbers = {int: counts, int | None: st.none() | counts, float | None: st.none() | seconds}
    named: dict[Any, st.SearchStrategy[Any]] = {
        **numbers,
        dict[str, int]: st.dictionaries(words, counts, max_size=3),
        tuple[FolderEntry, ...]: few(
            st.builds(FolderEntry, words, st.sampled_from(["file", "folder", "other"]), counts)
        ),
        tuple[PdfPage, ...]: few(st.builds(PdfPage, counts, st.binary(max_size=30), words)),
        tuple[int, int] | None: st.none() | st.tuples(counts, counts),
    }
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: named.get(field.type, st.from_type(field.type)) for field in fields})


statuses = st.builds(
    ClaudeStatus,
    role=st.just("claude"),
    mode=st.sampled_from(["online", "offline"]),
    credential=words,
    cli_found=st.booleans(),
    cli_version=words,
    max_concurrent=counts,
    max_queue=counts,
    running=counts,
    waiting=counts,
    idle_processes=counts,
    draining=st.booleans(),
    problem=words,
    models=st.lists(models, max_size=3).map(tuple),
    conversations=made(HeldStatus),
)


jobs: st.SearchStrategy[ToolJob] = st.one_of(
    *(made(kind) for kind in (ReadFile, FindFiles, SearchFiles, RunCommand, WriteFile, EditFile, ListFolder))
)
results: st.SearchStrategy[JobResult] = st.one_of(
    *(
        made(kind)
        for kind in (FileContent, PdfPages, FileMatches, SearchMatches, CommandResult, WriteResult, FolderListing)
    )
)

to_executor: st.SearchStrategy[ToExecutor] = st.one_of(
    st.builds(
        Submit,
        *(turns, words, words, words, counts, words, words),
        key_expires_at=st.none() | seconds,
        may_queue=st.booleans(),
    ),
    st.builds(DeliverToolResult, st.builds(ToolResult, words, st.lists(st.builds(Text, words | awkward)).map(tuple))),
    st.builds(RunTool, jobs, words, words, words, counts),
    st.builds(GetStatus, counts),
    st.builds(EndHeld, st.none() | words, counts),
)
to_api: st.SearchStrategy[ToApi] = st.one_of(
    events,
    statuses,
    st.builds(CommandOutput, st.sampled_from(["stdout", "stderr"]), st.binary(max_size=50)),
    st.builds(JobDone, results),
    made(ToolsStatus),
    st.builds(HeldEnded, counts),
)
