"""What comes of what was asked: the finished answers, and what can be watched on the way to them.

Law: everything that is asked ends in exactly one of the answers, or in Failed.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc
from shared.events import Event, Failed


class AnswerUsage(Struct, frozen=True):
    """Tokens, as the service counted them."""

    input_tokens: Annotated[int, doc("Read, but for those of the cache.")]
    output_tokens: Annotated[int, doc("Written, thinking included.")]
    cache_read_input_tokens: Annotated[int, doc("Read from the cache.")]
    cache_creation_input_tokens: Annotated[int, doc("Written to the cache.")]
    cost_usd: Annotated[
        float | None, doc("What the Claude Code CLI says it cost, in US dollars; null if it did not say so in time.")
    ]


class ToolUsed(Struct, frozen=True):
    """A call of a tool."""

    name: Annotated[str, doc("The tool.")]
    input: Annotated[str, doc("Its arguments, in a line.")]
    is_error: Annotated[bool, doc("Whether it was refused or failed.")]


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """What the model said."""

    result: Annotated[str, doc("What the model said; after calls of tools, what it said last.")]
    model: Annotated[str, doc("The model that answered.")]
    usage: Annotated[AnswerUsage | None, doc("The tokens; null when the answer was ended before they were counted.")]
    duration_ms: Annotated[int, doc("How long it took, in milliseconds.")]
    is_error: Annotated[bool, doc("Whether the answer is not what was asked for: cut, held back, or out of turns.")]
    stop_reason: Annotated[str, doc("Why it ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …")]


class CodeAnswer(Struct, frozen=True, kw_only=True):
    """What the model said in the end, and what it used."""

    result: Annotated[str, doc("What the model said; after calls of tools, what it said last.")]
    model: Annotated[str, doc("The model that answered.")]
    usage: Annotated[AnswerUsage | None, doc("The tokens; null when the answer was ended before they were counted.")]
    duration_ms: Annotated[int, doc("How long it took, in milliseconds.")]
    is_error: Annotated[bool, doc("Whether the answer is not what was asked for: cut, held back, or out of turns.")]
    stop_reason: Annotated[str, doc("Why it ended: `end_turn`, `max_tokens`, `refusal`, `max_turns`, …")]
    tools_used: Annotated[list[ToolUsed], doc("The calls of tools, in order.")]


class FileAnswer(Struct, frozen=True, kw_only=True):
    """A file, or lines of it."""

    path: Annotated[str, doc("Its real path.")]
    content: Annotated[str, doc("Its text, or its bytes in base64.")]
    size: Annotated[int, doc("The size of the whole file, in bytes.")]
    encoding: Annotated[Literal["utf-8", "base64"], doc("What `content` is.")]
    media_type: Annotated[str, doc("The file's type.")]
    first_line: Annotated[int | UnsetType, doc("The first line of `content`, counted from 1; of texts only.")] = UNSET
    lines: Annotated[
        int | UnsetType, doc("How many lines the whole file has; of texts only, and if they were counted to the end.")
    ] = UNSET
    truncated: Annotated[bool, doc("Whether `content` is less than was asked for.")]


class BashAnswer(Struct, frozen=True, kw_only=True):
    """What a command wrote, and how it ended."""

    stdout: Annotated[str, doc("Its output; bytes that are not UTF-8 are replaced.")]
    stderr: Annotated[str, doc("Its other output.")]
    returncode: Annotated[int, doc("Its exit status, or minus the signal that ended it.")]
    timed_out: Annotated[bool, doc("Whether its time was up.")]
    truncated: Annotated[bool, doc("Whether it wrote more than is given back.")]


class ModelEntry(Struct, frozen=True):
    """A name for a model."""

    key: Annotated[str, doc("The name.")]
    model_id: Annotated[str, doc("The model that it means today, as far as that is known.")]
    default: Annotated[bool, doc("Whether it answers when none is named.")]


class ModelEntries(Struct, frozen=True):
    """Every name for a model."""

    models: Annotated[list[ModelEntry], doc("The names.")]


class ToolStarted(Struct, frozen=True):
    """A tool begins to work. input: its arguments in a line."""

    id: str
    name: str
    input: str


class ToolOutputChunk(Struct, frozen=True):
    """A tool's command wrote this."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEnded(Struct, frozen=True):
    """A tool's work is done. content: what the model is told of it, as far as that is text."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputChunk(Struct, frozen=True):
    """A command wrote this."""

    stream: Literal["stdout", "stderr"]
    text: str


type ProgressStep = ToolStarted | ToolOutputChunk | ToolEnded | OutputChunk
type FinalAnswer = ChatAnswer | CodeAnswer | FileAnswer | BashAnswer
type Step = Event | ProgressStep | FinalAnswer | Failed
