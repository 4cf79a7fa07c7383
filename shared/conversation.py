"""Identifies conversations: the digests by which a request finds the CLI process that holds the conversation before it. Pure.

Invariants: requests with the same `handle` continue the same conversation of the same key, on the same terms. A digest can't
be turned back into text. Two forms of one content have one digest: how an answer's text is divided, blank texts, and the
white space and order of keys in a call's arguments do not count; everything else does.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from msgspec import Struct, structs

from shared.turn import Block, Message, RedactedThinking, Text, Thinking, ToolResult, ToolUse, Turn

# In hexadecimal digits.
DIGEST_LENGTH = 32
THINKING_BLOCKS = Thinking | RedactedThinking

_encoder = msgspec.msgpack.Encoder()


class Conversation(Struct, frozen=True):
    """The conversation that a request continues, as digests.

    key: the caller's key. model, system, tools, settings: the terms. opening: the first message. history: the messages up to
    the last answer; empty if there is none. messages: all of them. problem: why the request continues no conversation, as a
    reason of a replay.
    """

    key: str
    model: str
    system: str
    tools: str
    settings: str
    opening: str
    history: str
    messages: str
    problem: str = ""

    @property
    def handle(self) -> str:
        """The digest of everything."""
        return _digest((self.key, self.model, self.system, self.tools, self.settings, self.history))


def identify(turn: Turn, key: str) -> Conversation:
    """Identifies the conversation that a turn continues. key: of the caller; conversations of different keys differ."""
    history, new = split_history(turn.messages)
    history_digest = _digest_messages(history)
    return Conversation(
        key,
        turn.model,
        _digest(turn.system),
        _digest(turn.tools),
        _digest((turn.schema, turn.effort, turn.max_tokens, turn.max_budget_usd, turn.include_thinking_text)),
        _digest_messages(turn.messages[:1]),
        history_digest,
        _digest_messages(new, history_digest),
        _find_problem(history, new),
    )


def identify_next(conversation: Conversation, answer: Sequence[Block]) -> tuple[Conversation, ...]:
    """Identifies the conversation after the answer: with the answer's thinking and, if it has any, without.

    Clients of some APIs do not receive the thinking, and others may leave it out.
    """
    without = [block for block in answer if not isinstance(block, THINKING_BLOCKS)]
    forms = [answer] if len(without) == len(answer) else [answer, without]
    digests = [_digest_messages([Message("assistant", tuple(form))], conversation.messages) for form in forms]
    return tuple(structs.replace(conversation, history=digest, messages=digest, problem="") for digest in digests)


def split_history(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """Returns the messages up to the last answer, and the new ones after it."""
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    end = answers[-1] + 1 if answers else 0
    return messages[:end], messages[end:]


def _find_problem(history: Sequence[Message], new: Sequence[Message]) -> str:
    if not history:
        return "first_turn"
    if not new:
        return "ends_with_answer"
    calls: list[str] = []
    for message in reversed(history):
        if message.role != "assistant":
            break
        calls += [block.id for block in message.content if isinstance(block, ToolUse)]
    results = [block.tool_use_id for message in new for block in message.content if isinstance(block, ToolResult)]
    return "" if sorted(calls) == sorted(results) else "open_calls"


def _digest_messages(messages: Iterable[Message], before: str = "") -> str:
    """Returns the digest of messages. before: that of the messages before them, which end with another role."""
    visible = ((message.role, block) for message in messages for block in message.content if not _is_blank(block))
    digest = before
    for role, row in groupby(visible, lambda item: item[0]):
        blocks = (block for _, block in row)
        hashed = hashlib.sha256(digest.encode())
        hashed.update(role.encode())
        for block in _join_texts(blocks) if role == "assistant" else blocks:
            hashed.update(_encoder.encode(_normalize(block)))
        digest = hashed.hexdigest()[:DIGEST_LENGTH]
    return digest


def _join_texts(blocks: Iterable[Block]) -> Iterator[Block]:
    for is_text, group in groupby(blocks, lambda block: isinstance(block, Text)):
        if is_text:
            yield Text("".join(block.text for block in group if isinstance(block, Text)))
        else:
            yield from group


def _normalize(block: Block) -> Block:
    if not isinstance(block, ToolUse):
        return block
    try:
        # Numbers stay text: long ones would take the time of their square.
        value = json.loads(block.arguments or "{}", parse_int=_tag_number, parse_float=_tag_number)
        arguments = json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        arguments = block.arguments
    return ToolUse(block.id, block.name, arguments)


def _tag_number(text: str) -> dict[str, str]:
    return {"number": text}


def _is_blank(block: Block) -> bool:
    return isinstance(block, Text) and not block.text.strip()


def _digest(value: object) -> str:
    return hashlib.sha256(_encoder.encode(value)).hexdigest()[:DIGEST_LENGTH]
