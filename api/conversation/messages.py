"""Builds the messages of a turn from drafts: fetches and converts their images and documents."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol, cast

from api.conversation.drafts import Draft, DraftBlock, DraftResult, PartBlock
from api.core.problems import Problem, invalid_problem
from api.media.blocks import OfficeDocument, RemoteDocument, RemoteMedia, media_problem
from api.media.fetcher import MAX_DOCUMENTS_PER_REQUEST, MAX_FETCHES_PER_REQUEST
from shared.turn import Block, Document, Image, Message, RedactedThinking, Text, Thinking, ToolResult, ToolUse

MESSAGES_PER_PAUSE = 500

type DocumentConverter = Callable[[OfficeDocument], Awaitable[Document]]


async def reject_document(document: OfficeDocument) -> Document:
    """Raises Problem (503): no converter is available."""
    raise media_problem(
        "tools_unavailable", "office documents are not converted here. Send it as PDF or text.", document.where, 503
    )


class MediaFetcher(Protocol):
    """Fetches images and documents."""

    async def fetch_part(self, remote: RemoteMedia) -> Image | Document | OfficeDocument:
        """Returns the image or document. Raises Problem."""
        ...


async def build_messages(
    drafts: Sequence[Draft], fetcher: MediaFetcher, convert: DocumentConverter = reject_document
) -> tuple[Message, ...]:
    """Returns the messages, with every image and document fetched and converted. Raises Problem."""
    sent = [part async for draft in _iterate_with_pauses(drafts) for part in _list_parts(draft)]
    remotes = [part for part in sent if isinstance(part, RemoteMedia)]
    _check_fetch_count(
        [remote for remote in remotes if isinstance(remote, RemoteDocument)], MAX_DOCUMENTS_PER_REQUEST, "documents"
    )
    _check_fetch_count(remotes, MAX_FETCHES_PER_REQUEST, "images and documents")
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [(remote, group.create_task(fetcher.fetch_part(remote))) for remote in remotes]
    except* Problem as problems:
        raise cast("Problem", problems.exceptions[0]) from None
    fetched = {remote: task.result() for remote, task in tasks}
    # One after the other: each occupies a slot of a tools executor and counts as a running job of its key.
    office_documents = [part for part in (*sent, *fetched.values()) if isinstance(part, OfficeDocument)]
    converted = {part: await convert(part) for part in office_documents}

    def resolve_part(part: PartBlock) -> Text | Image | Document:
        block = fetched[part] if isinstance(part, RemoteMedia) else part
        return converted[block] if isinstance(block, OfficeDocument) else block

    def resolve_block(block: DraftBlock) -> Block:
        match block:
            case DraftResult(call, content, is_error):
                return ToolResult(call, tuple(resolve_part(part) for part in content), is_error)
            case ToolUse() | Thinking() | RedactedThinking():
                return block
            case _:
                return resolve_part(block)

    messages = [
        Message(draft.role, tuple(resolve_block(block) for block in draft.content))
        async for draft in _iterate_with_pauses(drafts)
    ]
    return tuple(messages)


def _check_fetch_count(remotes: Sequence[RemoteMedia], limit: int, kind: str) -> None:
    if len(remotes) > limit:
        where = remotes[limit].where
        raise invalid_problem(f"`{where}`: up to {limit} {kind} are fetched; send others as base64.", where)


async def _iterate_with_pauses(drafts: Sequence[Draft]) -> AsyncGenerator[Draft]:
    """Yields the drafts; lets other tasks run in between, because a conversation may be long."""
    for number, draft in enumerate(drafts):
        if number % MESSAGES_PER_PAUSE == MESSAGES_PER_PAUSE - 1:
            await asyncio.sleep(0)
        yield draft


def _list_parts(draft: Draft) -> list[DraftBlock]:
    inner = [part for block in draft.content if isinstance(block, DraftResult) for part in block.content]
    return [*draft.content, *inner]
