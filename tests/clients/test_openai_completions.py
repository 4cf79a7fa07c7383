"""The official `openai` client completes texts the old way, by the real CLI."""

import openai
import pytest

from api.dialects.openai_completions.decode import CONTINUE_PROMPT, FILL_PROMPT
from tests.support.chat import parse_error
from tests.support.scripted.upstream import AnswerReply, ErrorReply, Upstream
from tests.support.stack import Stack


def get_request(upstream: Upstream) -> tuple[list[str], list[dict[str, object]]]:
    """The system texts and the messages of the one request."""
    [request] = [request for request in upstream.requests if request.is_message_request]
    return request.system_texts, request.conversation


@pytest.mark.wire(49)
async def test_a_text_is_completed(stack: Stack, upstream: Upstream):
    """With its usage and its reason; the prompt reached the model as the user's own text."""
    upstream.script(AnswerReply((" red,", " blue"), input=20, output=4))
    answer = await stack.openai.completions.create(model="sonnet", prompt="The colours are", max_tokens=50)
    [choice] = answer.choices
    assert (answer.object, choice.text, choice.finish_reason, choice.index) == (
        "text_completion",
        " red, blue",
        "stop",
        0,
    )
    assert answer.usage
    assert answer.usage.completion_tokens == 4
    system, messages = get_request(upstream)
    assert CONTINUE_PROMPT in system
    assert messages == [{"role": "user", "content": [{"type": "text", "text": "The colours are"}]}]


async def test_a_gap_is_filled_in_a_stream_up_to_the_stop(stack: Stack, upstream: Upstream):
    """What comes after the stop text is not said."""
    upstream.script(AnswerReply(("a + ", "b\n\nprint")))
    stream = await stack.openai.completions.create(
        model="sonnet", prompt="return ", suffix="\n", stop="\n\n", stream=True
    )
    choices = [choice async for piece in stream for choice in piece.choices]
    assert "".join(choice.text for choice in choices) == "a + b"
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    system, _ = get_request(upstream)
    assert FILL_PROMPT in system


async def test_several_prompts_have_an_answer_each(stack: Stack, upstream: Upstream):
    """In their order."""
    upstream.script(lambda request: AnswerReply(f" after {request.conversation[0]['content'][0]['text']}"))
    answer = await stack.openai.completions.create(model="sonnet", prompt=["one", "two"], echo=True)
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "one after one"), (1, "two after two")]


async def test_a_failure_is_an_error_of_the_library_s(stack: Stack, upstream: Upstream):
    """The status is that of chat completions."""
    upstream.script(ErrorReply(401, "authentication_error"))
    with pytest.raises(openai.InternalServerError) as caught:
        await stack.openai.completions.create(model="sonnet", prompt="hi", stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "credential_refused")


@pytest.mark.wire(49)
async def test_embeddings_are_told_not_to_be_there(stack: Stack):
    """The library's NotFoundError, with what to do."""
    with pytest.raises(openai.NotFoundError) as caught:
        await stack.openai.embeddings.create(model="text-embedding-3-small", input="hi")
    assert caught.value.code == "not_supported"
    assert "embedding model" in caught.value.message
    assert parse_error(await stack.client.get("/v1/files"))["code"] == "not_supported"
