"""Bodies in another API's shape become chat bodies, and chat bodies stay the very objects they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.shapes import as_chat

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
    assert as_chat(fields) is fields


@pytest.mark.wire(8)
@given(
    st.dictionaries(
        st.sampled_from(["input", "instructions", "system", "messages", "x", "text"]), st.none() | st.text()
    )
)
def test_the_client_s_fields_are_never_changed_in_place(fields: dict[str, Any]):
    """What came in is still what it was."""
    before = dict(fields)
    as_chat(fields)
    assert fields == before


@pytest.mark.wire(8)
@pytest.mark.parametrize("beside", [{}, {"messages": []}, {"messages": None}])
def test_an_input_text_is_a_users_message(beside: dict[str, Any]):
    """Cursor sends an empty `messages` beside it."""
    assert as_chat({"model": "opus", "input": "hi", **beside}) == {"model": "opus", "messages": [USER]}


@pytest.mark.wire(8)
def test_items_of_an_input_become_the_messages_that_they_mean():
    """Calls gather in one assistant's message, with the words before them; results are tool messages; thoughts go."""
    shaped = as_chat(
        {
            "input": [
                {"role": "developer", "content": "be brief"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}", "id": "fc_1"},
                {"type": "custom_tool_call", "call_id": "b", "name": "ApplyPatch", "input": "***"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
                {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "item_reference", "id": "msg_1"},
                {"type": "function_call", "call_id": "c", "name": "g", "arguments": ""},
                {"type": "function_call_output", "call_id": "c", "output": ""},
                "a bare text",
            ]
        }
    )
    assert shaped["messages"] == [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me look."}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "custom", "custom": {"name": "ApplyPatch", "input": "***"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "input_text", "text": "2"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "g", "arguments": ""}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "a bare text"},
    ]


@pytest.mark.wire(8)
def test_an_item_of_no_kind_that_is_known_is_not_dropped_in_silence():
    """It becomes a message of a role that there is not, and the refusal names it."""
    assert as_chat({"input": [{"type": "web_search_call", "id": "x"}]})["messages"] == [{"role": "web_search_call"}]


@pytest.mark.wire(8)
@pytest.mark.parametrize("name", ["system", "instructions"])
@pytest.mark.parametrize("content", ["be brief", [{"type": "text", "text": "be brief"}]])
@pytest.mark.parametrize("body", [{"input": "hi"}, {"messages": [USER]}])
def test_system_and_instructions_are_the_first_system_message(name: str, content: Any, body: dict[str, Any]):
    """Anthropic's word and that of Responses."""
    assert as_chat({**body, name: content}) == {"messages": [{"role": "system", "content": content}, USER]}


@pytest.mark.wire(8)
def test_limits_and_forms_of_an_answer_have_their_chat_names():
    """And a form that a chat asks for itself wins."""
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    shaped = as_chat({"input": "hi", "max_output_tokens": 5, "text": {"verbosity": "low", "format": form}})
    assert shaped == {
        "messages": [USER],
        "max_completion_tokens": 5,
        "text": {"verbosity": "low", "format": form},
        "response_format": form,
    }
    own = as_chat({"input": "hi", "text": {"format": form}, "response_format": {"type": "text"}})
    assert own["response_format"] == {"type": "text"}
    assert as_chat({"input": "hi", "text": {}})["response_format"] is None
