"""Events as a chat completion: chunks of a stream, or one JSON object. Pure.

Law: every chunk of an answer has the same id, time and model; the role is said once, first; the finish reason once,
last; `[DONE]` ends every stream, also after an error. Calls are counted from 0, and each says its id and name once.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Struct

from api.openai_chat.models import (
    AnswerMessage,
    ChatUsage,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    CompletionDetails,
    CustomOut,
    Delta,
    ErrorBody,
    ErrorEnvelope,
    FinishReason,
    FunctionOut,
    PromptDetails,
    ToolCallOut,
    encoder,
)
from api.problems import Problem, of_failure
from api.tooling import CUSTOM_FIELD
from shared.events import (
    Declined,
    Done,
    Event,
    Failed,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolArguments,
    ToolCall,
)

FINISH: dict[StopReason, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
DONE = b"data: [DONE]\n\n"
# Line ends to the readers of some clients, though not to the standard's; they only occur inside the JSON's texts.
LINE_ENDS = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\u0085\u2028\u2029"}


class Form(Struct, frozen=True):
    """How an answer is to be written. custom: tools that take free text. legacy: one call, as `function_call`."""

    include_usage: bool = False
    custom: frozenset[str] = frozenset()
    legacy: bool = False


class CallDraft:
    """A call in the making. Mutable: its arguments so far."""

    def __init__(self, call: ToolCall, *, custom: bool) -> None:
        self.id = call.id
        self.name = call.name
        self.custom = custom
        self.arguments = ""

    def free_text(self) -> str:
        """What a custom tool is given: the one argument that its call has; what can't be read stays as it is."""
        try:
            return msgspec.json.decode(self.arguments, type=dict[str, str])[CUSTOM_FIELD]
        except (msgspec.DecodeError, KeyError):
            return self.arguments

    def whole(self) -> ToolCallOut:
        """The finished call."""
        if self.custom:
            return ToolCallOut(id=self.id, type="custom", custom=CustomOut(self.free_text(), self.name))
        return ToolCallOut(id=self.id, type="function", function=FunctionOut(self.arguments, self.name))


class ChoiceDraft:
    """One of the answers in the making. Mutable: what it said and called so far."""

    def __init__(self, index: int, form: Form) -> None:
        self.index = index
        self.done: Done | None = None
        self._form = form
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[CallDraft] = []
        self._refusal: str | None = None

    def deltas(self, event: Event) -> list[ChunkChoice]:
        """What `event` adds to the stream."""
        match event:
            case Started():
                return [self._delta(Delta(role="assistant", content=""))]
            case TextDelta(text):
                self._text.append(text)
                return [self._delta(Delta(content=text))]
            case ThinkingDelta(text):
                self._thinking.append(text)
                return [self._delta(Delta(reasoning_content=text))]
            case ToolCall():
                before = self._finished_call()
                self._calls.append(CallDraft(event, custom=event.name in self._form.custom))
                return [*before, *self._begun_call(self._calls[-1])]
            case ToolArguments(piece):
                call = self._calls[-1]
                call.arguments += piece
                return [] if call.custom else [self._delta(self._arguments(piece))]
            case Declined(text):
                self._refusal = text
                return [self._delta(Delta(refusal=text))]
            case Done():
                self.done = event
                return [*self._finished_call(), ChunkChoice(Delta(), self.finish, self.index)]
            case _:
                return []

    @property
    def finish(self) -> FinishReason:
        assert self.done
        reason = FINISH[self.done.stop_reason]
        return "function_call" if reason == "tool_calls" and self._form.legacy else reason

    def whole(self) -> Choice:
        """The finished answer."""
        calls = [call.whole() for call in self._calls]
        function = calls[0].function if calls and self._form.legacy else UNSET
        text = "".join(self._text)
        message = AnswerMessage(
            content=None if not text and (calls or self._refusal is not None) else text,
            refusal=self._refusal,
            reasoning_content="".join(self._thinking) or UNSET,
            tool_calls=calls if calls and not self._form.legacy else UNSET,
            function_call=function,
        )
        return Choice(message, self.finish, self.index)

    def _delta(self, delta: Delta) -> ChunkChoice:
        return ChunkChoice(delta, None, self.index)

    def _begun_call(self, call: CallDraft) -> list[ChunkChoice]:
        if self._form.legacy:
            return [self._delta(Delta(function_call=FunctionOut("", call.name)))]
        if call.custom:
            return []
        begun = ToolCallOut(self._number, call.id, "function", FunctionOut("", call.name))
        return [self._delta(Delta(tool_calls=[begun]))]

    def _arguments(self, piece: str) -> Delta:
        if self._form.legacy:
            return Delta(function_call=FunctionOut(piece))
        return Delta(tool_calls=[ToolCallOut(self._number, function=FunctionOut(piece))])

    def _finished_call(self) -> list[ChunkChoice]:
        """A custom tool's text is inside JSON, so it can only be said when the JSON is whole."""
        if not self._calls or not self._calls[-1].custom:
            return []
        call = self._calls[-1]
        return [self._delta(Delta(tool_calls=[msgspec.structs.replace(call.whole(), index=self._number)]))]

    @property
    def _number(self) -> int:
        return len(self._calls) - 1


class ChatEncoder:
    """The answers to one request in the making. Mutable: the model, and each answer."""

    def __init__(self, completion_id: str, created: int, model: str, form: Form, choices: int = 1) -> None:
        self._id = completion_id
        self._created = created
        self._model = model
        self._form = form
        self._choices = [ChoiceDraft(index, form) for index in range(choices)]

    def event(self, event: Event, choice: int = 0) -> bytes:
        """The chunks that say `event`, of the answer `choice`."""
        if isinstance(event, Failed):
            return data(self.problem(of_failure(event))) + DONE
        if isinstance(event, Started):
            self._model = event.model or self._model
        chunks = b"".join(self._chunk([delta]) for delta in self._choices[choice].deltas(event))
        if isinstance(event, Done) and all(draft.done for draft in self._choices):
            chunks += self._chunk([], self._usage()) if self._form.include_usage else b""
            chunks += DONE
        return chunks

    def whole(self) -> bytes:
        """Every answer, as one object."""
        return encoder.encode(
            Completion(
                id=self._id,
                created=self._created,
                model=self._model,
                choices=[draft.whole() for draft in self._choices],
                usage=self._usage(),
            )
        )

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem)

    def _chunk(self, choices: list[ChunkChoice], counted: ChatUsage | None = None) -> bytes:
        usage_field = counted if self._form.include_usage else UNSET
        chunk = Chunk(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage_field)
        return data(encoder.encode(chunk))

    def _usage(self) -> ChatUsage:
        return usage([draft.done for draft in self._choices if draft.done])


def data(payload: bytes) -> bytes:
    """A server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    for end, escaped in LINE_ENDS.items():
        payload = payload.replace(end, escaped)
    return b"data: " + payload + b"\n\n"


def usage(answers: Sequence[Done]) -> ChatUsage:
    """Tokens of all answers as OpenAI counts them: what was read from or written to the cache is part of the prompt."""
    counted = [done.usage for done in answers]
    costs = [done.cost_usd for done in answers if done.cost_usd is not None]
    prompt = sum(part.input_tokens + part.cache_read_tokens + part.cache_write_tokens for part in counted)
    completion = sum(part.output_tokens for part in counted)
    return ChatUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptDetails(
            cached_tokens=sum(part.cache_read_tokens for part in counted),
            cache_write_tokens=sum(part.cache_write_tokens for part in counted),
        ),
        completion_tokens_details=CompletionDetails(sum(part.reasoning_tokens for part in counted)),
        cost_usd=round(sum(costs), 6) if costs else UNSET,
    )


def error_type(status: int, code: str) -> str:
    """OpenAI's type for an error."""
    if code == "insufficient_quota":
        return "insufficient_quota"
    match status:
        case 401:
            return "authentication_error"
        case 403:
            return "permission_error"
        case 429:
            return "rate_limit_error"
        case _ if status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"


def envelope(problem: Problem) -> bytes:
    """An error in OpenAI's envelope."""
    body = ErrorBody(problem.message, error_type(problem.status, problem.code), problem.param, problem.code)
    return encoder.encode(ErrorEnvelope(body))
