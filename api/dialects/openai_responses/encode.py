"""Encodes events as a response: a stream of events, or one JSON object. Pure.

Invariants: every event has its type and the next sequence number. An item is added, sent and done before the next one
starts. Only the last event has the complete response, whether it is completed, incomplete, failed or cancelled.
"""

from collections.abc import Callable, Generator, Iterator

import msgspec
from msgspec import Struct

from api.core.problems import problem_from_failure
from api.dialects.openai_common import build_usage, encoder, render_error
from api.dialects.openai_responses.output import (
    IncompleteDetails,
    IncompleteReason,
    OutputItem,
    ResponseError,
    ResponseObject,
    ResponseStatus,
    ResponseUsage,
    StreamEvent,
)
from api.dialects.openai_responses.output_items import (
    ItemDraft,
    MessageDraft,
    ResponsesOutputOptions,
    ThoughtDraft,
    ToolCallDraft,
)
from api.http.sse import render_named_event
from shared.events import (
    Done,
    Event,
    Failed,
    RefusedOutput,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
)

INCOMPLETE_REASONS: dict[StopReason, IncompleteReason] = {
    "max_tokens": "max_output_tokens",
    "refusal": "content_filter",
}


class Cancellation(Struct, frozen=True):
    """The client cancelled the response."""


class FinishedResponse(Struct, frozen=True):
    """A response that has ended. output: its items, always with their sealed thinking."""

    response: ResponseObject
    output: tuple[OutputItem, ...]


class ResponsesEncoder:
    """Encodes one response. Mutable: the response, its items, the number of the next event.

    on_finished: called with the response when it ends, before its last event is returned.
    """

    def __init__(
        self,
        response: ResponseObject,
        options: ResponsesOutputOptions,
        clock: Callable[[], int],
        on_finished: Callable[[FinishedResponse], None] = lambda _: None,
    ) -> None:
        self._response = response
        self._options = options
        self._clock = clock
        self._on_finished = on_finished
        self._sequence_number = 0
        self._started = False
        self._items: list[ItemDraft] = []
        self._finished_items: list[OutputItem] = []

    def encode_event(self, event: Event | Cancellation, choice: int = 0) -> bytes:
        """Returns the stream events of `event`. A response has one answer, so `choice` is always 0."""
        assert choice == 0
        return b"".join(self._render_event(each) for each in self._build_events(event))

    def encode_answer(self) -> bytes:
        """Returns the response in its current state, as one JSON object."""
        return encoder.encode(msgspec.structs.replace(self._response, output=list(self._finished_items)))

    encode_error = staticmethod(render_error)

    def _build_events(self, event: Event | Cancellation) -> Iterator[StreamEvent]:
        match event:
            case Started(model):
                self._response = msgspec.structs.replace(self._response, model=model or self._response.model)
                yield from self._start()
            case Done():
                yield from self._start()
                yield from self._finish(event)
            case Failed():
                yield from self._start()
                problem = problem_from_failure(event)
                yield self._build_last_event("failed", error=ResponseError(problem.code, problem.message))
            case Cancellation():
                yield from self._start()
                yield from self._close_item("incomplete")
                yield self._build_last_event("cancelled")
            case _:
                yield from self._add_output(event)

    def _add_output(self, event: Event) -> Iterator[StreamEvent]:
        """Yields the events of text, thinking and tool calls."""
        match event:
            case TextDelta(text):
                yield from self._add_text(refusal=False, text=text)
            case RefusedOutput(text):
                yield from self._add_text(refusal=True, text=text)
            case ThinkingDelta(text):
                yield from (yield from self._get_thought()).add_text(text)
            case ThinkingSignature(signature):
                (yield from self._get_thought()).set_signature(signature)
            case ThinkingRedacted(block):
                yield from self._close_item("completed")
                (yield from self._get_thought()).set_redacted(block)
            case ToolCall():
                kind = "ctc" if event.name in self._options.custom else "fc"
                yield from self._open_item(
                    lambda number: ToolCallDraft(self._build_item_id(kind), number, event, self._options)
                )
            case ToolArgumentsDelta(piece):
                draft = self._items[-1]
                assert isinstance(draft, ToolCallDraft)
                yield from draft.add_arguments(piece)
            case _:
                pass

    def _start(self) -> Iterator[StreamEvent]:
        if not self._started:
            self._started = True
            yield self._build_response_event("response.created")
            if self._response.status == "queued":
                yield self._build_response_event("response.queued")
                self._response = msgspec.structs.replace(self._response, status="in_progress")
            yield self._build_response_event("response.in_progress")

    def _add_text(self, *, refusal: bool, text: str) -> Iterator[StreamEvent]:
        draft = self._current_item
        if not isinstance(draft, MessageDraft) or refusal:
            draft = yield from self._open_item(
                lambda number: MessageDraft(self._build_item_id("msg"), number, refusal=refusal)
            )
        yield from draft.add_text(text)

    def _get_thought(self) -> Generator[StreamEvent, None, ThoughtDraft]:
        draft = self._current_item
        if isinstance(draft, ThoughtDraft) and draft.is_open:
            return draft
        return (
            yield from self._open_item(lambda number: ThoughtDraft(self._build_item_id("rs"), number, self._options))
        )

    def _open_item[D: ItemDraft](self, build_draft: Callable[[int], D]) -> Generator[StreamEvent, None, D]:
        yield from self._close_item("completed")
        draft = build_draft(len(self._items))
        self._items.append(draft)
        yield from draft.start()
        return draft

    def _close_item(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        if draft := self._current_item:
            yield from draft.finish(status)
            self._finished_items.append(draft.build_item(status))

    def _finish(self, done: Done) -> Iterator[StreamEvent]:
        reason = INCOMPLETE_REASONS.get(done.stop_reason)
        status: ResponseStatus = "incomplete" if reason else "completed"
        yield from self._close_item(status)
        if not reason and not any(not isinstance(draft, ThoughtDraft) for draft in self._items):
            # An empty answer is an answer too.
            yield from self._add_text(refusal=False, text="")
            yield from self._close_item(status)
        yield self._build_last_event(
            status,
            completed_at=None if reason else self._clock(),
            incomplete_details=IncompleteDetails(reason) if reason else None,
            usage=build_response_usage(done),
        )

    def _build_last_event(self, status: ResponseStatus, **fields: object) -> StreamEvent:
        """Reports the finished response and returns its last event. OpenAI has no event for a cancelled response."""
        output = list(self._finished_items)
        self._response = msgspec.structs.replace(self._response, status=status, output=output, **fields)
        stored_items = [
            draft.build_stored_item() if isinstance(draft, ThoughtDraft) else item
            for draft, item in zip(self._items, self._finished_items, strict=False)
        ]
        self._on_finished(FinishedResponse(self._response, tuple(stored_items)))
        return self._build_response_event("response.incomplete" if status == "cancelled" else f"response.{status}")

    @property
    def _current_item(self) -> ItemDraft | None:
        """The item in progress."""
        return self._items[-1] if len(self._items) > len(self._finished_items) else None

    def _build_item_id(self, kind: str) -> str:
        return f"{kind}_{self._response.id.removeprefix('resp_')}{len(self._items):02x}"

    def _build_response_event(self, kind: str) -> StreamEvent:
        return StreamEvent(type=kind, sequence_number=0, response=self._response)

    def _render_event(self, event: StreamEvent) -> bytes:
        numbered = msgspec.structs.replace(event, sequence_number=self._sequence_number)
        self._sequence_number += 1
        return render_named_event(event.type, encoder.encode(numbered))


def build_response_usage(done: Done) -> ResponseUsage:
    """Returns the usage of a response under the names of this API."""
    usage = build_usage([done])
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=usage.prompt_tokens_details,
        output_tokens=usage.completion_tokens,
        output_tokens_details=usage.completion_tokens_details,
        total_tokens=usage.total_tokens,
        cost_usd=usage.cost_usd,
    )
