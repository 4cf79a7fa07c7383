"""A model that leads an agent through a loop of tool calls, and what shows whether held processes continued it."""

import itertools
import json
import re
from typing import Any

import httpx2

from tests.support.chat import Json
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Reply, ToolCall
from tests.support.stack import Stack

# Requests of one loop: each answer but the last calls tools.
STEPS = 10
DONE = "All done."
FIRST_TURN = "replayed; reason=first_turn"
ALL_HELD = [FIRST_TURN, *["held"] * (STEPS - 1)]
SYSTEM = "You know the weather."
QUESTION = "What is the weather?"
TOOL = "get_weather"
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
# {step} is the number of the step.
ARGUMENTS = {"city": "Zürich {step}", "days": 2}

HITS = re.compile(r"^claude_api_executor_held_hits_total\{[^}]*\} (\S+)$", re.MULTILINE)
REPLAYS = re.compile(r'^claude_api_executor_replays_total\{[^}]*reason="(\w+)"\} (\S+)$', re.MULTILINE)


def get_weather(city: str, days: int) -> str:
    """Tells the weather of a city."""
    return f"{city}: sunny for {days} days"


class LoopModel:
    """The model of a loop. Its answers have forms that clients may send back otherwise.

    With and without text and the words of its thinking, with two calls, with letters outside of ASCII, with a line break
    at the end of a text, and with arguments that no serializer writes that way.

    tool: the tool that it calls. arguments: the tool's arguments in each step; `{step}` is the step's number.
    """

    def __init__(self, tool: str = TOOL, arguments: Json = ARGUMENTS) -> None:
        self._tool = tool
        self._arguments = arguments

    def reply(self, received: ReceivedRequest) -> Reply:
        """Answers a request of the loop."""
        step = sum(message["role"] == "assistant" for message in received.conversation)
        if step % STEPS == STEPS - 1:
            return AnswerReply(("All ", "done."))
        ids = [f"toolu_{received.number}_{index}" for index in range(2 if step % 4 == 3 else 1)]
        return AnswerReply(
            ("Größe ", f"{step}:\n") if step % 3 else "",
            thinking=("Hm", f" {step}.") if step % 2 else None,
            tools=[self._build_call(call_id, step) for call_id in ids],
        )

    def _build_call(self, call_id: str, step: int) -> ToolCall:
        text = json.dumps(self._arguments, ensure_ascii=step % 2 == 0, separators=(" ,", " :"))
        text = text.replace("{step}", str(step))
        return (call_id, self._tool, (text[:5], text[5:]))


class ConversationHeaders:
    """Reads the header `x-conversation` of responses. Mutable: the values so far."""

    def __init__(self) -> None:
        self.values: list[str] = []

    async def record(self, response: httpx2.Response) -> None:
        """Records an answer, as an event hook of the client; of errors, it records nothing."""
        if response.is_success:
            self.values.append(response.headers["x-conversation"])


async def count_conversations(stack: Stack) -> dict[str, int]:
    """Returns how many requests held processes have continued (`held`), and how many were replayed, by reason."""
    text = (await stack.client.get("/metrics")).text
    replays = {reason: int(float(count)) for reason, count in REPLAYS.findall(text)}
    return replays | {"held": sum(int(float(count)) for count in HITS.findall(text))}


def check_growth(requests: list[ReceivedRequest], count: int = STEPS) -> None:
    """Checks that each request has all of the one before, the answer to it, and the results of its calls."""
    conversations: list[list[Any]] = [request.conversation for request in requests]
    assert [len(conversation) for conversation in conversations] == list(range(1, 2 * count, 2))
    for before, after in itertools.pairwise(conversations):
        assert after[:-2] == before
        answer, new = after[-2:]
        calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in new["content"] if block["type"] == "tool_result"]
        assert (answer["role"], new["role"], sorted(results)) == ("assistant", "user", sorted(calls))
