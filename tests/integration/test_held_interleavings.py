"""Many conversations at once, with and without held processes: the model receives the same, and the clients get the same."""

import asyncio
import json
import os
import random
import zlib
from collections import Counter
from typing import Any

import httpx2
import pytest

from tests.conftest import CREDENTIALS
from tests.integration.test_held_conversations import TALKS, add_key
from tests.support.chat import CHAT_PATH, Stream, build_body
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Reply, StalledReply, Upstream
from tests.support.stack import Stack, is_alive, kill_if_running, wait_until
from tests.support.talks import Talk
from tests.support.timeouts import TEST_TIMEOUT

KEYS = ("ada", "bob", "eve")
STEPS = 20 if os.environ.get("THOROUGH") is None else 250
LEAVES = "I leave before the answer ends."


def answer(received: ReceivedRequest) -> Reply:
    """An answer that depends on the conversation and on nothing else."""
    conversation = json.dumps(received.conversation, sort_keys=True)
    if LEAVES in json.dumps(received.conversation[-1]):
        return StalledReply(1)
    number = zlib.crc32(conversation.encode())
    tools = [(f"call_{number}_{index}", name, ('{"n":', f"{index}}}")) for index, name in enumerate(("look", "go"))]
    return AnswerReply(("Answer ", str(number)), thinking=f"hm {number}", tools=tools[: number % 3])


def describe(received: ReceivedRequest) -> str:
    """All that the model reads, as one text. Ids that are new in each installation do not count."""
    body = {name: value for name, value in received.body.items() if name != "metadata"}
    return json.dumps(body, sort_keys=True)


class Simulation:
    """Plays the same steps on any stack. Mutable: the conversations, what each client got, and how often one was held."""

    def __init__(self, stack: Stack, upstream: Upstream, seed: int) -> None:
        self._stack = stack
        self._upstream = upstream
        self._chance = random.Random(seed)  # not a secret
        self._headers: dict[str, dict[str, str]] = {}
        self.talks: list[tuple[str, Talk]] = []
        self.answers: list[Any] = []
        self.held = 0

    async def run(self) -> None:
        """Plays every step."""
        for name in KEYS:
            self._headers[name] = await add_key(self._stack, name)
            for kind in TALKS.values():
                self.talks.append((name, kind(self._headers[name])))
        for step in range(STEPS):
            # Most conversations go on soon, so that some are still held and others have made room.
            recent = range(max(0, len(self.talks) - 5) if self._chance.random() < 0.7 else 0, len(self.talks))
            chosen = self._chance.sample(recent, self._chance.randint(1, 3))
            plans = [(self.talks[index], self._chance.random(), self._chance.getrandbits(16)) for index in chosen]
            self.answers += await asyncio.gather(*(self._take_step(*plan, step) for plan in plans))
            self.held += sum(talk.conversation == "held" for (_, talk), _, _ in plans)
            await self._disturb(self._chance.random())

    async def _take_step(self, owner: tuple[str, Talk], chance: float, number: int, step: int) -> list[str]:
        """One request of one conversation: results of open calls, a new message, an edit, a branch, a disconnect."""
        name, talk = owner
        if talk.open_calls:
            results = [f"{name} result {number} {call}" for call in talk.open_calls]
            return await talk.bring_results(self._stack, *results, is_error=chance < 0.2)
        if chance < 0.15 and talk.history and not getattr(talk, "_stored", False):
            talk.history = json.loads(json.dumps(talk.history).replace("question", "changed question"))
        elif chance < 0.3:
            self.talks.append((name, talk.branch()))
        elif chance < 0.4:
            return await self._leave(name)
        return await talk.ask(self._stack, f"{name} question {step}", picture=chance > 0.8)

    async def _leave(self, name: str) -> list[str]:
        body = build_body(f"{name}: {LEAVES}", stream=True)
        async with (
            httpx2.AsyncClient(base_url=self._stack.url, headers=self._headers[name], timeout=TEST_TIMEOUT) as client,
            client.stream("POST", CHAT_PATH, json=body) as response,
        ):
            stream = Stream(response)
            return [await stream.read_text()]

    async def _disturb(self, chance: float) -> None:
        """Between the steps: a CLI is killed, or everything that is held is ended."""
        await self._stack.wait_until_quiet()
        if chance < 0.15 and (clis := self._stack.list_clis()):
            cli = clis[int(chance * 1000) % len(clis)]
            kill_if_running(cli)
            await wait_until(lambda: not is_alive(cli))
        elif chance < 0.2:
            await self._stack.end_held()


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "credential"), [(1, "api_key"), (2, "subscription")])
async def test_holding_changes_nothing_but_the_time(upstream: Upstream, seed: int, credential: str):
    """And no request of one key has a word of another's."""
    upstream.script(answer)
    received: list[Counter[str]] = []
    runs: list[Simulation] = []
    for held_max in ("4", "0"):
        upstream.requests.clear()
        async with (
            asyncio.timeout(4 * TEST_TIMEOUT),
            Stack(upstream.url, settings={"HELD_MAX": held_max}, credential=CREDENTIALS[credential]) as stack,
        ):
            runs.append(Simulation(stack, upstream, seed))
            await runs[-1].run()
        received.append(Counter(map(describe, upstream.requests)))
        for text in received[-1]:
            assert sum(f"{name} question" in text or f"{name} result" in text for name in KEYS) <= 1
    assert runs[0].answers == runs[1].answers
    assert received[0] == received[1]
    assert (runs[0].held > STEPS // 6, runs[1].held) == (True, 0)
