"""A CLI process that holds a conversation continues it, and nothing else; without it the same request is only slower."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.chat import open_stream
from tests.support.scripted.upstream import (
    AnswerReply,
    ErrorReply,
    GatedReply,
    ReceivedRequest,
    Reply,
    StalledReply,
    Upstream,
)
from tests.support.stack import Stack, wait_until
from tests.support.talks import ChatTalk, MessagesTalk, ResponsesTalk, Talk
from tests.support.timeouts import TEST_TIMEOUT

HELD = "held"
TALKS: dict[str, Callable[[dict[str, str]], Talk]] = {
    "chat": ChatTalk,
    "messages": MessagesTalk,
    "responses": ResponsesTalk,
    "responses by id": lambda headers: ResponsesTalk(headers, stored=True),
}
CALLS = AnswerReply("I look.", tools=[("call_a", "look", ('{"n":', "1}")), ("call_b", "go", ())])


@pytest.fixture
async def own(upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs of their own, for what changes all that they hold."""
    async with Stack(upstream.url) as stack:
        yield stack


async def add_key(stack: Stack, name: str, **fields: Any) -> dict[str, str]:
    """Adds a key, and returns the headers that send it."""
    response = await stack.client.post("/api/admin/keys", json={"name": name, "scopes": ["chat"], **fields})
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


async def count_held(stack: Stack) -> int:
    """Returns how many processes are held."""
    health = await stack.fetch_health()
    assert health
    return sum(executor["held_processes"] for executor in health["executors"])


async def wait_until_held(stack: Stack, count: int) -> None:
    """Waits until so many processes are held."""

    async def is_reached() -> bool:
        return await count_held(stack) == count

    await wait_until(is_reached)


@pytest.mark.parametrize("kind", TALKS)
async def test_each_turn_of_a_conversation_is_continued(each_credential_stack: Stack, upstream: Upstream, kind: str):
    """By every API, with an API key and with a subscription's token; tools, results in any order, pictures."""
    talk = TALKS[kind](each_credential_stack.headers)
    upstream.script(CALLS)
    await talk.ask(each_credential_stack, "What is there?", picture=True)
    assert talk.conversation == "replayed; reason=first_turn"
    upstream.script(AnswerReply("A dot."))
    await talk.bring_results(each_credential_stack, "first", "second", is_error=True)
    assert talk.conversation == HELD
    await talk.ask(each_credential_stack, "Thank you.")
    assert talk.conversation == HELD
    assert [len(received.conversation) for received in upstream.requests] == [1, 3, 5]


@pytest.mark.parametrize(
    ("reply", "extra"),
    [
        (AnswerReply("cut", stop_reason="max_tokens"), {}),
        (AnswerReply("no", stop_reason="refusal"), {}),
        (AnswerReply("one STOP two"), {"stop": ["STOP"]}),
        (ErrorReply(400, "invalid_request_error"), {}),
    ],
    ids=["a limit", "a refusal", "a stop text", "an error"],
)
async def test_after_an_answer_that_is_not_complete_nothing_is_held(
    stack: Stack, upstream: Upstream, reply: Reply, extra: dict[str, Any]
):
    """Whatever the client makes of it."""
    await stack.end_held()
    upstream.script(reply)
    talk = ChatTalk(stack.headers, **extra)
    talk.add_user("hi")
    await talk.post(stack)
    await stack.wait_until_quiet()
    assert await count_held(stack) == 0


async def test_after_a_client_disconnect_nothing_is_held(stack: Stack, upstream: Upstream):
    """The process is ended with the job."""
    await stack.end_held()
    upstream.script(StalledReply(2))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as answer:
        await answer.read_text()
    await upstream.wait_until(lambda: not upstream.answering)
    await stack.wait_until_quiet()
    assert await count_held(stack) == 0


async def test_a_client_that_goes_on_otherwise_is_served_from_the_start(stack: Stack, upstream: Upstream):
    """The header says why."""
    upstream.script(CALLS)
    talk = ChatTalk(stack.headers)
    await talk.ask(stack, "What is there?")
    edited, other, branch = (talk.branch() for _ in range(3))
    edited.history[1]["content"] = "I looked."
    other.history[0]["content"] = "What else is there?"
    # These answers are not held, so that they don't take the place of the first one.
    upstream.script(AnswerReply("cut", stop_reason="max_tokens"))
    for changed, reason in ((edited, "history_changed"), (other, "not_held")):
        changed.add_result("call_a", "first")
        changed.add_result("call_b", "second")
        assert (await changed.post(stack)).headers["x-conversation"] == f"replayed; reason={reason}"
    await talk.bring_results(stack, "first", "second")
    assert talk.conversation == HELD
    await branch.bring_results(stack, "first", "second")
    assert branch.conversation == "replayed; reason=branch"


async def test_terms_that_change_are_named(stack: Stack, upstream: Upstream):
    """The time in the system prompt, tools in another order, another model."""
    talk = ChatTalk(stack.headers)
    await talk.ask(stack, "hi")
    talk.add_user("and now?")
    body = talk.build_body()
    system = [{"role": "system", "content": "It is 12:00."}, *talk.history]
    # These answers are not held, so that they don't take the place of the first one.
    upstream.script(AnswerReply("cut", stop_reason="max_tokens"))
    for changes, reason in (
        ({"messages": system}, "system_changed"),
        ({"tools": body["tools"][::-1]}, "tools_changed"),
        ({"model": "opus"}, "model_changed"),
        ({"reasoning_effort": "low"}, "settings_changed"),
    ):
        talk.extra = changes
        assert (await talk.post(stack)).headers["x-conversation"] == f"replayed; reason={reason}"


async def test_no_process_continues_the_conversation_of_another_key(own: Stack, upstream: Upstream):
    """A request with the same words is replayed, also a request of the owner."""
    ada, bob = await add_key(own, "ada"), await add_key(own, "bob")
    talk = ChatTalk(ada)
    await talk.ask(own, "hi")
    for headers in (bob, own.headers):
        stranger = talk.branch()
        stranger.headers = headers
        await stranger.ask(own, "more")
        assert stranger.conversation == "replayed; reason=not_held"
    await own.client.delete("/api/held", headers=bob)
    await talk.ask(own, "more")
    assert talk.conversation in {HELD, "replayed; reason=max_processes"}


@pytest.mark.parametrize("change", ["disabled", "rotated", "removed", "expired"])
async def test_the_end_of_a_key_ends_what_it_holds(own: Stack, upstream: Upstream, change: str):
    """At once, as its running jobs."""
    ada = await add_key(own, "ada")
    await ChatTalk(ada).ask(own, "hi")
    await ChatTalk(own.headers).ask(own, "hi")
    assert await count_held(own) == 2
    path = "/api/admin/keys/ada"
    match change:
        case "disabled":
            response = await own.client.patch(path, json={"disabled": True})
        case "rotated":
            response = await own.client.post(f"{path}/rotate")
        case "removed":
            response = await own.client.delete(path)
        case _:
            soon = datetime.now(UTC) + timedelta(seconds=1)
            response = await own.client.patch(path, json={"expires_at": soon.isoformat()})
    assert response.is_success, response.text
    await wait_until_held(own, 1)


async def test_held_processes_are_ended_on_request(own: Stack, upstream: Upstream):
    """A key ends its own, the owner everybody's."""
    ada, bob = await add_key(own, "ada"), await add_key(own, "bob")
    for headers in (ada, bob):
        await ChatTalk(headers).ask(own, "hi")
    assert (await own.client.delete("/api/held", headers=ada)).json() == {"ended": 1}
    assert await count_held(own) == 1
    assert await own.end_held() == 1
    await own.wait_until_idle()
    assert len(own.list_clis()) == 1


async def test_of_two_executors_the_one_that_holds_it_is_asked_first(upstream: Upstream):
    """And when it has no free slot, the other one replays."""
    settings = {"MAX_CONCURRENT": "1"}
    async with Stack(upstream.url, executors=2, settings=settings) as stack:
        first, second = ChatTalk(stack.headers), ChatTalk(stack.headers)
        await first.ask(stack, "one")
        await second.ask(stack, "two")
        for _ in range(2):
            for talk in (first, second, second, first):
                await talk.ask(stack, "more")
                assert talk.conversation == HELD
        upstream.script(GatedReply("slow"), AnswerReply("ok"))
        branch = first.branch()
        slow = asyncio.create_task(first.ask(stack, "busy"))
        await upstream.wait_until(lambda: upstream.answering == 1)
        await branch.ask(stack, "busy too")
        assert branch.conversation.startswith("replayed")
        await upstream.release_all()
        await slow
        assert first.conversation == HELD


async def test_a_held_process_that_dies_costs_only_time(own: Stack, upstream: Upstream):
    """The request that it would have continued is answered by another."""
    talk = ChatTalk(own.headers)
    await talk.ask(own, "hi")
    for cli in own.list_clis():
        os.kill(cli.pid, signal.SIGKILL)
    await talk.ask(own, "more")
    assert talk.conversation == "replayed; reason=process_ended"
    assert len(upstream.requests[-1].conversation) == 3


async def test_without_held_processes_the_server_is_as_it_was(upstream: Upstream):
    """HELD_MAX=0: no header, and the process ends after each answer."""
    async with Stack(upstream.url, settings={"HELD_MAX": "0"}) as stack:
        talk = ChatTalk(stack.headers)
        await talk.ask(stack, "hi")
        await talk.ask(stack, "more")
        assert talk.conversation == ""
        await stack.wait_until_idle()
        assert len(stack.list_clis()) == 1


async def test_usage_and_cost_are_of_the_answer_alone(stack: Stack, upstream: Upstream):
    """The CLI counts the cost of its whole life."""
    upstream.script(AnswerReply("one two", input=1000, output=500))
    talk = ChatTalk(stack.headers)
    costs: list[str] = []
    for turn in range(3):
        talk.add_user(f"question {turn}")
        response = await talk.post(stack)
        costs.append(response.headers["x-cost-usd"])
        assert response.json()["usage"]["total_tokens"] == 1500
        talk.record(response.json())
    assert len(set(costs)) == 1


async def test_the_schema_of_an_answer_is_held_too(stack: Stack, upstream: Upstream):
    """The client gets JSON, and sends it back as text."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    def answer(received: ReceivedRequest) -> AnswerReply:
        return AnswerReply("", tools=[(f"call_{received.number}", "StructuredOutput", ('{"n": 1}',))])

    upstream.script(answer)
    response_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    talk = ChatTalk(stack.headers, tools=[], response_format=response_format)
    for _ in range(3):
        await talk.ask(stack, "Give me one.")
    assert talk.conversation == HELD


async def test_metrics_and_health_count_them(own: Stack, upstream: Upstream):
    """Hits, replays by reason, ends by reason."""
    talk = ChatTalk(own.headers)
    await talk.ask(own, "hi")
    await talk.ask(own, "more")
    await own.end_held()
    text = (await own.client.get("/metrics")).text
    for line in (
        'executor_held_hits_total{executor="claude-1"} 1.0',
        'executor_replays_total{executor="claude-1",reason="first_turn"} 1.0',
        'executor_held_ended_total{executor="claude-1",reason="requested"} 1.0',
        'executor_held_capacity{executor="claude-1"} 2.0',
    ):
        assert f"claude_api_{line}" in text
