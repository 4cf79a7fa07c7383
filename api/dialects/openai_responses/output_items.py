"""The items of a response in the making: what each adds to the stream, and the item as it stands. Pure.

Invariants: an item is added, told and done by itself; its deltas, put together, are what its end and the item say.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.call_draft import CallDraft
from api.conversation.items import Thought, seal_thoughts
from api.dialects.openai_responses.output import (
    CustomCallItem,
    FunctionCallItem,
    MessageItem,
    OutputItem,
    OutputPart,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    ResponseStatus,
    StreamEvent,
    SummaryText,
)
from api.dialects.openai_responses.tools import NamespacedName
from shared.events import ToolCall
from shared.turn import RedactedThinking, Thinking


class ResponsesOutputOptions(Struct, frozen=True):
    """How a response is to be written. custom: tools that take free text. namespaces: of tools, by the name offered."""

    custom: frozenset[str] = frozenset()
    namespaces: Mapping[str, NamespacedName] = {}
    show_summaries: bool = False
    include_encrypted: bool = False


class ItemDraft(ABC):
    """An item in the making: what it adds to the stream. Mutable: what was said so far."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index

    def start(self) -> Iterator[StreamEvent]:
        """The events that open it."""
        yield self.build_event("response.output_item.added", item=self.build_item("in_progress"))

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        """The events that close it."""
        yield self.build_event("response.output_item.done", item=self.build_item(status))

    @abstractmethod
    def build_item(self, status: ResponseStatus) -> OutputItem:
        """The item as it stands."""

    def build_event(self, kind: str, *, item: OutputItem | UnsetType = UNSET, **fields: object) -> StreamEvent:
        """An event of this item's; the number comes later."""
        given = {"item_id": self.id, **fields} if item is UNSET else {"item": item, **fields}
        return StreamEvent(type=kind, sequence_number=0, output_index=self.index, **given)  # pyright: ignore[reportArgumentType]


class MessageDraft(ItemDraft):
    """Words of the answer, or a refusal. Mutable."""

    def __init__(self, item_id: str, index: int, *, refusal: bool) -> None:
        super().__init__(item_id, index)
        self._refusal = refusal
        self._pieces: list[str] = []

    def start(self) -> Iterator[StreamEvent]:
        empty = MessageItem(id=self.id, status="in_progress", content=[])
        yield self.build_event("response.output_item.added", item=empty)
        yield self.build_event("response.content_part.added", content_index=0, part=self._build_part())

    def add_text(self, piece: str) -> Iterator[StreamEvent]:
        """The next words."""
        self._pieces.append(piece)
        if self._refusal:
            yield self.build_event("response.refusal.delta", content_index=0, delta=piece)
        else:
            yield self.build_event("response.output_text.delta", content_index=0, delta=piece, logprobs=())

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        text = "".join(self._pieces)
        if self._refusal:
            yield self.build_event("response.refusal.done", content_index=0, refusal=text)
        else:
            yield self.build_event("response.output_text.done", content_index=0, text=text, logprobs=())
        yield self.build_event("response.content_part.done", content_index=0, part=self._build_part())
        yield from super().finish(status)

    def build_item(self, status: ResponseStatus) -> MessageItem:
        return MessageItem(id=self.id, status=status, content=[self._build_part()])

    def _build_part(self) -> OutputPart:
        text = "".join(self._pieces)
        return OutputRefusal(text) if self._refusal else OutputText(text)


class ThoughtDraft(ItemDraft):
    """A block of thinking. Mutable."""

    def __init__(self, item_id: str, index: int, form: ResponsesOutputOptions) -> None:
        super().__init__(item_id, index)
        self._form = form
        self._pieces: list[str] = []
        self._thought: Thought | None = None

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return self._thought is None

    def add_text(self, piece: str) -> Iterator[StreamEvent]:
        """The next words."""
        if self._form.show_summaries:
            if not self._pieces:
                empty = SummaryText("")
                yield self.build_event("response.reasoning_summary_part.added", summary_index=0, part=empty)
            yield self.build_event("response.reasoning_summary_text.delta", summary_index=0, delta=piece)
        self._pieces.append(piece)

    def set_signature(self, signature: str) -> None:
        """The proof of all words before it."""
        self._thought = Thinking("".join(self._pieces), signature)

    def set_redacted(self, block: str) -> None:
        """In place of words."""
        self._thought = RedactedThinking(block)

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        if self._form.show_summaries and self._pieces:
            text = "".join(self._pieces)
            yield self.build_event("response.reasoning_summary_text.done", summary_index=0, text=text)
            yield self.build_event("response.reasoning_summary_part.done", summary_index=0, part=SummaryText(text))
        yield from super().finish(status)

    def build_item(self, status: ResponseStatus) -> ReasoningItem:
        text = "".join(self._pieces)
        summary = [SummaryText(text)] if text and self._form.show_summaries else []
        kept = seal_thoughts([self._thought]) if self._thought else None
        return ReasoningItem(
            id=self.id,
            status=status,
            summary=summary,
            encrypted_content=kept if self._form.include_encrypted else UNSET,
        )

    def build_stored_item(self) -> ReasoningItem:
        """With its proof, for later requests."""
        kept = seal_thoughts([self._thought]) if self._thought else None
        return msgspec.structs.replace(self.build_item("completed"), encrypted_content=kept)


class ToolCallDraft(ItemDraft):
    """A call. Mutable."""

    def __init__(self, item_id: str, index: int, call: ToolCall, form: ResponsesOutputOptions) -> None:
        super().__init__(item_id, index)
        self._call = CallDraft(call, custom=call.name in form.custom)
        names = form.namespaces.get(call.name)
        self._name = names.name if names else call.name
        self._namespace = names.namespace if names else UNSET

    def add_arguments(self, piece: str) -> Iterator[StreamEvent]:
        """The next piece of the arguments; free text is inside JSON, and can only be told when that is whole."""
        self._call.arguments += piece
        if piece and not self._call.custom:
            yield self.build_event("response.function_call_arguments.delta", delta=piece)

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        if self._call.custom:
            text = self._call.parse_free_text()
            yield self.build_event("response.custom_tool_call_input.delta", delta=text)
            yield self.build_event("response.custom_tool_call_input.done", input=text)
        else:
            if not self._call.arguments:
                yield from self.add_arguments("{}")
            whole = self._call.arguments
            yield self.build_event("response.function_call_arguments.done", name=self._name, arguments=whole)
        yield from super().finish(status)

    def build_item(self, status: ResponseStatus) -> FunctionCallItem | CustomCallItem:
        if self._call.custom:
            return CustomCallItem(
                id=self.id,
                status=status,
                call_id=self._call.id,
                name=self._name,
                namespace=self._namespace,
                input=self._call.parse_free_text(),
            )
        return FunctionCallItem(
            id=self.id,
            status=status,
            call_id=self._call.id,
            name=self._name,
            namespace=self._namespace,
            arguments=self._call.arguments,
        )
