"""What every dialect asks of a conversation, once it is read: calls and results that belong together, pictures fetched.

Law: each result answers one call of the assistant's message before it, each call has one result, and a client that got
this wrong is told the ids.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from msgspec import Struct

from api.fetch import Fetcher
from api.media import OfficeDocument, Remote, refused
from api.problems import Problem, invalid
from shared.turn import (
    Block,
    Document,
    Image,
    Message,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

type PartBlock = Text | Image | Document | Remote | OfficeDocument
type DraftBlock = PartBlock | Thinking | RedactedThinking | ToolUse | DraftResult
type Convert = Callable[[OfficeDocument], Awaitable[Document]]


class DraftResult(Struct, frozen=True):
    """A tool's result with pictures that may still have to be fetched."""

    tool_use_id: str
    content: tuple[PartBlock, ...]
    is_error: bool = False


class Draft(Struct, frozen=True):
    """A message with pictures that may still have to be fetched. where: its place in the request."""

    role: Role
    content: tuple[DraftBlock, ...]
    where: str


def paired(drafts: Sequence[Draft]) -> None:
    """Check that calls and results belong together. Raises Problem (400)."""
    open_calls: dict[str, str] = {}
    for draft in drafts:
        results = [block for block in draft.content if isinstance(block, DraftResult)]
        for result in results:
            if result.tool_use_id not in open_calls:
                raise _unpaired(
                    f"The tool result for `{result.tool_use_id}` answers no call of the assistant's message before it, "
                    "or answers it a second time.",
                    draft.where,
                )
            del open_calls[result.tool_use_id]
        if draft.role == "assistant" or any(not isinstance(block, DraftResult) for block in draft.content):
            _all_answered(open_calls)
        calls = [block.id for block in draft.content if isinstance(block, ToolUse)]
        if twice := [call for call, count in Counter(calls).items() if count > 1]:
            raise _unpaired(f"Several tool calls share an id: {_ids(twice)}.", draft.where)
        open_calls.update(dict.fromkeys(calls, draft.where))
    _all_answered(open_calls)


def _all_answered(open_calls: dict[str, str]) -> None:
    if open_calls:
        where = next(iter(open_calls.values()))
        raise _unpaired(f"The tool calls {_ids(list(open_calls))} have no result; send one for each.", where)


def _unpaired(message: str, where: str) -> Problem:
    return invalid(message, where, "invalid_tool_results")


def _ids(ids: list[str]) -> str:
    return ", ".join(f"`{call}`" for call in ids)


def says_something(drafts: Sequence[Draft]) -> bool:
    """Whether there is anything for the model to answer; its own thinking is nothing of the kind."""
    blocks = [block for draft in drafts for block in draft.content]
    return any(
        block.text.strip() if isinstance(block, Text) else not isinstance(block, Thinking | RedactedThinking)
        for block in blocks
    )


async def unconverted(document: OfficeDocument) -> Document:
    """Refuse an office document, where there is nothing that converts one. Raises Problem (503)."""
    raise refused("no_tools", "office documents are not converted here. Send it as PDF or text.", document.where, 503)


async def messages(drafts: Sequence[Draft], fetcher: Fetcher, convert: Convert = unconverted) -> tuple[Message, ...]:
    """The drafts with every picture and document in them. Raises Problem."""
    remotes = [part for draft in drafts for part in _parts(draft) if isinstance(part, Remote)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(remote, group.create_task(fetcher.image(remote))) for remote in remotes]
    except* Problem as problems:
        raise cast("Problem", problems.exceptions[0]) from None
    pictures = {remote: task.result() for remote, task in tasks}
    # One after the other: each takes a place of a tools executor, and one of its key's.
    documents = {
        part: await convert(part) for draft in drafts for part in _parts(draft) if isinstance(part, OfficeDocument)
    }

    def whole(part: PartBlock) -> Text | Image | Document:
        match part:
            case Remote():
                return pictures[part]
            case OfficeDocument():
                return documents[part]
            case _:
                return part

    def block(draft: DraftBlock) -> Block:
        match draft:
            case DraftResult(call, content, is_error):
                return ToolResult(call, tuple(whole(part) for part in content), is_error)
            case ToolUse() | Thinking() | RedactedThinking():
                return draft
            case _:
                return whole(draft)

    return tuple(Message(draft.role, tuple(block(part) for part in draft.content)) for draft in drafts)


def _parts(draft: Draft) -> list[DraftBlock]:
    inner = [part for block in draft.content if isinstance(block, DraftResult) for part in block.content]
    return [*draft.content, *inner]
