"""Events as a chat completion: chunks of a stream, or one JSON object. Pure.

Law: every chunk of an answer has the same id, time and model; the role is said once, first; the finish reason once,
last; `[DONE]` ends every stream, also after an error.
"""

from msgspec import UNSET

from api.openai_chat.models import (
    AnswerMessage,
    ChatUsage,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    ErrorBody,
    ErrorEnvelope,
    FinishReason,
    PromptDetails,
    encoder,
)
from api.problems import Problem, of_failure
from shared.events import Done, Event, Failed, Started, StopReason, TextDelta, Usage

FINISH: dict[StopReason, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
DONE = b"data: [DONE]\n\n"


class ChatEncoder:
    """One answer in the making. Mutable: the model, and what was said so far."""

    def __init__(self, completion_id: str, created: int, model: str, *, include_usage: bool) -> None:
        self._id = completion_id
        self._created = created
        self._model = model
        self._include_usage = include_usage
        self._text: list[str] = []
        self._done: Done | None = None

    def event(self, event: Event) -> bytes:
        """The chunks that say `event`."""
        match event:
            case Started(model):
                self._model = model or self._model
                return self._chunk(Delta(role="assistant", content=""))
            case TextDelta(text):
                self._text.append(text)
                return self._chunk(Delta(content=text))
            case Done(stop_reason, counted):
                self._done = event
                last = self._chunk(Delta(), FINISH[stop_reason])
                if self._include_usage:
                    last += self._data([], usage(counted))
                return last + DONE
            case Failed():
                return data(self.problem(of_failure(event))) + DONE
            case _:
                return b""

    def whole(self) -> bytes:
        """The whole answer as one object."""
        assert self._done
        message = AnswerMessage(content="".join(self._text))
        return encoder.encode(
            Completion(
                id=self._id,
                created=self._created,
                model=self._model,
                choices=[Choice(message, FINISH[self._done.stop_reason])],
                usage=usage(self._done.usage),
            )
        )

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem)

    def _chunk(self, delta: Delta, finish: FinishReason | None = None) -> bytes:
        return self._data([ChunkChoice(delta, finish)], None)

    def _data(self, choices: list[ChunkChoice], counted: ChatUsage | None) -> bytes:
        usage_field = counted if self._include_usage else UNSET
        chunk = Chunk(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage_field)
        return data(encoder.encode(chunk))


def data(payload: bytes) -> bytes:
    """A server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return b"data: " + payload + b"\n\n"


def usage(counted: Usage) -> ChatUsage:
    """Tokens as OpenAI counts them: what was read from or written to the cache is part of the prompt."""
    prompt = counted.input_tokens + counted.cache_read_tokens + counted.cache_write_tokens
    return ChatUsage(
        prompt_tokens=prompt,
        completion_tokens=counted.output_tokens,
        total_tokens=prompt + counted.output_tokens,
        prompt_tokens_details=PromptDetails(counted.cache_read_tokens, counted.cache_write_tokens),
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
