"""Generated conversations reach the model unchanged, by each API and with each kind of credential."""

import json

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.examples import count_examples
from tests.support.generated.conversation import Conversation
from tests.support.generated.dialects import DIALECTS, Dialect
from tests.support.generated.edge_cases import EDGE_CASES
from tests.support.generated.request_check import RequestCheck
from tests.support.generated.strategies import conversations
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.stack import Stack

pytestmark = [pytest.mark.wire(3), pytest.mark.wire(4), pytest.mark.wire(5), pytest.mark.wire(6)]

# The newest, and one that takes no system messages in the middle.
MODELS = ["sonnet", "claude-opus-4-6"]
COMPACT, INDENTED = (False,), (True,)
# Without shrinking: that would take hundreds of conversations.
WITHOUT_SHRINKING = settings(
    max_examples=count_examples(2, 10),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def calling(conversation: Conversation, received: ReceivedRequest) -> AnswerReply:
    """A call of the first tool, with all of its properties, by the names that the model received."""
    if not conversation.tools:
        return AnswerReply("Hello.")
    seen = RequestCheck(received)
    seen.check_tools(conversation.tools)
    form = seen.forms[conversation.tools[0].name]
    given = dict.fromkeys(form.properties.values() or ["a"], "x")
    sent = {form.wrapper: given} if form.wrapper else given
    return AnswerReply(tools=[("toolu_answer", form.name, [json.dumps(sent)])])


def assert_called(
    conversation: Conversation, received: ReceivedRequest, dialect: Dialect, response: httpx2.Response
) -> None:
    """Assert that the client received the call with its own names."""
    if not conversation.tools:
        assert dialect.calls(response.json()) == []
        return
    [tool, *_] = conversation.tools
    seen = RequestCheck(received)
    seen.check_tools(conversation.tools)
    given = dict.fromkeys(seen.forms[tool.name].properties or ["a"], "x")
    assert dialect.calls(response.json()) == [(tool.name, given)]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
@WITHOUT_SHRINKING
@given(conversation=conversations(), model=st.sampled_from(MODELS), layouts=st.sampled_from([COMPACT, INDENTED]))
@example(conversation=EDGE_CASES, model=MODELS[0], layouts=COMPACT + INDENTED)
@example(conversation=EDGE_CASES, model=MODELS[1], layouts=COMPACT)
async def test_any_conversation_reaches_the_model_unchanged(  # noqa: PLR0917
    each_credential_stack: Stack,
    upstream: Upstream,
    dialect: Dialect,
    conversation: Conversation,
    model: str,
    layouts: tuple[bool, ...],
):
    """Nothing is lost, reordered or added; line breaks between the tokens of the JSON make no difference."""
    upstream.requests.clear()
    fitted = dialect.adapt(conversation)
    upstream.script(lambda received: calling(fitted, received))
    for indented in layouts:
        body = dialect.request(fitted, model, indented=indented)
        response = await each_credential_stack.client.post(
            dialect.path, content=body, headers={"content-type": "application/json"}
        )
        assert response.status_code == 200, response.text
        received = upstream.requests[-1]
        seen = RequestCheck(received)
        seen.check(fitted)
        assert_called(fitted, received, dialect, response)
        assert not seen.altered or response.headers.get("x-altered-parameters"), seen.altered
    bodies = [(received.body["messages"], received.body.get("tools")) for received in upstream.requests]
    assert all(body == bodies[0] for body in bodies)
