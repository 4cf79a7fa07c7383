"""What every dialect asks of a conversation, once it is read: calls and results that belong together, pictures fetched.

Law: each result answers one call of the assistant's message before it, each call has one result, and a client that got
this wrong is told the ids.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import cast

from msgspec import Struct

from api.fetch import MOST_DOCUMENTS, Fetcher
from api.media import Remote, RemoteDocument
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

type PartBlock = Text | Image | Document | Remote
type DraftBlock = PartBlock | Thinking | RedactedThinking | ToolUse | DraftResult


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


def ordered(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """The drafts, with every tool result behind its call. Raises Problem (400)."""
    paired(drafts)
    return tuple(drafts)


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


async def messages(drafts: Sequence[Draft], fetcher: Fetcher) -> tuple[Message, ...]:
    """The drafts with every picture in them. Raises Problem (400, 413)."""
    remotes = [part for draft in drafts for part in _parts(draft) if isinstance(part, Remote)]
    if len(documents := [remote for remote in remotes if isinstance(remote, RemoteDocument)]) > MOST_DOCUMENTS:
        where = documents[MOST_DOCUMENTS].where
        raise invalid(f"`{where}`: up to {MOST_DOCUMENTS} documents are fetched; send others as base64.", where)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(remote, group.create_task(fetcher.part(remote))) for remote in remotes]
    except* Problem as problems:
        raise cast("Problem", problems.exceptions[0]) from None
    pictures = {remote: task.result() for remote, task in tasks}

    def whole(part: PartBlock) -> Text | Image | Document:
        return pictures[part] if isinstance(part, Remote) else part

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
