"""A system message reaches the model where it was sent."""

from typing import Any

import pytest

from shared.turn import Text
from tests.support.messages_requests import HI, assistant, call, problem, system, user_says


@pytest.mark.wire(73)
def test_a_system_message_stays_where_it_was_sent():
    """Those before the first message are system texts; Claude Code sends more after the user's words."""
    one = [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}]
    blocks = [{"type": "text", "text": "3"}, {"type": "text", "text": "4"}]
    sent = [system("two"), *HI, system(blocks), assistant("yes"), user_says("go"), system("5")]
    understood = call(system=one, messages=sent)
    assert understood.system == ("one", "two")
    assert [(draft.role, draft.content, draft.where) for draft in understood.drafts] == [
        ("user", (Text("hi"),), "messages[1]"),
        ("system", (Text("3"), Text("4")), "messages[2]"),
        ("assistant", (Text("yes"),), "messages[3]"),
        ("user", (Text("go"),), "messages[4]"),
        ("system", (Text("5"),), "messages[5]"),
    ]


def test_a_system_message_that_holds_for_one_turn_is_gone_in_the_next():
    """As the service has it: it is sent again, and shown no more."""
    brief = {**system("Be brief."), "clear_at": "next_user_message"}
    kept = [draft.content for draft in call(messages=[*HI, brief]).drafts if draft.role == "system"]
    assert kept == [(Text("Be brief."),)]
    gone = call(messages=[*HI, brief, assistant("yes"), user_says("go")])
    assert [draft.role for draft in gone.drafts] == ["user", "assistant", "user"]
    assert gone.ignored == ()
    assert call(messages=[*HI, {**brief, "clear_at": "tomorrow"}]).ignored == ("messages.clear_at",)


def test_a_system_message_without_words_adds_no_message():
    """Some only set an effort, or change the tools."""
    only_effort = {"role": "system", "output_config": {"effort": "low"}}
    understood = call(messages=[*HI, only_effort, system([]), system("")])
    assert [draft.role for draft in understood.drafts] == ["user"]
    assert understood.ignored == ()


@pytest.mark.wire(73)
def test_the_effort_of_a_system_message_holds_from_there_on():
    """As Claude Code sets it for a turn; one that is not known is named."""
    low, high = ({**system("a"), "output_config": {"effort": effort}} for effort in ("low", "high"))
    asked: dict[str, Any] = {"output_config": {"effort": "medium"}}
    assert call(messages=[*HI, low], **asked).effort == "low"
    assert call(messages=[*HI, low, assistant("b"), *HI, high, assistant("c"), *HI], **asked).effort == "high"
    assert call(messages=[*HI, system("a")], **asked).effort == "medium"
    understood = call(messages=[*HI, {**low, "output_config": {"effort": "huge", "format": None, "x": 1}}])
    assert understood.ignored == ("messages.output_config.effort", "messages.output_config.x")


@pytest.mark.parametrize("messages", [[], [("system", "a")], [("system", "a"), ("user", "")], [("user", " ")]])
def test_system_texts_alone_are_refused_as_the_vendor_refuses_them(messages: list[tuple[str, str]]):
    """Messages needs a message of the user's, and the sentence says so."""
    found = problem(system="b", messages=[{"role": role, "content": content} for role, content in messages])
    assert (found.status, found.param) == (400, "messages")
    assert "user" in found.message
