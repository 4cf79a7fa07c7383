"""A conversation as the service takes it: nothing is lost, moved or merged that it would take as it is."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.request.blocks import Json, WireTools
from executor.claude.request.messages import (
    CONTINUE_INSTRUCTION,
    add_cache_marks,
    has_thinking,
    strip_thinking,
    to_wire_messages,
)
from executor.claude.request.model_rules import PERMISSIVE_RULES, ModelRules, find_rules
from executor.claude.request.tool_names import TOOL_NAME, WireNames
from shared.turn import Document, Image, Message, RedactedThinking, Role, Text, Thinking, ToolResult, ToolUse
from tests.support.built_values import awkward, blank, conversations, spoken, texts_of

NEW = find_rules("claude-sonnet-5-5")
OLD = find_rules("claude-sonnet-4-5")


def sent(*messages: Message, rules: ModelRules = NEW) -> list[Any]:
    return to_wire_messages(messages, WireTools(WireNames((), TOOL_NAME), {}), rules)


def said(role: Role, *texts: str) -> Message:
    return Message(role, tuple(map(Text, texts)))


def texts(message: Any) -> list[str]:
    return [block["text"] for block in message["content"]]


@pytest.mark.wire(3)
@given(conversations(spoken | blank | awkward))
def test_every_text_arrives_in_its_own_role_and_order_byte_for_byte(messages: tuple[Message, ...]):
    """Texts without a visible character are left out; users in a row are one message, assistants stay apart."""
    spoken_ones = [(message.role, [text for text in texts_of(message) if text.strip()]) for message in messages]
    expected: list[tuple[str, list[str]]] = []
    for role, words in spoken_ones:
        if words and role == "user" and expected and expected[-1][0] == "user":
            expected[-1][1].extend(words)
        elif words:
            expected.append((role, list(words)))
    assert [(message["role"], texts(message)) for message in sent(*messages, rules=PERMISSIVE_RULES)] == expected


@given(conversations(spoken | blank))
def test_no_two_user_messages_are_neighbours(messages: tuple[Message, ...]):
    """The service would join them."""
    roles = [message["role"] for message in sent(*messages)]
    assert ("user", "user") not in pairwise(roles)


def test_a_model_that_refuses_a_beginning_is_asked_to_go_on():
    """Others take the assistant's message as the beginning of their answer."""
    conversation = (said("user", "Write."), said("assistant", "An old"))
    assert [message["role"] for message in sent(*conversation, rules=OLD)] == ["user", "assistant"]
    assert texts(sent(*conversation)[-1]) == [CONTINUE_INSTRUCTION]


def test_an_instruction_in_the_middle_follows_the_users_message_of_its_row():
    """Wherever in the row it was given; earlier messages stay as they are."""
    conversation = (
        said("user", "a"),
        said("assistant", "b"),
        said("system", "one"),
        said("user", "c"),
        said("system", "two"),
    )
    roles = [(message["role"], texts(message)) for message in sent(*conversation)]
    assert roles == [("user", ["a"]), ("assistant", ["b"]), ("user", ["c"]), ("system", ["one", "two"])]
    assert sent(*conversation)[:2] == sent(*conversation[:1], said("assistant", "b"), said("user", "x"))[:2]


@pytest.mark.parametrize(
    ("rules", "conversation"),
    [(OLD, ("user", "system")), (NEW, ("assistant", "system")), (NEW, ("system",)), (OLD, ("system", "user"))],
)
def test_where_no_system_message_may_stand_it_is_a_reminder(rules: ModelRules, conversation: tuple[Role, ...]):
    """In a user's message, as the CLI itself words it."""
    made = sent(said("user", "q"), said("assistant", "a"), *(said(role, role) for role in conversation), rules=rules)
    assert all(message["role"] != "system" for message in made)
    assert "<system-reminder>\nsystem\n</system-reminder>" in texts(made[-1])


def test_results_come_before_words_and_pictures_of_failed_calls_behind_them():
    """The service wants results first, and takes nothing but text in one that is an error."""
    picture = Image("image/png", "AAAA")
    call = Message("assistant", (ToolUse("a", "f", "{}"), Text("behind"), ToolUse("b", "f", "{}")))
    answer = Message(
        "user", (Text("words"), ToolResult("b", (Text("no"), picture), is_error=True), ToolResult("a", (picture,)))
    )
    _, assistant, user = sent(said("user", "q"), call, answer)
    assert [block["type"] for block in assistant["content"]] == ["tool_use", "text", "tool_use"]
    assert [block["type"] for block in user["content"]] == ["tool_result", "tool_result", "text", "image"]
    failed, fine = user["content"][:2]
    assert failed["content"] == [{"type": "text", "text": "no"}]
    assert failed["is_error"] is True
    assert [part["type"] for part in fine["content"]] == ["image"]


def test_calls_of_assistants_in_a_row_are_one_message():
    """Their results must come in the next one."""
    made = sent(
        Message("assistant", (ToolUse("a", "f", "{}"),)),
        Message("assistant", (ToolUse("b", "f", "{}"),)),
        Message("user", (ToolResult("a", ()), ToolResult("b", ()))),
    )
    assert [len(message["content"]) for message in made] == [2, 2]


def test_thinking_goes_back_unchanged_and_nothing_but_thinking_is_left_out():
    """Words around a message that is left out are then neighbours."""
    thought = (Thinking("", "c2ln"), RedactedThinking("ZA=="))
    made = sent(said("user", "a"), Message("assistant", (*thought, Text("b"))), said("user", "c"))
    assert made[1]["content"][:2] == [
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZA=="},
    ]
    assert has_thinking(made)
    assert not has_thinking(strip_thinking(made))
    assert texts(strip_thinking(made)[1]) == ["b"]
    alone = sent(said("user", "a"), Message("assistant", thought), said("user", "c"))
    assert [texts(message) for message in alone] == [["a", "c"]]


def test_a_document_keeps_its_title_and_what_is_said_of_it():
    """Text as text, a PDF as its bytes."""
    documents = (Document("text/plain", "words", "t", "c"), Document("application/pdf", "JVBE"))
    [message] = sent(Message("user", documents))
    assert message["content"] == [
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            "title": "t",
            "context": "c",
        },
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
    ]


def marks(messages: list[Json]) -> list[tuple[int, Any]]:
    return [(at, m["content"][-1].get("cache_control")) for at, m in enumerate(messages) if m["role"] == "user"]  # type: ignore[index]


@given(st.integers(1, 6), st.sampled_from(["5m", "1h"]))
def test_the_last_two_user_messages_are_marked_for_the_cache(turns: int, ttl: str):
    """The one before is where the last request ended."""
    conversation = [said("user" if at % 2 == 0 else "assistant", str(at)) for at in range(2 * turns - 1)]
    marked = marks(add_cache_marks(sent(*conversation), ttl))
    mark = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": "1h"}
    assert [found for _, found in marked] == [None] * (turns - 2) + [mark] * min(turns, 2)
