"""Events as a response: the events of a stream, or one JSON object. Pure.

Law: every event has its type and the next sequence number; an item is added, told and done before the next begins; the
last event, and only the last, has the whole response, whether it is complete, incomplete or failed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.openai_chat.encode import CallDraft, data, envelope
from api.openai_responses.items import Thought, sealed
from api.openai_responses.models import (
    CustomCallItem,
    FunctionCallItem,
    IncompleteDetails,
    IncompleteReason,
    InputDetails,
    MessageItem,
    OutputDetails,
    OutputItem,
    OutputPart,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    ResponseError,
    ResponseObject,
    ResponseUsage,
    Status,
    StreamEvent,
    SummaryText,
    encoder,
)
from api.openai_responses.tools import Names
from api.problems import Problem, of_failure
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
from shared.turn import RedactedThinking, Thinking

INCOMPLETE: dict[StopReason, IncompleteReason] = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}


class Form(Struct, frozen=True):
    """How a response is to be written. custom: tools that take free text. namespaces: of tools, by the name offered."""

    custom: frozenset[str] = frozenset()
    namespaces: Mapping[str, Names] = {}
    summaries: bool = False
    sealed: bool = False


class Finished(Struct, frozen=True):
    """A response that has ended. output: its items with their thoughts, whether or not these were asked for."""

    response: ResponseObject
    output: tuple[OutputItem, ...]


class ItemDraft(ABC):
    """An item in the making: what it adds to the stream. Mutable: what was said so far."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index

    def begun(self) -> Iterator[StreamEvent]:
        """The events that open it."""
        yield self.event("response.output_item.added", item=self.whole("in_progress"))

    def done(self, status: Status) -> Iterator[StreamEvent]:
        """The events that close it."""
        yield self.event("response.output_item.done", item=self.whole(status))

    @abstractmethod
    def whole(self, status: Status) -> OutputItem:
        """The item as it stands."""

    def event(self, kind: str, *, item: OutputItem | UnsetType = UNSET, **fields: object) -> StreamEvent:
        """An event of this item's; the number comes later."""
        given = {"item_id": self.id, **fields} if item is UNSET else {"item": item, **fields}
        return StreamEvent(type=kind, sequence_number=0, output_index=self.index, **given)  # pyright: ignore[reportArgumentType]


class MessageDraft(ItemDraft):
    """Words of the answer, or a refusal. Mutable."""

    def __init__(self, item_id: str, index: int, *, refusal: bool) -> None:
        super().__init__(item_id, index)
        self._refusal = refusal
        self._pieces: list[str] = []

    def begun(self) -> Iterator[StreamEvent]:
        empty = MessageItem(id=self.id, status="in_progress", content=[])
        yield self.event("response.output_item.added", item=empty)
        yield self.event("response.content_part.added", content_index=0, part=self._part())

    def says(self, piece: str) -> Iterator[StreamEvent]:
        """The next words."""
        self._pieces.append(piece)
        if self._refusal:
            yield self.event("response.refusal.delta", content_index=0, delta=piece)
        else:
            yield self.event("response.output_text.delta", content_index=0, delta=piece, logprobs=())

    def done(self, status: Status) -> Iterator[StreamEvent]:
        text = "".join(self._pieces)
        if self._refusal:
            yield self.event("response.refusal.done", content_index=0, refusal=text)
        else:
            yield self.event("response.output_text.done", content_index=0, text=text, logprobs=())
        yield self.event("response.content_part.done", content_index=0, part=self._part())
        yield from super().done(status)

    def whole(self, status: Status) -> MessageItem:
        return MessageItem(id=self.id, status=status, content=[self._part()])

    def _part(self) -> OutputPart:
        text = "".join(self._pieces)
        return OutputRefusal(text) if self._refusal else OutputText(text)


class ThoughtDraft(ItemDraft):
    """A block of thinking. Mutable."""

    def __init__(self, item_id: str, index: int, form: Form) -> None:
        super().__init__(item_id, index)
        self._form = form
        self._pieces: list[str] = []
        self._ended: Thought | None = None

    @property
    def open(self) -> bool:
        """Whether more may come."""
        return self._ended is None

    def thinks(self, piece: str) -> Iterator[StreamEvent]:
        """The next words."""
        if self._form.summaries:
            if not self._pieces:
                empty = SummaryText("")
                yield self.event("response.reasoning_summary_part.added", summary_index=0, part=empty)
            yield self.event("response.reasoning_summary_text.delta", summary_index=0, delta=piece)
        self._pieces.append(piece)

    def signed(self, signature: str) -> None:
        """The proof of all words before it."""
        self._ended = Thinking("".join(self._pieces), signature)

    def redacted(self, block: str) -> None:
        """In place of words."""
        self._ended = RedactedThinking(block)

    def done(self, status: Status) -> Iterator[StreamEvent]:
        if self._form.summaries and self._pieces:
            text = "".join(self._pieces)
            yield self.event("response.reasoning_summary_text.done", summary_index=0, text=text)
            yield self.event("response.reasoning_summary_part.done", summary_index=0, part=SummaryText(text))
        yield from super().done(status)

    def whole(self, status: Status) -> ReasoningItem:
        text = "".join(self._pieces)
        summary = [SummaryText(text)] if text and self._form.summaries else []
        kept = sealed([self._ended]) if self._ended else None
        return ReasoningItem(
            id=self.id, status=status, summary=summary, encrypted_content=kept if self._form.sealed else UNSET
        )

    def remembered(self) -> ReasoningItem:
        """With its proof, for later requests."""
        kept = sealed([self._ended]) if self._ended else None
        return msgspec.structs.replace(self.whole("completed"), encrypted_content=kept)


class CalledDraft(ItemDraft):
    """A call. Mutable."""

    def __init__(self, item_id: str, index: int, call: ToolCall, form: Form) -> None:
        super().__init__(item_id, index)
        self._call = CallDraft(call, custom=call.name in form.custom)
        names = form.namespaces.get(call.name)
        self._name = names.name if names else call.name
        self._namespace = names.namespace if names else UNSET

    def argues(self, piece: str) -> Iterator[StreamEvent]:
        """The next piece of the arguments; free text is inside JSON, and can only be told when that is whole."""
        self._call.arguments += piece
        if piece and not self._call.custom:
            yield self.event("response.function_call_arguments.delta", delta=piece)

    def done(self, status: Status) -> Iterator[StreamEvent]:
        if self._call.custom:
            text = self._call.free_text()
            yield self.event("response.custom_tool_call_input.delta", delta=text)
            yield self.event("response.custom_tool_call_input.done", input=text)
        else:
            if not self._call.arguments:
                yield from self.argues("{}")
            whole = self._call.arguments
            yield self.event("response.function_call_arguments.done", name=self._name, arguments=whole)
        yield from super().done(status)

    def whole(self, status: Status) -> FunctionCallItem | CustomCallItem:
        if self._call.custom:
            return CustomCallItem(
                id=self.id,
                status=status,
                call_id=self._call.id,
                name=self._name,
                namespace=self._namespace,
                input=self._call.free_text(),
            )
        return FunctionCallItem(
            id=self.id,
            status=status,
            call_id=self._call.id,
            name=self._name,
            namespace=self._namespace,
            arguments=self._call.arguments,
        )


class ResponsesEncoder:
    """The answer to one request in the making. Mutable: the response, its items, the number of the next event.

    finished: told of the response when it has ended whole, before its last event is given out.
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

    def event(self, event: Event, choice: int = 0) -> bytes:
        """The events that say `event`; a response is one answer, so `choice` is always 0."""
        assert choice == 0
        return b"".join(self._written(each) for each in self._events(event))

    def whole(self) -> bytes:
        """The response, as one object."""
        return encoder.encode(self._response)

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem)

    def _events(self, event: Event) -> Iterator[StreamEvent]:
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
                error = ResponseError(problem.code, problem.message)
                self._response = msgspec.structs.replace(
                    self._response, status="failed", error=error, output=list(self._done)
                )
                yield self._told("response.failed")
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
        self._response = msgspec.structs.replace(
            self._response,
            status=status,
            completed_at=None if reason else self._clock(),
            incomplete_details=IncompleteDetails(reason) if reason else None,
            output=list(self._done),
            usage=usage(done.usage, done.cost_usd),
        )
        remembered = [
            draft.remembered() if isinstance(draft, ThoughtDraft) else item
            for draft, item in zip(self._items, self._done, strict=True)
        ]
        self._finished(Finished(self._response, tuple(remembered)))
        yield self._told(f"response.{status}")

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
        return b"event: " + event.type.encode() + b"\n" + data(encoder.encode(numbered))


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
