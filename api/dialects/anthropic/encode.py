"""Encodes events as a message of Anthropic's API: server-sent events, or one JSON object. Pure.

Invariants: a stream is message_start, then blocks one after the other, each with a start, deltas and a stop under an
index that counts from 0, then message_delta and message_stop. An error ends a stream at once. Thinking is sent only to
clients that request it.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from api.core.problems import Problem, problem_from_failure
from api.dialects.anthropic.blocks import RedactedThinkingBlock, TextBlock
from api.dialects.anthropic.models import (
    BlockOut,
    ErrorDetail,
    ErrorMessage,
    MessageOut,
    MessageUsage,
    ThinkingOut,
    ToolUseOut,
    encoder,
)
from api.http.sse import render_named_event
from shared.events import (
    Done,
    Event,
    Failed,
    RefusedOutput,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
)

ERROR_TYPES = {
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
EMPTY_INPUT = msgspec.Raw(b"{}")


class MessageEncoder:
    """Encodes one message. Mutable: the model, the complete blocks, the open one, the end."""

    def __init__(
        self, message_id: str, model: str, request_id: str, *, thinking: bool = False, show_thinking: bool = True
    ) -> None:
        self._id = message_id
        self._model = model
        self._request_id = request_id
        self._thinking = thinking
        self._show_thinking = show_thinking
        self._blocks: list[BlockOut] = []
        self._open_block: ThinkingOut | TextBlock | ToolUseOut | None = None
        self._pieces: list[str] = []
        self._declined = False
        self._done: Done | None = None

    def encode_event(self, event: Event, choice: int = 0) -> bytes:
        """Returns the server-sent events of `event`."""
        assert choice == 0
        match event:
            case Started(model, usage):
                self._model = model or self._model
                return render_event("message_start", message=self._build_message(None, usage)) + PING
            case Done():
                return self._finish(event)
            case Failed():
                return render_named_event("error", self.encode_error(problem_from_failure(event)))
            case ThinkingDelta() | ThinkingSignature() | ThinkingRedacted():
                return self._encode_thinking(event) if self._thinking else b""
            case _:
                return self._encode_content(event)

    def encode_answer(self) -> bytes:
        """Returns the complete message as one JSON object."""
        assert self._done
        return encoder.encode(
            self._build_message(self._to_stop_reason(self._done), self._done.usage, self._done.stop_sequence)
        )

    def encode_error(self, problem: Problem) -> bytes:
        """Returns the JSON body of an error."""
        return render_error(problem, self._request_id)

    def _encode_content(self, event: Event) -> bytes:
        match event:
            case TextDelta(text):
                return self._add_delta(TextBlock(""), text, {"type": "text_delta", "text": text})
            case RefusedOutput(text):
                self._declined = True
                return self._add_delta(TextBlock(""), text, {"type": "text_delta", "text": text})
            case ToolCall(call, name):
                return self._end_block() + self._start_block(ToolUseOut(call, name, EMPTY_INPUT))
            case ToolArgumentsDelta(piece):
                return self._add_delta(self._open_block, piece, {"type": "input_json_delta", "partial_json": piece})
            case _:
                return b""

    def _encode_thinking(self, event: ThinkingDelta | ThinkingSignature | ThinkingRedacted) -> bytes:
        match event:
            case ThinkingDelta(text):
                shown = text if self._show_thinking else ""
                return self._add_delta(ThinkingOut("", ""), shown, {"type": "thinking_delta", "thinking": shown})
            case ThinkingSignature(signature):
                return self._add_signature(signature)
            case ThinkingRedacted(data):
                block = RedactedThinkingBlock(data)
                return self._end_block() + self._start_block(block) + self._end_block(block)

    def _build_message(self, reason: str | None, usage: Usage, stop: str | None = None) -> MessageOut:
        return MessageOut(
            id=self._id,
            model=self._model,
            content=list(self._blocks),
            stop_reason=reason,
            stop_sequence=stop,
            usage=build_usage(usage),
        )

    def _start_block(self, block: BlockOut) -> bytes:
        self._open_block = None if isinstance(block, RedactedThinkingBlock) else block
        return render_event("content_block_start", index=len(self._blocks), content_block=block)

    def _add_delta(self, block: BlockOut | None, piece: str, delta: Mapping[str, str]) -> bytes:
        """Adds a piece to the open block. Starts a block like `block` first if another kind is open."""
        assert block is not None
        before = b"" if type(self._open_block) is type(block) else self._end_block() + self._start_block(block)
        if not piece:
            return before
        self._pieces.append(piece)
        return before + render_event("content_block_delta", index=len(self._blocks), delta=delta)

    def _add_signature(self, signature: str) -> bytes:
        """Ends a thinking block with its signature. Later thinking starts a new block."""
        block = ThinkingOut("".join(self._pieces), signature) if isinstance(self._open_block, ThinkingOut) else None
        before = b"" if block else self._end_block() + self._start_block(ThinkingOut("", ""))
        delta = {"type": "signature_delta", "signature": signature}
        signed = render_event("content_block_delta", index=len(self._blocks), delta=delta)
        return before + signed + self._end_block(block or ThinkingOut("", signature))

    def _end_block(self, block: BlockOut | None = None) -> bytes:
        """Ends the open block; `block` is its final state if that is not its joined pieces."""
        complete = block or self._build_open_block()
        if not complete:
            return b""
        stop = render_event("content_block_stop", index=len(self._blocks))
        self._blocks.append(complete)
        self._open_block = None
        self._pieces = []
        return stop

    def _build_open_block(self) -> BlockOut | None:
        text = "".join(self._pieces)
        match self._open_block:
            case TextBlock():
                return TextBlock(text)
            case ThinkingOut():
                return ThinkingOut(text, "")
            case ToolUseOut(call, name):
                return ToolUseOut(call, name, to_input(text))
            case None:
                return None

    def _to_stop_reason(self, done: Done) -> str:
        return "refusal" if self._declined else done.raw_stop_reason or done.stop_reason

    def _finish(self, done: Done) -> bytes:
        block_end = self._end_block()
        self._done = done
        delta = {"stop_reason": self._to_stop_reason(done), "stop_sequence": done.stop_sequence}
        return (
            block_end
            + render_event("message_delta", delta=delta, usage=build_usage(done.usage))
            + render_event("message_stop")
        )


def render_event(kind: str, **fields: object) -> bytes:
    """Renders a server-sent event with its name."""
    return render_named_event(kind, encoder.encode({"type": kind, **fields}))


def to_input(arguments: str) -> msgspec.Raw:
    """Returns the arguments as a JSON object. One that the token limit cut off is empty, as for streaming clients."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return EMPTY_INPUT
    return msgspec.Raw(arguments.encode())


def build_usage(usage: Usage) -> MessageUsage:
    """Converts token counts to Anthropic's."""
    return MessageUsage(usage.input_tokens, usage.cache_write_tokens, usage.cache_read_tokens, usage.output_tokens)


def to_http_status(problem: Problem) -> int:
    """Returns the HTTP status. Anthropic has a special one for an overloaded service."""
    return 529 if problem.code == "overloaded" else problem.status


def render_error(problem: Problem, request_id: str) -> bytes:
    """Renders an error in Anthropic's envelope."""
    fallback = "api_error" if problem.status >= 500 else "invalid_request_error"
    kind = ERROR_TYPES.get(to_http_status(problem), fallback)
    body = ErrorDetail(kind, problem.message, dict(problem.details) if problem.details else UNSET)
    return encoder.encode(ErrorMessage(error=body, request_id=request_id))


PING = render_event("ping")
