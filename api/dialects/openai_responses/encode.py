"""Events as a response: the events of a stream, or one JSON object. Pure.

Law: every event has its type and the next sequence number; an item is added, told and done before the next begins; the
last event, and only the last, has the whole response, whether it is complete, incomplete, failed or cancelled.
"""

from collections.abc import Callable, Generator, Iterator

import msgspec
from msgspec import UNSET, Struct

from api.core.problems import Problem, of_failure
from api.dialects.openai_common import envelope
from api.dialects.openai_responses.output import (
    IncompleteDetails,
    IncompleteReason,
    InputDetails,
    OutputDetails,
    OutputItem,
    ResponseError,
    ResponseObject,
    ResponseUsage,
    Status,
    StreamEvent,
    encoder,
)
from api.dialects.openai_responses.output_items import CalledDraft, Form, ItemDraft, MessageDraft, ThoughtDraft
from api.http.sse import named
from shared.events import (
    Declined,
    Done,
    Event,
    Failed,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolArguments,
    ToolCall,
    Usage,
)

INCOMPLETE: dict[StopReason, IncompleteReason] = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}


class Cancelled(Struct, frozen=True):
    """The client wants no more of it."""


class Finished(Struct, frozen=True):
    """A response that has ended. output: its items with their thoughts, whether or not these were asked for."""

    response: ResponseObject
    output: tuple[OutputItem, ...]


class ResponsesEncoder:
    """The answer to one request in the making. Mutable: the response, its items, the number of the next event.

    finished: told of the response when it has ended, however, before its last event is given out.
    """

    def __init__(
        self,
        response: ResponseObject,
        form: Form,
        clock: Callable[[], int],
        finished: Callable[[Finished], None] = lambda _: None,
    ) -> None:
        self._response = response
        self._form = form
        self._clock = clock
        self._finished = finished
        self._number = 0
        self._begun = False
        self._items: list[ItemDraft] = []
        self._done: list[OutputItem] = []

    def event(self, event: Event | Cancelled, choice: int = 0) -> bytes:
        """The events that say `event`; a response is one answer, so `choice` is always 0."""
        assert choice == 0
        return b"".join(self._written(each) for each in self._events(event))

    def whole(self) -> bytes:
        """The response as it stands, as one object."""
        return encoder.encode(msgspec.structs.replace(self._response, output=list(self._done)))

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem)

    def _events(self, event: Event | Cancelled) -> Iterator[StreamEvent]:
        match event:
            case Started(model):
                self._response = msgspec.structs.replace(self._response, model=model or self._response.model)
                yield from self._begin()
            case Done():
                yield from self._begin()
                yield from self._end(event)
            case Failed():
                yield from self._begin()
                problem = of_failure(event)
                yield self._last("failed", error=ResponseError(problem.code, problem.message))
            case Cancelled():
                yield from self._begin()
                yield from self._close("incomplete")
                yield self._last("cancelled")
            case _:
                yield from self._said(event)

    def _said(self, event: Event) -> Iterator[StreamEvent]:
        """What the model says, thinks and calls."""
        match event:
            case TextDelta(text):
                yield from self._message(refusal=False, text=text)
            case Declined(text):
                yield from self._message(refusal=True, text=text)
            case ThinkingDelta(text):
                yield from (yield from self._thought()).thinks(text)
            case ThinkingSigned(signature):
                (yield from self._thought()).signed(signature)
            case ThinkingRedacted(block):
                yield from self._close("completed")
                (yield from self._thought()).redacted(block)
            case ToolCall():
                kind = "ctc" if event.name in self._form.custom else "fc"
                yield from self._open(lambda number: CalledDraft(self._id(kind), number, event, self._form))
            case ToolArguments(piece):
                draft = self._items[-1]
                assert isinstance(draft, CalledDraft)
                yield from draft.argues(piece)
            case _:
                pass

    def _begin(self) -> Iterator[StreamEvent]:
        if not self._begun:
            self._begun = True
            yield self._told("response.created")
            if self._response.status == "queued":
                yield self._told("response.queued")
                self._response = msgspec.structs.replace(self._response, status="in_progress")
            yield self._told("response.in_progress")

    def _message(self, *, refusal: bool, text: str) -> Iterator[StreamEvent]:
        draft = self._current
        if not isinstance(draft, MessageDraft) or refusal:
            draft = yield from self._open(lambda number: MessageDraft(self._id("msg"), number, refusal=refusal))
        yield from draft.says(text)

    def _thought(self) -> Generator[StreamEvent, None, ThoughtDraft]:
        draft = self._current
        if isinstance(draft, ThoughtDraft) and draft.open:
            return draft
        return (yield from self._open(lambda number: ThoughtDraft(self._id("rs"), number, self._form)))

    def _open[D: ItemDraft](self, made: Callable[[int], D]) -> Generator[StreamEvent, None, D]:
        yield from self._close("completed")
        item = made(len(self._items))
        self._items.append(item)
        yield from item.begun()
        return item

    def _close(self, status: Status) -> Iterator[StreamEvent]:
        if draft := self._current:
            yield from draft.done(status)
            self._done.append(draft.whole(status))

    def _end(self, done: Done) -> Iterator[StreamEvent]:
        reason = INCOMPLETE.get(done.stop_reason)
        status: Status = "incomplete" if reason else "completed"
        yield from self._close(status)
        if not reason and not any(not isinstance(draft, ThoughtDraft) for draft in self._items):
            # The model said nothing, which is an answer too.
            yield from self._message(refusal=False, text="")
            yield from self._close(status)
        yield self._last(
            status,
            completed_at=None if reason else self._clock(),
            incomplete_details=IncompleteDetails(reason) if reason else None,
            usage=usage(done.usage, done.cost_usd),
        )

    def _last(self, status: Status, **fields: object) -> StreamEvent:
        """The event that ends a response, which is remembered first; the vendor has none for one that was cancelled."""
        output = list(self._done)
        self._response = msgspec.structs.replace(self._response, status=status, output=output, **fields)
        remembered = [
            draft.remembered() if isinstance(draft, ThoughtDraft) else item
            for draft, item in zip(self._items, self._done, strict=False)
        ]
        self._finished(Finished(self._response, tuple(remembered)))
        return self._told("response.incomplete" if status == "cancelled" else f"response.{status}")

    @property
    def _current(self) -> ItemDraft | None:
        """The item that is not done."""
        return self._items[-1] if len(self._items) > len(self._done) else None

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._response.id.removeprefix('resp_')}{len(self._items):02x}"

    def _told(self, kind: str) -> StreamEvent:
        return StreamEvent(type=kind, sequence_number=0, response=self._response)

    def _written(self, event: StreamEvent) -> bytes:
        numbered = msgspec.structs.replace(event, sequence_number=self._number)
        self._number += 1
        return named(event.type, encoder.encode(numbered))


def usage(counted: Usage, cost: float | None) -> ResponseUsage:
    """Tokens as OpenAI counts them: what was read from or written to the cache is part of the input."""
    read = counted.input_tokens + counted.cache_read_tokens + counted.cache_write_tokens
    return ResponseUsage(
        input_tokens=read,
        input_tokens_details=InputDetails(counted.cache_read_tokens, counted.cache_write_tokens),
        output_tokens=counted.output_tokens,
        output_tokens_details=OutputDetails(counted.reasoning_tokens),
        total_tokens=read + counted.output_tokens,
        cost_usd=round(cost, 6) if cost is not None else UNSET,
    )
