"""The answers of the REST API and of MCP tools, and the progress that precedes them.

Invariants: every request ends in exactly one answer, or in Failed.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc
from shared.events import Event, Failed


class AnswerUsage(Struct, frozen=True):
    """Token usage, as the service counted it."""

    input_tokens: Annotated[int, doc("Input tokens, without tokens read from or written to the cache.")]
    output_tokens: Annotated[int, doc("Output tokens, thinking included.")]
    cache_read_input_tokens: Annotated[int, doc("Tokens read from the cache.")]
    cache_creation_input_tokens: Annotated[int, doc("Tokens written to the cache.")]
    cost_usd: Annotated[
        float | None,
        doc("The cost in US dollars that the Claude Code CLI reported; null if it did not report it in time."),
    ]


class ToolUsed(Struct, frozen=True):
    """A tool call."""

    name: Annotated[str, doc("The name of the tool.")]
    input: Annotated[str, doc("The arguments, shortened to one line.")]
    is_error: Annotated[bool, doc("Whether the call was refused or failed.")]


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """The model's answer."""

    result: Annotated[str, doc("The text of the answer; if the model called tools, the text after the last call.")]
    model: Annotated[str, doc("The model that answered.")]
    usage: Annotated[
        AnswerUsage | None, doc("The token usage; null if the answer ended before the service reported it.")
    ]
    duration_ms: Annotated[int, doc("The duration of the request, in milliseconds.")]
    is_error: Annotated[bool, doc("Whether the answer is incomplete: truncated, refused, or out of turns.")]
    stop_reason: Annotated[str, doc("Why the answer ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …")]


class CodeAnswer(ChatAnswer, frozen=True, kw_only=True):
    """The model's final answer, and the tools that it called."""

    tools_used: Annotated[list[ToolUsed], doc("The tool calls, in order.")]


class FileAnswer(Struct, frozen=True, kw_only=True):
    """The content of a file, or some of its lines."""

    path: Annotated[str, doc("The path of the file, with symbolic links resolved.")]
    content: Annotated[str, doc("The text of the file, or its bytes in base64.")]
    size: Annotated[int, doc("The size of the complete file, in bytes.")]
    encoding: Annotated[Literal["utf-8", "base64"], doc("The encoding of `content`.")]
    media_type: Annotated[str, doc("The media type of the file.")]
    first_line: Annotated[int | UnsetType, doc("The number of the first line in `content`, from 1; only for text.")] = (
        UNSET
    )
    lines: Annotated[
        int | UnsetType,
        doc("The number of lines in the complete file; only for text, and only if all lines were counted."),
    ] = UNSET
    truncated: Annotated[bool, doc("Whether `content` is shorter than requested.")]


class BashAnswer(Struct, frozen=True, kw_only=True):
    """The output and the exit status of a command."""

    stdout: Annotated[str, doc("The standard output; bytes that are not UTF-8 are replaced.")]
    stderr: Annotated[str, doc("The standard error output; bytes that are not UTF-8 are replaced.")]
    returncode: Annotated[int, doc("The exit status, or the negative number of the signal that ended the command.")]
    timed_out: Annotated[bool, doc("Whether the command reached its time limit.")]
    truncated: Annotated[bool, doc("Whether output is missing because there was too much.")]


class ModelEntry(Struct, frozen=True):
    """A name of a model."""

    key: Annotated[str, doc("The name to send as `model`.")]
    model_id: Annotated[str, doc("The id of the model that the name stands for, if known.")]
    default: Annotated[bool, doc("Whether this is the default model.")]


class ModelEntries(Struct, frozen=True):
    """All names of models."""

    models: Annotated[list[ModelEntry], doc("The names.")]


class ToolStarted(Struct, frozen=True):
    """A tool call starts. input: its arguments, shortened to one line."""

    id: str
    name: str
    input: str


class ToolOutputChunk(Struct, frozen=True):
    """Output of a tool's command."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEnded(Struct, frozen=True):
    """A tool call ended. content: the text of the result that the model receives."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputChunk(Struct, frozen=True):
    """Output of a command."""

    stream: Literal["stdout", "stderr"]
    text: str


type ProgressStep = ToolStarted | ToolOutputChunk | ToolEnded | OutputChunk
type FinalAnswer = ChatAnswer | FileAnswer | BashAnswer
type Step = Event | ProgressStep | FinalAnswer | Failed
