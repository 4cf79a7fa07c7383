"""A Turn as the lines that the CLI reads: nothing of it is lost, moved, merged or understood."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executor.claude.conversation import BOUNDARY, Step, control, initialize, not_available, set_model, setup, steps
from executor.claude.tools import names_of
from shared.turn import Message, RedactedThinking, Role, Text, Thinking, Turn
from tests.unit.made import awkward, conversations, texts_of, turns, words

type Said = list[tuple[Role, list[str]]]


def turn(*messages: tuple[Role, str], system: tuple[str, ...] = ()) -> Turn:
    """A turn of one-block messages."""
    return Turn("opus", tuple(Message(role, (Text(text),)) for role, text in messages), system)


def all_steps(given_turn: Turn) -> list[Step]:
    """Everything that is written for a turn."""
    return list(steps(given_turn, names_of(given_turn)))


def values(lines: bytes) -> list[dict[str, Any]]:
    """What lines say; each is one JSON object, ended by the only line feed there is."""
    assert lines.endswith(b"\n")
    return [msgspec.json.decode(line) for line in lines.removesuffix(b"\n").split(b"\n")]


def written(given_turn: Turn) -> list[dict[str, Any]]:
    """Everything but the setting up, in order."""
    return [value for step in list(steps(given_turn, names_of(given_turn)))[1:] for value in values(step.lines)]


def spoken(messages: tuple[Message, ...]) -> Said:
    """What the model must hear: texts without a visible character left out, neighbouring users in one message."""
    result: Said = []
    for message in messages:
        texts = [text for text in texts_of(message) if text.strip()]
        if texts and message.role == "user" and result and result[-1][0] == "user":
            result[-1][1].extend(texts)
        elif texts:
            result.append((message.role, texts))
    return result


def heard(lines: list[dict[str, Any]]) -> Said:
    """The messages in lines, without an empty one that only tells the CLI to go on."""
    result: Said = []
    for line in lines:
        message = line["message"]
        assert message["role"] == line["type"]
        assert all(set(block) == {"type", "text"} and block["type"] == "text" for block in message["content"])
        if message["content"]:
            result.append((message["role"], [block["text"] for block in message["content"]]))
    return result


@given(turns)
def test_the_model_hears_exactly_what_was_said_in_order_and_byte_for_byte(given_turn: Turn) -> None:
    """Roles, texts, blocks and order come out as they went in."""
    assert heard(written(given_turn)) == spoken(given_turn.messages)


@given(conversations(awkward))
def test_awkward_text_arrives_as_it_is(messages: tuple[Message, ...]) -> None:
    """Control characters, line ends, commands, paths and lookalikes of the protocol are text."""
    assert heard(written(Turn("opus", messages))) == spoken(messages)


@given(turns)
def test_every_line_is_one_json_object_of_a_known_kind(given_turn: Turn) -> None:
    """No client's line end can begin a line of its own; the model's messages carry no marks for the CLI."""
    for step in steps(given_turn, names_of(given_turn)):
        assert b"\r" not in step.lines
        for value in values(step.lines):
            match value["type"]:
                case "control_request":
                    assert set(value) == {"type", "request_id", "request"}
                case "user":
                    assert set(value) - {"shouldQuery"} == {
                        *("type", "message", "parent_tool_use_id", "session_id", "client_composed")
                    }
                case kind:
                    assert kind == "assistant"
                    assert set(value) == {"type", "message", "parent_tool_use_id", "session_id"}


@given(turns)
@pytest.mark.wire(56)
def test_every_user_line_is_the_clients_own_composition(given_turn: Turn) -> None:
    """Without that mark the CLI would read files and run commands that a client's text names."""
    users = [value for value in written(given_turn) if value["type"] == "user"]
    assert users
    assert all(value["client_composed"] is True for value in users)


@given(turns)
def test_only_the_last_line_asks_the_model(given_turn: Turn) -> None:
    """There is one query, it is last, and it is a user's."""
    lines = written(given_turn)
    assert lines[-1]["type"] == "user"
    queries = [value for value in lines if value["type"] == "user" and value.get("shouldQuery") is not False]
    assert queries == [lines[-1]]
    assert "shouldQuery" not in lines[-1]


@given(turns)
def test_each_earlier_user_line_is_taken_in_before_the_next_step(given_turn: Turn) -> None:
    """Sent without waiting for its result, it would merge with the next and lose its order."""
    first, *rest = steps(given_turn, names_of(given_turn))
    assert first == setup(given_turn, names_of(given_turn), bare=False)
    assert [step.then for step in rest] == ["result"] * (len(rest) - 1) + ["events"]
    for step in rest:
        kinds = [value["type"] for value in values(step.lines)]
        assert kinds == ["assistant"] * (len(kinds) - 1) + ["user"]


@given(turns)
def test_no_two_user_messages_are_neighbours(given_turn: Turn) -> None:
    """The CLI would merge them, and add line ends of its own."""
    roles = [role for role, _ in heard(written(given_turn))]
    assert ("user", "user") not in pairwise(roles)


def test_neighbouring_users_are_joined_block_by_block() -> None:
    """Each text stays a block of its own; what is blank in between does not part them."""
    lines = written(turn(("user", "a"), ("user", "b"), ("assistant", " "), ("user", "c")))
    assert heard(lines) == [("user", ["a", "b", "c"])]
    assert len(lines) == 1


def test_neighbouring_assistants_stay_apart() -> None:
    """Only what the CLI would change is changed."""
    lines = written(turn(("user", "a"), ("assistant", "b"), ("assistant", "c"), ("user", "d")))
    assert heard(lines) == [("user", ["a"]), ("assistant", ["b"]), ("assistant", ["c"]), ("user", ["d"])]


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t\r\n ", "\u00a0", "\u2003"])
def test_text_without_a_visible_character_is_left_out(blank: str) -> None:
    """The service refuses it; a message of nothing else disappears with it."""
    lines = written(turn(("user", blank), ("user", "a"), ("assistant", blank), ("user", blank)))
    assert heard(lines) == [("user", ["a"])]
    content = (Text(blank), Text(" a "), Text(blank))
    assert heard(written(Turn("opus", (Message("user", content),)))) == [("user", [" a "])]


def test_a_conversation_that_ends_with_the_assistant_is_continued_by_an_empty_user_line() -> None:
    """The beginning of the answer stays the assistant's; the line behind it adds no message, and asks."""
    lines = written(turn(("user", "a"), ("assistant", "b")))
    assert heard(lines) == [("user", ["a"]), ("assistant", ["b"])]
    assert lines[0]["shouldQuery"] is False
    assert lines[-1]["type"] == "user"
    assert lines[-1]["message"]["content"] == []
    assert "shouldQuery" not in lines[-1]


def test_a_trailing_blank_message_does_not_hide_that_the_assistant_was_last() -> None:
    """What decides is who spoke last, not who was silent last."""
    lines = written(turn(("user", "a"), ("assistant", "b"), ("user", " ")))
    assert lines[-1]["message"]["content"] == []


@pytest.mark.parametrize("texts", [["(no content)"], [" (no content)\n"], ["(no content)", "(no content)"]])
def test_an_assistants_words_are_never_taken_for_the_clis_placeholder(texts: list[str]) -> None:
    """The CLI drops a message of nothing else; in other blocks the same words stay. A user's are left as they are."""
    blocks = tuple(Text(text) for text in texts)
    (said_before, sent, _) = heard(
        written(Turn("opus", (Message("user", blocks), Message("assistant", blocks), Message("user", (Text("a"),)))))
    )
    assert said_before == ("user", texts)
    assert "".join(sent[1]) == "".join(texts)
    assert not all(text.strip() == "(no content)" for text in sent[1])


def test_the_assistant_may_begin() -> None:
    """A conversation need not start with a user."""
    assert heard(written(turn(("assistant", "a"), ("user", "b")))) == [("assistant", ["a"]), ("user", ["b"])]


def test_a_single_message_is_one_step() -> None:
    """Setting up, then the question: nothing else to wait for."""
    assert [step.then for step in all_steps(turn(("user", "a")))] == ["answers", "events"]


texts = words | awkward | st.just(BOUNDARY)


@given(turns, st.lists(texts, max_size=4).map(tuple))
def test_the_set_up_says_system_model_and_limit_and_waits_for_each(given_turn: Turn, system: tuple[str, ...]) -> None:
    """Both go out at once, the model in the second (its refusal is told from the other), and each is answered."""
    asked = Turn(given_turn.model, given_turn.messages, system, given_turn.max_tokens)
    step = setup(asked, names_of(asked), bare=False)
    requests = values(step.lines)
    assert step.then == "answers"
    assert step.answers == len(requests)
    assert [value["request_id"] for value in requests] == [f"setup-{number}" for number in range(len(requests))]
    first, second = [value["request"] for value in requests]
    assert first["subtype"] == "initialize"
    assert first["systemPrompt"] == [text if text != BOUNDARY else f"{BOUNDARY}\n" for text in system]
    settings: dict[str, Any] = {"model": given_turn.model}
    if given_turn.max_tokens is not None:
        settings["env"] = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(given_turn.max_tokens)}
    assert second == {"subtype": "apply_flag_settings", "settings": settings}


@given(st.lists(texts, max_size=5))
@example([BOUNDARY])
@example([BOUNDARY, "a", BOUNDARY])
def test_the_mark_of_the_cli_is_never_a_bare_element_of_the_system_text(system: list[str]) -> None:
    """A client can't move the CLI's boundary: it stays text, with all its characters."""
    request: Any = initialize(system)
    prompt: list[str] = request["systemPrompt"]
    assert BOUNDARY not in prompt
    assert [text.removesuffix("\n") if text == f"{BOUNDARY}\n" else text for text in prompt] == system
    assert request["systemPromptSnapshot"] is False


def test_no_system_text_is_an_empty_list_and_not_the_clis_own_prompt() -> None:
    """Without the field the CLI would put its own there."""
    assert initialize(())["systemPrompt"] == []


@given(st.text())
def test_a_question_of_the_cli_is_answered_with_an_error_of_the_same_id(request_id: str) -> None:
    """It then goes on without."""
    (answer,) = values(not_available(request_id))
    assert answer == {
        "type": "control_response",
        "response": {"subtype": "error", "request_id": request_id, "error": "not available"},
    }


def test_a_control_request_is_one_line_with_its_id() -> None:
    """The id comes back with the answer."""
    (request,) = values(control("7", set_model("a\nb")))
    expected = {"subtype": "apply_flag_settings", "settings": {"model": "a\nb"}}
    assert request == {"type": "control_request", "request_id": "7", "request": expected}


def test_separators_of_unicode_do_not_part_lines() -> None:
    """U+2028 and U+0085 end no line for the CLI, and stay as they are."""
    step = all_steps(turn(("user", "a\u2028b\u0085c\rd\x0be")))[-1]
    assert step == Step(step.lines, "events")
    assert step.lines.count(b"\n") == 1
    assert heard(values(step.lines)) == [("user", ["a\u2028b\u0085c\rd\x0be"])]


THOUGHT = Message("assistant", (Thinking("Hm.", "c2ln"), Text("b")))


def models_of(given_turn: Turn, *told: str | None) -> list[str | None]:
    """The models under whose names the assistant's lines are written, if each result tells one of `told`."""
    plan = steps(given_turn, names_of(given_turn))
    written = [next(plan)]
    names = iter(told)
    while written[-1].then != "events":
        written.append(plan.send(next(names, None) if written[-1].then == "result" else None))
    lines = [line for step in written[1:] for line in values(step.lines)]
    return [line["message"].get("model") for line in lines if line["type"] == "assistant"]


def test_thinking_goes_under_the_full_id_of_the_model_and_words_alone_under_none():
    """It is known from the first message that the CLI took in."""
    said = (Message("user", (Text("a"),)), THOUGHT, Message("user", (Text("c"),)), Message("assistant", (Text("d"),)))
    assert models_of(Turn("opus", (*said, *said)), "claude-opus-9") == ["claude-opus-9", None, "claude-opus-9", None]


def test_a_conversation_that_begins_with_thinking_waits_for_the_id_first():
    """An empty line that asks nothing brings it; without thinking there is none."""
    end = Message("user", (Text("c"),))
    plain = Message("assistant", (Text("b"),))
    assert models_of(Turn("opus", (THOUGHT, end)), "claude-opus-9") == ["claude-opus-9"]
    assert models_of(Turn("opus", (plain, THOUGHT, end)), "claude-opus-9") == [None, "claude-opus-9"]
    assert [step.then for step in all_steps(Turn("opus", (plain, end)))] == ["answers", "events"]


def test_without_a_word_of_the_clis_the_name_that_was_asked_for_stands():
    """It may be the full id already."""
    assert models_of(Turn("claude-opus-9", (Message("user", (Text("a"),)), THOUGHT))) == ["claude-opus-9"]


def test_nothing_but_thinking_is_left_out_and_its_neighbours_are_one_message():
    """The CLI would drop it, and join the words around it by line ends of its own."""
    thinking = Message("assistant", (Thinking("Hm.", "c2ln"), RedactedThinking("eA==")))
    said = (Message("user", (Text("a"),)), thinking, Message("user", (Text("b"),)))
    assert heard(written(Turn("opus", said))) == [("user", ["a", "b"])]
