"""Drafts of a response's output items: each yields the item's stream events and builds the item. Pure.

Invariants: each item has its own `added`, delta and `done` events. Its deltas joined are the content of the `done` event
and of the item.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.items import Thought, seal_thoughts
from api.dialects.call_draft import CallDraft
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
    """How to render a response. custom: the tools that take free text. namespaces: by the name of the offered tool."""

    custom: frozenset[str] = frozenset()
    namespaces: Mapping[str, NamespacedName] = {}
    show_summaries: bool = False
    include_encrypted: bool = False


class ItemDraft(ABC):
    """An item in progress. Mutable: its content so far."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index

    def start(self) -> Iterator[StreamEvent]:
        """Yields the events that open the item."""
        yield self.build_event("response.output_item.added", item=self.build_item("in_progress"))

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        """Yields the events that close the item."""
        yield self.build_event("response.output_item.done", item=self.build_item(status))

    @abstractmethod
    def build_item(self, status: ResponseStatus) -> OutputItem:
        """Returns the item in its current state."""

    def build_event(self, kind: str, *, item: OutputItem | UnsetType = UNSET, **fields: object) -> StreamEvent:
        """Returns an event of this item. Its sequence number is set later."""
        subject = {"item_id": self.id} if item is UNSET else {"item": item}
        return StreamEvent(type=kind, sequence_number=0, output_index=self.index, **subject, **fields)  # pyright: ignore[reportArgumentType]


class MessageDraft(ItemDraft):
    """The answer's text, or a refusal. Mutable."""

    def __init__(self, item_id: str, index: int, *, refusal: bool) -> None:
        super().__init__(item_id, index)
        self._refusal = refusal
        self._pieces: list[str] = []

    def start(self) -> Iterator[StreamEvent]:
        empty = MessageItem(id=self.id, status="in_progress", content=[])
        yield self.build_event("response.output_item.added", item=empty)
        yield self.build_event("response.content_part.added", content_index=0, part=self._build_part())

    def add_text(self, piece: str) -> Iterator[StreamEvent]:
        """Adds text and yields its events."""
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
    """A thinking block. Mutable."""

    def __init__(self, item_id: str, index: int, options: ResponsesOutputOptions) -> None:
        super().__init__(item_id, index)
        self._options = options
        self._pieces: list[str] = []
        self._thought: Thought | None = None

    @property
    def is_open(self) -> bool:
        """Whether the block can take more text."""
        return self._thought is None

    def add_text(self, piece: str) -> Iterator[StreamEvent]:
        """Adds text and yields its events."""
        if self._options.show_summaries:
            if not self._pieces:
                empty = SummaryText("")
                yield self.build_event("response.reasoning_summary_part.added", summary_index=0, part=empty)
            yield self.build_event("response.reasoning_summary_text.delta", summary_index=0, delta=piece)
        self._pieces.append(piece)

    def set_signature(self, signature: str) -> None:
        """Ends the block with the signature of its text."""
        self._thought = Thinking("".join(self._pieces), signature)

    def set_redacted(self, block: str) -> None:
        """Ends the block with redacted thinking, which replaces the text."""
        self._thought = RedactedThinking(block)

    def finish(self, status: ResponseStatus) -> Iterator[StreamEvent]:
        if self._options.show_summaries and self._pieces:
            text = "".join(self._pieces)
            yield self.build_event("response.reasoning_summary_text.done", summary_index=0, text=text)
            yield self.build_event("response.reasoning_summary_part.done", summary_index=0, part=SummaryText(text))
        yield from super().finish(status)

    def build_item(self, status: ResponseStatus) -> ReasoningItem:
        text = "".join(self._pieces)
        summary = [SummaryText(text)] if text and self._options.show_summaries else []
        sealed = self._seal() if self._options.include_encrypted else UNSET
        return ReasoningItem(id=self.id, status=status, summary=summary, encrypted_content=sealed)

    def build_stored_item(self) -> ReasoningItem:
        """Returns the item with its sealed thinking, for later requests."""
        return msgspec.structs.replace(self.build_item("completed"), encrypted_content=self._seal())

    def _seal(self) -> str | None:
        return seal_thoughts([self._thought]) if self._thought else None


class ToolCallDraft(ItemDraft):
    """A tool call. Mutable."""

    def __init__(self, item_id: str, index: int, call: ToolCall, options: ResponsesOutputOptions) -> None:
        super().__init__(item_id, index)
        self._call = CallDraft(call, custom=call.name in options.custom)
        names = options.namespaces.get(call.name)
        self._name = names.name if names else call.name
        self._namespace = names.namespace if names else UNSET

    def add_arguments(self, piece: str) -> Iterator[StreamEvent]:
        """Adds a piece of the arguments. Free text is inside JSON, so it is sent only when the JSON is complete."""
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
            arguments = self._call.arguments
            yield self.build_event("response.function_call_arguments.done", name=self._name, arguments=arguments)
        yield from super().finish(status)

    def build_item(self, status: ResponseStatus) -> FunctionCallItem | CustomCallItem:
        fields: dict[str, Any] = {
            "id": self.id,
            "status": status,
            "call_id": self._call.id,
            "name": self._name,
            "namespace": self._namespace,
        }
        if self._call.custom:
            return CustomCallItem(**fields, input=self._call.parse_free_text())
        return FunctionCallItem(**fields, arguments=self._call.arguments)
