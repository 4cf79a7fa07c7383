"""A request finds the process of its conversation if, and only if, it continues exactly that conversation on the same terms."""

from typing import Any

import pytest
from msgspec import structs

from shared.conversation import identify, identify_next
from shared.turn import Block, Image, Message, RedactedThinking, Text, Thinking, Tool, ToolResult, ToolUse, Turn

KEY = "key"
PICTURE = Image("image/png", "aGk=")
QUESTION = Message("user", (Text("What is this?"), PICTURE))
CALLS = (ToolUse("a", "look", '{"x": 1, "y": "é"}'), ToolUse("b", "look", "{}"))
ANSWER: tuple[Block, ...] = (Thinking("hm", "signed"), Text("I look."), *CALLS)
RESULTS = Message("user", (ToolResult("b", (Text("two"),)), ToolResult("a", (PICTURE,), is_error=True), Text("well?")))
FIRST = Turn("sonnet", (QUESTION,), system=("Be brief.",), tools=(Tool("look", "", "{}"), Tool("go", "", "{}")))
HELD = identify_next(identify(FIRST, KEY), ANSWER)


def continue_with(*messages: Message, **changes: Any) -> Turn:
    """Returns the turn that continues FIRST."""
    return structs.replace(FIRST, messages=(*FIRST.messages, *messages), **changes)


def is_hit(turn: Turn, key: str = KEY) -> bool:
    """Whether the turn continues the held conversation."""
    conversation = identify(turn, key)
    return not conversation.problem and conversation.handle in {held.handle for held in HELD}


@pytest.mark.parametrize(
    "answer",
    [
        [Message("assistant", ANSWER)],
        [Message("assistant", ANSWER[1:])],
        [Message("assistant", ANSWER[:2]), Message("assistant", CALLS)],
        [Message("assistant", (ANSWER[0], Text("I "), Text("look."), Text(" \n"), *CALLS))],
        [Message("assistant", (*ANSWER[:2], ToolUse("a", "look", '{"y":"\\u00e9","x":1}'), CALLS[1]))],
    ],
    ids=["as sent", "without thinking", "in two messages", "text in pieces", "arguments written again"],
)
def test_the_answer_may_come_back_in_these_forms(answer: list[Message]):
    """And the results in any order, with text beside them."""
    assert is_hit(continue_with(*answer, RESULTS))


BACK = Message("assistant", ANSWER)


@pytest.mark.parametrize(
    "turn",
    [
        continue_with(BACK, RESULTS, model="opus"),
        continue_with(BACK, RESULTS, system=("Be brief. ",)),
        continue_with(BACK, RESULTS, system=("Be", "brief.")),
        continue_with(BACK, RESULTS, tools=FIRST.tools[::-1]),
        continue_with(BACK, RESULTS, tools=FIRST.tools[:1]),
        continue_with(BACK, RESULTS, schema="{}"),
        continue_with(BACK, RESULTS, effort="low"),
        continue_with(BACK, RESULTS, max_tokens=5),
        continue_with(BACK, RESULTS, max_budget_usd=1.0),
        continue_with(BACK, RESULTS, include_thinking_text=False),
        continue_with(Message("assistant", (Thinking("hm", "forged"), *ANSWER[1:])), RESULTS),
        continue_with(Message("assistant", (RedactedThinking("x"), *ANSWER[1:])), RESULTS),
        continue_with(Message("assistant", (Text("I look!"), *CALLS)), RESULTS),
        continue_with(Message("assistant", (Text("I look."), CALLS[0], ToolUse("b", "go", "{}"))), RESULTS),
        continue_with(Message("assistant", (Text("I look."), CALLS[0], ToolUse("b", "look", '{"x":2}'))), RESULTS),
        continue_with(Message("assistant", (Text("I look."), *CALLS[::-1])), RESULTS),
        structs.replace(FIRST, messages=(Message("user", QUESTION.content[:1]), BACK, RESULTS)),
        structs.replace(FIRST, messages=(Message("user", (Text("What is this? "), PICTURE)), BACK, RESULTS)),
        structs.replace(
            FIRST, messages=(Message("user", (QUESTION.content[0], Image("image/png", "aGo="))), BACK, RESULTS)
        ),
        structs.replace(FIRST, messages=(QUESTION, QUESTION, BACK, RESULTS)),
        structs.replace(FIRST, messages=(BACK, RESULTS)),
    ],
)
def test_anything_else_is_another_conversation(turn: Turn):
    """Each of the terms, and each message before the new ones."""
    assert not is_hit(turn)


def test_a_conversation_belongs_to_its_key():
    """The same request of another key finds nothing."""
    turn = continue_with(BACK, RESULTS)
    assert is_hit(turn)
    assert not is_hit(turn, "another")


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ((QUESTION,), "first_turn"),
        ((QUESTION, BACK), "ends_with_answer"),
        ((QUESTION, BACK, QUESTION), "open_calls"),
        ((QUESTION, BACK, Message("user", RESULTS.content[:1])), "open_calls"),
        ((QUESTION, BACK, RESULTS, RESULTS), "open_calls"),
        ((QUESTION, BACK, Message("user", (*RESULTS.content, ToolResult("c", ())))), "open_calls"),
        ((QUESTION, BACK, Message("user", RESULTS.content[:1]), Message("user", RESULTS.content[1:])), ""),
        ((QUESTION, BACK, RESULTS, Message("system", (Text("Now be long."),))), ""),
    ],
)
def test_a_request_that_continues_nothing_says_why(messages: tuple[Message, ...], problem: str):
    """The results of all open calls are needed, and no others."""
    assert identify(structs.replace(FIRST, messages=messages), KEY).problem == problem


def test_what_stands_in_the_tool_choice_is_not_a_term():
    """It binds a request and not the process, and agents change it from one step to the next."""
    assert is_hit(continue_with(BACK, RESULTS, tool_choice="tool", forced_tool="go", parallel_tools=False, stop=("x",)))


def test_long_numbers_are_compared_as_text():
    """Parsing them would take the square of their length."""
    long = ToolUse("a", "look", f'{{"x": {"7" * 100_000}, "y": 1.50}}')
    [held] = identify_next(identify(FIRST, KEY), (long,))
    other = ToolUse("a", "look", f'{{"y":1.50,"x":{"7" * 99_999}8}}')
    for call, is_same in ((ToolUse("a", "look", f'{{"y":1.50,"x":{"7" * 100_000}}}'), True), (other, False)):
        turn = continue_with(Message("assistant", (call,)), Message("user", (ToolResult("a", ()),)))
        assert (identify(turn, KEY).handle == held.handle) is is_same


def test_deeply_nested_arguments_are_compared_as_text():
    """They can't be parsed, and are no reason to fail."""
    deep = ToolUse("a", "look", "[" * 100_000)
    [held] = identify_next(identify(FIRST, KEY), (deep,))
    turn = continue_with(Message("assistant", (deep,)), Message("user", (ToolResult("a", ()),)))
    assert identify(turn, KEY).handle == held.handle
