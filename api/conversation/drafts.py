"""Drafts of messages: puts tool results behind their calls, and separates system texts from messages. Pure.

Invariants: each call has one result, directly behind the assistant message with the call. Any other conversation raises a
Problem that names the ids.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from msgspec import Struct

from api.core.problems import Problem, invalid_problem
from api.media.blocks import OfficeDocument, RemoteMedia
from shared.turn import (
    Document,
    Image,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolUse,
)

type PartBlock = Text | Image | Document | RemoteMedia | OfficeDocument
type DraftBlock = PartBlock | Thinking | RedactedThinking | ToolUse | DraftResult


class DraftResult(Struct, frozen=True):
    """A tool result. Its images and documents may still have to be fetched."""

    tool_use_id: str
    content: tuple[PartBlock, ...]
    is_error: bool = False


class Draft(Struct, frozen=True):
    """A message. Its images and documents may still have to be fetched. where: its place in the request."""

    role: Role
    content: tuple[DraftBlock, ...]
    where: str


class _Entry(Struct):
    """A message being built. Mutable: its blocks, and the results of its calls.

    number: the number of its last draft. results: each with the number of the draft that holds it.
    """

    role: Role
    content: tuple[DraftBlock, ...]
    where: str
    number: int
    results: list[tuple[int, DraftResult]] = []


def order_drafts(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """Returns the drafts with every tool result directly behind the message with its call, as the service requires.

    All results of a message become one draft. Messages between a call and its result come after the result, in their
    order. Consecutive assistant messages become one if the results of their calls come after all of them. Raises
    Problem (400) for a result without a call, a second result, a call id that is used again before its result, and a
    call without a result.
    """
    entries: list[_Entry] = []
    open_calls: dict[str, _Entry] = {}
    answered: set[str] = set()
    for number, draft in enumerate(drafts):
        results = [block for block in draft.content if isinstance(block, DraftResult)]
        for result in results:
            entry = open_calls.pop(result.tool_use_id, None)
            if entry is None:
                again = result.tool_use_id in answered
                fault = "is the second for its call" if again else "matches no call of an earlier assistant message"
                raise _tool_results_problem(f"The tool result for `{result.tool_use_id}` {fault}.", draft.where)
            entry.results.append((number, result))
            answered.add(result.tool_use_id)
        rest = tuple(block for block in draft.content if not isinstance(block, DraftResult))
        if results and not rest:
            continue
        entry = _join_assistant_message(entries, open_calls, draft, number) or _Entry(
            draft.role, rest, draft.where, number
        )
        if not entries or entry is not entries[-1]:
            entries.append(entry)
        open_calls |= dict.fromkeys(_list_new_calls(draft, open_calls), entry)
    if open_calls:
        where = next(iter(open_calls.values())).where
        raise _tool_results_problem(
            f"The tool calls {_format_ids(list(open_calls))} have no result; send one for each.", where
        )
    ordered = tuple(_attach_results(entries, drafts))
    _check_last_message(drafts, ordered)
    return ordered


def _join_assistant_message(
    entries: Sequence[_Entry], open_calls: Mapping[str, _Entry], draft: Draft, number: int
) -> _Entry | None:
    """Adds a draft to the assistant message directly before it, if a call of that still has no result."""
    last = entries[-1] if entries else None
    if draft.role != "assistant" or last is None or last.role != "assistant" or last.number != number - 1:
        return None
    if not any(entry is last for entry in open_calls.values()):
        return None
    last.content += draft.content
    last.number = number
    return last


def _list_new_calls(draft: Draft, open_calls: Mapping[str, _Entry]) -> list[str]:
    """Returns the ids of a message's calls. Raises Problem if two calls without a result share an id."""
    calls = [block.id for block in draft.content if isinstance(block, ToolUse)]
    if duplicates := [call for call, count in Counter(calls).items() if count > 1]:
        raise _tool_results_problem(f"Several tool calls share an id: {_format_ids(duplicates)}.", draft.where)
    if reused := [call for call in calls if call in open_calls]:
        message = f"The id {_format_ids(reused)} belongs to an earlier tool call that has no result yet."
        raise _tool_results_problem(
            f"{message} Send the result of that call first, or give each call a unique id.", draft.where
        )
    return calls


def _attach_results(entries: Sequence[_Entry], drafts: Sequence[Draft]) -> Iterator[Draft]:
    """Yields each message, then the results of its calls. Text that was sent with results stays with them."""
    with_results: _Entry | None = None
    for entry, after in zip_longest(entries, entries[1:]):
        assert entry
        if entry is not with_results:
            yield Draft(entry.role, entry.content, entry.where)
        if not entry.results:
            continue
        numbers = {number for number, _ in entry.results}
        content: tuple[DraftBlock, ...] = tuple(result for _, result in entry.results)
        if after and after.role == "user" and after.number in numbers:
            with_results = after
            content += after.content
        yield Draft("user", content, drafts[entry.results[0][0]].where)


def _check_last_message(drafts: Sequence[Draft], ordered: Sequence[Draft]) -> None:
    """Raises Problem if a conversation that ends with a result would end with an assistant message."""
    sent, last = _find_last_message(drafts), _find_last_message(ordered)
    if sent and last and sent.role == "user" and last.role == "assistant":
        call = next(block.tool_use_id for block in reversed(sent.content) if isinstance(block, DraftResult))
        message = f"The tool result for `{call}` comes after a later assistant message, which would become the last."
        raise _tool_results_problem(message, sent.where)


def _find_last_message(drafts: Sequence[Draft]) -> Draft | None:
    return next((draft for draft in reversed(drafts) if draft.content and draft.role != "system"), None)


def _tool_results_problem(message: str, where: str) -> Problem:
    rule = (
        "The result of a call may come anywhere after the call: before or after user messages, in any order, in one "
        "message or in several."
    )
    return invalid_problem(f"{message} {rule}", where, "invalid_tool_results")


def _format_ids(ids: list[str]) -> str:
    return ", ".join(f"`{call}`" for call in ids)


def split_system_texts(
    texts: Sequence[str], drafts: Sequence[Draft], missing: Problem
) -> tuple[tuple[str, ...], tuple[Draft, ...]]:
    """Returns the system texts and the conversation, in order.

    texts: system texts from outside of the messages, which come first. System messages before any other message are
    system texts too; later ones keep their place. If no other message has content, the last system text becomes the
    user's message. Raises Problem: `missing` if there is no content at all, and those of `order_drafts`.
    """
    first = next((number for number, draft in enumerate(drafts) if draft.role != "system"), len(drafts))
    leading = [("".join(_iterate_texts(draft)), draft.where) for draft in drafts[:first]]
    system = [*((text, "") for text in texts), *leading]
    rest = drafts[first:]
    if has_content(rest):
        return tuple(text for text, _ in system), order_drafts(rest)
    later = [number for number, draft in enumerate(rest) if draft.role == "system" and _has_text(draft)]
    if later:
        prompt = rest[later[-1]]
        rest = [*rest[: later[-1]], Draft("user", prompt.content, prompt.where), *rest[later[-1] + 1 :]]
    else:
        number = next((at for at, (text, _) in reversed(list(enumerate(system))) if text.strip()), None)
        if number is None:
            raise missing
        text, where = system.pop(number)
        rest = [Draft("user", (Text(text),), where), *rest]
    return tuple(text for text, _ in system), order_drafts(rest)


def _iterate_texts(draft: Draft) -> Iterator[str]:
    return (block.text for block in draft.content if isinstance(block, Text))


def _has_text(draft: Draft) -> bool:
    return any(text.strip() for text in _iterate_texts(draft))


def has_content(drafts: Sequence[Draft]) -> bool:
    """Whether there is anything for the model to answer. System messages and thinking do not count."""
    blocks = [block for draft in drafts if draft.role != "system" for block in draft.content]
    return any(
        block.text.strip() if isinstance(block, Text) else not isinstance(block, Thinking | RedactedThinking)
        for block in blocks
    )
