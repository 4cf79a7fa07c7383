"""Encodes events as a chat completion: chunks of a stream, or one JSON object. Pure.

Invariants: every chunk of an answer has the same id, time and model. The first chunk, and only that, has the role; the
last one has the finish reason. `[DONE]` ends every stream, also after an error. Calls are numbered from 0, and each sends
its id and name once.
"""

import msgspec
from msgspec import UNSET, Struct

from api.core.problems import problem_from_failure
from api.dialects.call_draft import CallDraft
from api.dialects.openai_chat.output import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChunkChoice,
    CustomOut,
    Delta,
    FinishReason,
    FunctionOut,
    ToolCallOut,
)
from api.dialects.openai_common import DONE_EVENT, ChatUsage, build_usage, encoder, render_error
from api.http.sse import render_data
from shared.events import (
    Done,
    Event,
    Failed,
    RefusedOutput,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCall,
)

FINISH_REASONS: dict[StopReason, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class ChatOutputOptions(Struct, frozen=True):
    """How to render an answer.

    custom: tools that take free text. legacy: one call, as `function_call`. reasoning: the model's thinking is shown.
    """

    include_usage: bool = False
    custom: frozenset[str] = frozenset()
    legacy: bool = False
    reasoning: bool = False


class ChoiceDraft:
    """One answer in progress. Mutable: its text, thinking and calls so far."""

    def __init__(self, index: int, options: ChatOutputOptions) -> None:
        self.index = index
        self.done: Done | None = None
        self._options = options
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[CallDraft] = []
        self._refusal: str | None = None

    def add_event(self, event: Event) -> list[ChunkChoice]:
        """Returns what `event` adds to the stream."""
        match event:
            case Started():
                return [self._build_delta(Delta(role="assistant", content=""))]
            case TextDelta(text):
                self._text.append(text)
                return [self._build_delta(Delta(content=text))]
            case ThinkingDelta(text) if self._options.reasoning:
                self._thinking.append(text)
                return [self._build_delta(Delta(reasoning_content=text))]
            case ToolCall():
                previous_call = self._finish_call()
                self._calls.append(CallDraft(event, custom=event.name in self._options.custom))
                return [*previous_call, *self._start_call(self._calls[-1])]
            case ToolArgumentsDelta(piece):
                call = self._calls[-1]
                call.arguments += piece
                return [] if call.custom else [self._build_delta(self._build_arguments_delta(piece))]
            case RefusedOutput(text):
                self._refusal = text
                return [self._build_delta(Delta(refusal=text))]
            case Done():
                self.done = event
                return [*self._finish_call(), ChunkChoice(Delta(), self.finish_reason, self.index)]
            case _:
                return []

    @property
    def finish_reason(self) -> FinishReason:
        assert self.done
        reason = FINISH_REASONS[self.done.stop_reason]
        return "function_call" if reason == "tool_calls" and self._options.legacy else reason

    def build_choice(self) -> ChatChoice:
        """Returns the finished answer."""
        calls = [build_tool_call(call) for call in self._calls]
        function = calls[0].function if calls and self._options.legacy else UNSET
        text = "".join(self._text)
        message = AnswerMessage(
            content=None if not text and (calls or self._refusal is not None) else text,
            refusal=self._refusal,
            reasoning_content="".join(self._thinking) or UNSET,
            tool_calls=calls if calls and not self._options.legacy else UNSET,
            function_call=function,
        )
        return ChatChoice(message, self.finish_reason, self.index)

    def _build_delta(self, delta: Delta) -> ChunkChoice:
        return ChunkChoice(delta, None, self.index)

    def _start_call(self, call: CallDraft) -> list[ChunkChoice]:
        if self._options.legacy:
            return [self._build_delta(Delta(function_call=FunctionOut("", call.name)))]
        if call.custom:
            return []
        start = ToolCallOut(self._call_index, call.id, "function", FunctionOut("", call.name))
        return [self._build_delta(Delta(tool_calls=[start]))]

    def _build_arguments_delta(self, piece: str) -> Delta:
        if self._options.legacy:
            return Delta(function_call=FunctionOut(piece))
        return Delta(tool_calls=[ToolCallOut(self._call_index, function=FunctionOut(piece))])

    def _finish_call(self) -> list[ChunkChoice]:
        """Returns the call of a custom tool. Its text is inside JSON, so it is sent only when the JSON is complete."""
        if not self._calls or not self._calls[-1].custom:
            return []
        call = msgspec.structs.replace(build_tool_call(self._calls[-1]), index=self._call_index)
        return [self._build_delta(Delta(tool_calls=[call]))]

    @property
    def _call_index(self) -> int:
        return len(self._calls) - 1


class ChatEncoder:
    """Encodes the answers to one request. Mutable: the model, and each answer."""

    def __init__(
        self, completion_id: str, created: int, model: str, options: ChatOutputOptions, choices: int = 1
    ) -> None:
        self._id = completion_id
        self._created = created
        self._model = model
        self._options = options
        self._choices = [ChoiceDraft(index, options) for index in range(choices)]

    def encode_event(self, event: Event, choice: int = 0) -> bytes:
        """Returns the chunks of an event of the answer `choice`."""
        if isinstance(event, Failed):
            return render_data(self.encode_error(problem_from_failure(event))) + DONE_EVENT
        if isinstance(event, Started):
            self._model = event.model or self._model
        chunks = b"".join(self._render_chunk([delta]) for delta in self._choices[choice].add_event(event))
        if isinstance(event, Done) and all(draft.done for draft in self._choices):
            chunks += self._render_chunk([], self._build_usage()) if self._options.include_usage else b""
            chunks += DONE_EVENT
        return chunks

    def encode_answer(self) -> bytes:
        """Returns all answers as one JSON object."""
        return encoder.encode(
            ChatCompletion(
                id=self._id,
                created=self._created,
                model=self._model,
                choices=[draft.build_choice() for draft in self._choices],
                usage=self._build_usage(),
            )
        )

    encode_error = staticmethod(render_error)

    def _render_chunk(self, choices: list[ChunkChoice], usage: ChatUsage | None = None) -> bytes:
        chunk = ChatCompletionChunk(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage if self._options.include_usage else UNSET,
        )
        return render_data(encoder.encode(chunk))

    def _build_usage(self) -> ChatUsage:
        return build_usage([draft.done for draft in self._choices if draft.done])


def build_tool_call(call: CallDraft) -> ToolCallOut:
    """Builds a finished call."""
    if call.custom:
        return ToolCallOut(id=call.id, type="custom", custom=CustomOut(call.parse_free_text(), call.name))
    return ToolCallOut(id=call.id, type="function", function=FunctionOut(call.arguments, call.name))
