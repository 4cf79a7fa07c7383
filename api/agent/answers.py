"""The answers of the agent's services, and the steps before an answer.

Invariants: each request ends in exactly one answer or Failed.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc
from shared.events import Event, Failed


class AnswerUsage(Struct, frozen=True):
    """Tokens, as counted by the service."""

    input_tokens: Annotated[int, doc("Input tokens, without those from the cache.")]
    output_tokens: Annotated[int, doc("Output tokens, thinking included.")]
    cache_read_input_tokens: Annotated[int, doc("Read from the cache.")]
    cache_creation_input_tokens: Annotated[int, doc("Written to the cache.")]
    cost_usd: Annotated[
        float | None,
        doc("The cost that the Claude Code CLI reports, in US dollars; null if it did not report one in time."),
    ]


class ToolUsed(Struct, frozen=True):
    """A call of a tool."""

    name: Annotated[str, doc("The tool.")]
    input: Annotated[str, doc("Its arguments, in one line.")]
    is_error: Annotated[bool, doc("Whether the call was rejected or failed.")]


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """The answer of a chat."""

    result: Annotated[str, doc("The model's text; after tool calls, its last text.")]
    model: Annotated[str, doc("The model that answered.")]
    usage: Annotated[AnswerUsage | None, doc("The tokens; null if the answer ended before they were counted.")]
    duration_ms: Annotated[int, doc("How long it took, in milliseconds.")]
    is_error: Annotated[bool, doc("Whether the answer is incomplete: cut off, refused, or at the turn limit.")]
    stop_reason: Annotated[str, doc("Why it ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …")]


class CodeAnswer(Struct, frozen=True, kw_only=True):
    """The answer of work with tools."""

    result: Annotated[str, doc("The model's text; after tool calls, its last text.")]
    model: Annotated[str, doc("The model that answered.")]
    usage: Annotated[AnswerUsage | None, doc("The tokens; null if the answer ended before they were counted.")]
    duration_ms: Annotated[int, doc("How long it took, in milliseconds.")]
    is_error: Annotated[bool, doc("Whether the answer is incomplete: cut off, refused, or at the turn limit.")]
    stop_reason: Annotated[str, doc("Why it ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …")]
    tools_used: Annotated[list[ToolUsed], doc("The tool calls, in order.")]


class FileAnswer(Struct, frozen=True, kw_only=True):
    """A file, or some of its lines."""

    path: Annotated[str, doc("Its real path.")]
    content: Annotated[str, doc("Its text, or its bytes in base64.")]
    size: Annotated[int, doc("The size of the complete file, in bytes.")]
    encoding: Annotated[Literal["utf-8", "base64"], doc("The encoding of `content`.")]
    media_type: Annotated[str, doc("The file's type.")]
    first_line: Annotated[int | UnsetType, doc("The first line of `content`, counted from 1; for text only.")] = UNSET
    lines: Annotated[
        int | UnsetType, doc("The number of lines of the complete file; for text only, if they were all counted.")
    ] = UNSET
    truncated: Annotated[bool, doc("Whether `content` is less than was requested.")]


class BashAnswer(Struct, frozen=True, kw_only=True):
    """A command's output and exit status."""

    stdout: Annotated[str, doc("Its standard output; bytes that are not UTF-8 are replaced.")]
    stderr: Annotated[str, doc("Its standard error; bytes that are not UTF-8 are replaced.")]
    returncode: Annotated[int, doc("Its exit status, or minus the signal that ended it.")]
    timed_out: Annotated[bool, doc("Whether it exceeded its timeout.")]
    truncated: Annotated[bool, doc("Whether it wrote more than is returned.")]


class ModelEntry(Struct, frozen=True):
    """A name for a model."""

    key: Annotated[str, doc("The name.")]
    model_id: Annotated[str, doc("The current model of this name, if known.")]
    default: Annotated[bool, doc("Whether it is the default model.")]


class ModelEntries(Struct, frozen=True):
    """Every name for a model."""

    models: Annotated[list[ModelEntry], doc("The names.")]


class ToolStarted(Struct, frozen=True):
    """A tool call starts. input: its arguments in one line."""

    id: str
    name: str
    input: str


class ToolOutputChunk(Struct, frozen=True):
    """Output of a tool's command."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEnded(Struct, frozen=True):
    """A tool call ended. content: the text of its result, as the model sees it."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputChunk(Struct, frozen=True):
    """Output of a command."""

    stream: Literal["stdout", "stderr"]
    text: str


type ProgressStep = ToolStarted | ToolOutputChunk | ToolEnded | OutputChunk
type FinalAnswer = ChatAnswer | CodeAnswer | FileAnswer | BashAnswer
type Step = Event | ProgressStep | FinalAnswer | Failed
