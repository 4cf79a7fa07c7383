"""What comes of what was asked: the finished answers, and what can be watched on the way to them.

Law: everything that is asked ends in exactly one of the answers, or in Failed.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from shared.events import Event, Failed


class AnswerUsage(Struct, frozen=True):
    """Tokens, as the service counted them; input_tokens without those of the cache. cost_usd: the CLI's estimate."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    cost_usd: float | None


class ToolUsed(Struct, frozen=True):
    """A call of a tool. input: its arguments in a line."""

    name: str
    input: str
    is_error: bool


class ChatAnswer(Struct, frozen=True, kw_only=True):
    """What the model said. usage: null when the answer was ended before it was counted. is_error: it is not whole."""

    result: str
    model: str
    usage: AnswerUsage | None
    duration_ms: int
    is_error: bool
    stop_reason: str


class CodeAnswer(Struct, frozen=True, kw_only=True):
    """The same, with the tools that were used, in order."""

    result: str
    model: str
    usage: AnswerUsage | None
    duration_ms: int
    is_error: bool
    stop_reason: str
    tools_used: list[ToolUsed]


class FileAnswer(Struct, frozen=True, kw_only=True):
    """A file. size: of the whole file, in bytes. content: its text; of a file that is no text, its bytes in base64."""

    path: str
    content: str
    size: int
    encoding: Literal["utf-8", "base64"]
    media_type: str
    first_line: int | UnsetType = UNSET
    lines: int | UnsetType = UNSET
    truncated: bool


class BashAnswer(Struct, frozen=True, kw_only=True):
    """What a command wrote, and how it ended. returncode: minus the signal that ended it, if one did."""

    stdout: str
    stderr: str
    returncode: int
    timed_out: bool
    truncated: bool


class ModelEntry(Struct, frozen=True):
    """A name for a model. model_id: the model that it means today, as far as that is known."""

    key: str
    model_id: str
    default: bool


class ModelEntries(Struct, frozen=True):
    """Every name there is."""

    models: list[ModelEntry]


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
