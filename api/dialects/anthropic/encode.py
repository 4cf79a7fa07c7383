"""Events as a message of Anthropic's: server-sent events, or one JSON object. Pure.

Law: message_start, then blocks one after the other, each begun, continued and ended under an index that counts from 0,
then message_delta and message_stop; an error ends a stream where it happens, and nothing follows it. Thinking is shown
to who asked for it only.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from api.core.problems import Problem, of_failure
from api.dialects.anthropic.models import (
    BlockOut,
    ErrorDetail,
    ErrorMessage,
    MessageOut,
    MessageUsage,
    RedactedOut,
    TextOut,
    ThinkingOut,
    ToolUseOut,
    encoder,
)
from api.http.sse import named
from shared.events import (
    Declined,
    Done,
    Event,
    Failed,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolArguments,
    ToolCall,
    Usage,
)

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
NO_INPUT = msgspec.Raw(b"{}")


class MessageEncoder:
    """The answer in the making. Mutable: the model, the blocks that are whole, the one that is not, the end."""

    def __init__(
        self, message_id: str, model: str, request_id: str, *, thinking: bool = False, shown: bool = True
    ) -> None:
        self._id = message_id
        self._model = model
        self._request_id = request_id
        self._thinking = thinking
        self._shown = shown
        self._blocks: list[BlockOut] = []
        self._open: ThinkingOut | TextOut | ToolUseOut | None = None
        self._pieces: list[str] = []
        self._declined = False
        self._done: Done | None = None

    def event(self, event: Event, choice: int = 0) -> bytes:
        """The server-sent events that say `event`."""
        assert choice == 0
        match event:
            case Started(model, usage):
                self._model = model or self._model
                return said("message_start", message=self._message(None, usage)) + PING
            case Done():
                return self._finished(event)
            case Failed():
                return named("error", self.problem(of_failure(event)))
            case ThinkingDelta() | ThinkingSigned() | ThinkingRedacted():
                return self._thought(event) if self._thinking else b""
            case _:
                return self._content(event)

    def whole(self) -> bytes:
        """The whole answer, as one object."""
        assert self._done
        return encoder.encode(self._message(self._reason(self._done), self._done.usage, self._done.stop_sequence))

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem, self._request_id)

    def _content(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._grown(TextOut(""), text, {"type": "text_delta", "text": text})
            case Declined(text):
                self._declined = True
                return self._grown(TextOut(""), text, {"type": "text_delta", "text": text})
            case ToolCall(call, name):
                return self._ended() + self._begun(ToolUseOut(call, name, NO_INPUT))
            case ToolArguments(piece):
                return self._grown(self._open, piece, {"type": "input_json_delta", "partial_json": piece})
            case _:
                return b""

    def _thought(self, event: ThinkingDelta | ThinkingSigned | ThinkingRedacted) -> bytes:
        match event:
            case ThinkingDelta(text):
                shown = text if self._shown else ""
                return self._grown(ThinkingOut("", ""), shown, {"type": "thinking_delta", "thinking": shown})
            case ThinkingSigned(signature):
                return self._signed(signature)
            case ThinkingRedacted(data):
                block = RedactedOut(data)
                return self._ended() + self._begun(block) + self._ended(block)

    def _message(self, reason: str | None, usage: Usage, stop: str | None = None) -> MessageOut:
        return MessageOut(
            id=self._id,
            model=self._model,
            content=list(self._blocks),
            stop_reason=reason,
            stop_sequence=stop,
            usage=counted(usage),
        )

    def _begun(self, block: BlockOut) -> bytes:
        self._open = None if isinstance(block, RedactedOut) else block
        return said("content_block_start", index=len(self._blocks), content_block=block)

    def _grown(self, block: BlockOut | None, piece: str, delta: Mapping[str, str]) -> bytes:
        """A piece more of the open block, after the beginning of one if another kind was open."""
        assert block is not None
        before = b"" if type(self._open) is type(block) else self._ended() + self._begun(block)
        if not piece:
            return before
        self._pieces.append(piece)
        return before + said("content_block_delta", index=len(self._blocks), delta=delta)

    def _signed(self, signature: str) -> bytes:
        """The signature, which ends its block: what is thought after it is a block of its own."""
        block = ThinkingOut("".join(self._pieces), signature) if isinstance(self._open, ThinkingOut) else None
        before = b"" if block else self._ended() + self._begun(ThinkingOut("", ""))
        delta = {"type": "signature_delta", "signature": signature}
        signed = said("content_block_delta", index=len(self._blocks), delta=delta)
        return before + signed + self._ended(block or ThinkingOut("", signature))

    def _ended(self, block: BlockOut | None = None) -> bytes:
        """The end of the open block."""
        whole = block or self._gathered()
        if not whole:
            return b""
        stop = said("content_block_stop", index=len(self._blocks))
        self._blocks.append(whole)
        self._open = None
        self._pieces = []
        return stop

    def _gathered(self) -> BlockOut | None:
        text = "".join(self._pieces)
        match self._open:
            case TextOut():
                return TextOut(text)
            case ThinkingOut():
                return ThinkingOut(text, "")
            case ToolUseOut(call, name):
                return ToolUseOut(call, name, as_input(text))
            case None:
                return None

    def _reason(self, done: Done) -> str:
        return "refusal" if self._declined else done.reported or done.stop_reason

    def _finished(self, done: Done) -> bytes:
        ended = self._ended()
        self._done = done
        delta = {"stop_reason": self._reason(done), "stop_sequence": done.stop_sequence}
        return ended + said("message_delta", delta=delta, usage=counted(done.usage)) + said("message_stop")


def said(kind: str, **fields: object) -> bytes:
    """A server-sent event under its name."""
    return named(kind, encoder.encode({"type": kind, **fields}))


def as_input(arguments: str) -> msgspec.Raw:
    """The arguments as the object they are; one that the token limit cut off is empty, as a stream's reader has it."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return NO_INPUT
    return msgspec.Raw(arguments.encode())


def counted(usage: Usage) -> MessageUsage:
    """Tokens as Anthropic counts them."""
    return MessageUsage(usage.input_tokens, usage.cache_write_tokens, usage.cache_read_tokens, usage.output_tokens)


def status(problem: Problem) -> int:
    """The HTTP status: the vendor has one of its own for an overloaded service."""
    return 529 if problem.code == "overloaded" else problem.status


def envelope(problem: Problem, request_id: str) -> bytes:
    """An error in Anthropic's envelope."""
    fallback = "api_error" if problem.status >= 500 else "invalid_request_error"
    kind = TYPES.get(status(problem), fallback)
    body = ErrorDetail(kind, problem.message, dict(problem.details) if problem.details else UNSET)
    return encoder.encode(ErrorMessage(error=body, request_id=request_id))


PING = said("ping")
