"""Bodies in another API's shape become chat bodies, and chat bodies stay the very objects they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversation.compat import to_chat_fields

USER = {"role": "user", "content": "hi"}


@pytest.mark.wire(8)
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [USER]},
        {"messages": [USER], "input": "other", "model": "opus"},
        {"messages": [USER], "system": None, "instructions": None},
        {"model": "opus"},
        {},
        {"system": "s"},
        {"messages": []},
    ],
)
def test_a_body_in_shape_is_given_back_as_it_is(fields: dict[str, Any]):
    """The same object, so that what was sent can be read from its own bytes."""
    assert to_chat_fields(fields) is fields


@pytest.mark.wire(8)
@given(
    st.dictionaries(
        st.sampled_from(["input", "instructions", "system", "messages", "x", "text"]), st.none() | st.text()
    )
)
def test_the_client_s_fields_are_never_changed_in_place(fields: dict[str, Any]):
    """What came in is still what it was."""
    before = dict(fields)
    to_chat_fields(fields)
    assert fields == before


@pytest.mark.wire(8)
@pytest.mark.parametrize("beside", [{}, {"messages": []}, {"messages": None}])
def test_an_input_stands_for_the_messages(beside: dict[str, Any]):
    """Cursor sends an empty `messages` beside it."""
    assert to_chat_fields({"model": "opus", "input": "hi", **beside}) == {"model": "opus", "input": "hi"}


@pytest.mark.wire(8)
@pytest.mark.parametrize("name", ["system", "instructions"])
@pytest.mark.parametrize("content", ["be brief", [{"type": "text", "text": "be brief"}]])
@pytest.mark.parametrize("body", [{"input": "hi"}, {"input": "hi", "messages": []}, {"messages": [USER]}])
def test_system_and_instructions_are_the_first_system_message(name: str, content: Any, body: dict[str, Any]):
    """Anthropic's word and that of Responses."""
    said = [{"role": "system", "content": content}, *body.get("messages", [])]
    assert to_chat_fields({**body, name: content}) == {**body, "messages": said}


@pytest.mark.wire(8)
def test_limits_and_forms_of_an_answer_have_their_chat_names():
    """And a form that a chat asks for itself wins."""
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    shaped = to_chat_fields({"input": "hi", "max_output_tokens": 5, "text": {"verbosity": "low", "format": form}})
    assert shaped == {
        "input": "hi",
        "max_completion_tokens": 5,
        "text": {"verbosity": "low", "format": form},
        "response_format": form,
    }
    own = to_chat_fields({"input": "hi", "text": {"format": form}, "response_format": {"type": "text"}})
    assert own["response_format"] == {"type": "text"}
    assert to_chat_fields({"input": "hi", "text": {}})["response_format"] is None
