"""Whether a model was told a conversation, independently of the code: nothing lost, reordered or invented.

What may differ, and only so: ids of calls that come again or that the service refuses, names of tools and of properties
that it refuses, a schema with a union at its root (in an object of one property), and numbers as JavaScript writes them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    Instruction,
    Part,
    Picture,
    Result,
    Step,
    Tool,
    User,
    Words,
    list_parts,
)
from tests.support.generated.dialects import block, group_rows
from tests.support.generated.json_text import Pairs, compare, compare_order, list_strings, parse_text, read_object
from tests.support.scripted.service_models import find_model
from tests.support.scripted.upstream import ReceivedRequest

type Json = dict[str, Any]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
REMINDER = re.compile(r"<system-reminder>\n(.*)\n</system-reminder>\n?", re.DOTALL)
UNIONS = {"anyOf", "oneOf", "allOf"}


class ToolForm(Struct, frozen=True):
    """How a tool travels. properties: the names of its top level. wrapper: the property that its arguments are in."""

    name: str
    properties: dict[str, str] = {}
    wrapper: str | None = None


class Row(Struct, frozen=True):
    """What one side said before the other did."""

    is_assistant: bool
    steps: list[Step]


def is_visible(part: object) -> bool:
    return not isinstance(part, Words) or bool(part.text.strip())


def list_expected_rows(conversation: Conversation) -> list[Row]:
    """The conversation without texts that have nothing to see, which the service refuses."""
    kept: list[Step] = []
    for step in conversation.steps:
        match step:
            case User(content):
                kept += [User(parts)] if (parts := tuple(filter(is_visible, list_parts(content)))) else []
            case Assistant(content):
                kept += [Assistant(blocks)] if (blocks := tuple(filter(is_visible, content))) else []
            case _:
                kept.append(step)
    return [Row(is_assistant, steps) for is_assistant, steps in group_rows(kept)]


class RequestCheck:
    """A look at one request. Mutable: what was found out of ids and names, and the places that JavaScript altered."""

    def __init__(self, received: ReceivedRequest) -> None:
        self.received = received
        self.forms: dict[str, ToolForm] = {}
        self.altered: list[str] = []
        self._ids: dict[int, str] = {}

    def check(self, conversation: Conversation) -> None:
        """Assert that the model was told exactly this, and offered exactly these."""
        self.check_tools(conversation.tools)
        joined = "\n\n".join(conversation.system)
        assert self.received.system_texts == ([joined] if joined else [])
        seen, expected = list(list_seen_rows(self.received.body["messages"])), list_expected_rows(conversation)
        assert [is_assistant for is_assistant, _ in seen] == [row.is_assistant for row in expected]
        for (_, messages), row in zip(seen, expected, strict=True):
            if row.is_assistant:
                self._check_assistant(messages, row.steps)
            else:
                self._check_user(messages, row.steps)
        assert len(set(self._ids.values())) == len(self._ids)

    # --- Tools

    def check_tools(self, tools: Sequence[Tool]) -> None:
        """Find out how the tools travel, and assert that they are all there."""
        offered: dict[str, Json] = {tool["description"]: tool for tool in self.received.body.get("tools", [])}
        assert sorted(offered) == sorted(tool.description for tool in tools)
        for tool in tools:
            told = offered[tool.description]
            self._check_name(tool.name, told["name"])
            self.forms[tool.name] = self._form(tool, told["name"], told["input_schema"])

    def _check_name(self, name: str, wire: str) -> None:
        assert TOOL_NAME.fullmatch(wire)
        assert wire == name or not TOOL_NAME.fullmatch(name) or name == "__proto__"
        form = self.forms.setdefault(name, ToolForm(wire))
        assert form.name == wire
        assert [other for other, each in self.forms.items() if each.name == wire] == [name]

    def _form(self, tool: Tool, wire: str, seen: Json) -> ToolForm:
        sent = parse_text(tool.schema)
        if UNIONS & {name for name, _ in sent}:
            assert not UNIONS & seen.keys()
            assert seen["type"] == "object"
            [wrapper] = seen["properties"]
            assert seen["required"] == [wrapper]
            self.altered += compare(sent, seen["properties"][wrapper])
            return ToolForm(wire, wrapper=wrapper)
        fields = dict(sent)
        properties = self._properties([name for name, _ in fields.get("properties", [])], list(seen["properties"]))
        renamed = {
            **fields,
            "properties": Pairs((properties[name], value) for name, value in fields.get("properties", [])),
            **({"required": [properties[name] for name in fields["required"]]} if "required" in fields else {}),
        }
        self.altered += compare(Pairs(renamed.items()), seen)
        return ToolForm(wire, properties)

    def _properties(self, sent: list[str], seen: list[str]) -> dict[str, str]:
        """The name that each property travels by: its own, or where the service refuses that, another in its place."""
        odd = [name for name in sent if not PROPERTY.fullmatch(name) or name == "__proto__"]
        stand_ins = [name for name in seen if name not in sent or name in odd]
        assert all(PROPERTY.fullmatch(name) for name in seen), seen
        properties = {name: name for name in sent} | dict(zip(odd, stand_ins, strict=True))
        self.altered += compare_order([properties[name] for name in sent], seen, "properties")
        return properties

    # --- What the assistant said

    def _check_assistant(self, messages: list[Json], steps: list[Step]) -> None:
        said = [each for step in steps if isinstance(step, Assistant) for each in step.content]
        seen = [block for message in messages for block in list_blocks(message)]
        assert len(seen) == len(said), (seen, said)
        for told, each in zip(seen, said, strict=True):
            if isinstance(each, Words):
                assert told == block(each)
            else:
                self._check_call(told, each)

    def _check_call(self, told: Json, call: Call) -> None:
        assert told.keys() == {"type", "id", "name", "input"}
        assert told["type"] == "tool_use"
        again = call.id in self._ids.values()
        assert told["id"] == call.id or again or not CALL_ID.fullmatch(call.id)
        assert CALL_ID.fullmatch(told["id"]) or len(call.id) > 64
        assert told["id"] not in self._ids.values()
        self._ids[id(call)] = told["id"]
        self._check_name(call.name, told["name"])
        form, seen = self.forms[call.name], told["input"]
        fields = read_object(call.arguments)
        if fields is None:
            # What can't be read is there as it was written.
            assert call.arguments in set(list_strings(seen))
            return
        if form.wrapper is not None:
            assert list(seen) == [form.wrapper]
            seen = seen[form.wrapper]
        self.altered += compare(Pairs((form.properties.get(name, name), value) for name, value in fields), seen)

    # --- What came before that

    def _check_user(self, messages: list[Json], steps: list[Step]) -> None:
        spoken = [message for message in messages if message["role"] == "user"]
        instructed = [
            text["text"] for message in messages if message["role"] == "system" for text in list_blocks(message)
        ]
        assert [message["role"] for message in messages] == ["user", "system"][: len(messages)], messages
        reminders: list[str] = []
        said: list[Json] = []
        for told in list_blocks(spoken[0]):
            found = REMINDER.fullmatch(told.get("text", ""))
            if found:
                reminders.append(found[1])
            else:
                said.append(told)
        instructions = [step.text for step in steps if isinstance(step, Instruction)]
        # In their own role, unless there is no user's message for them to stand behind or the model takes none.
        may_stand = len(instructions) < len(steps) and find_takes_instructions(self.received)
        assert (instructed, reminders) == ((instructions, []) if may_stand else ([], instructions))
        results = [step for step in steps if isinstance(step, Result)]
        beside = {id(result): self._check_result(said[: len(results)], result) for result in results}
        in_order: list[Part] = []
        for step in steps:
            match step:
                case Result():
                    in_order += beside[id(step)]
                case User(content):
                    in_order += list_parts(content)
                case _:
                    pass
        assert said[len(results) :] == list(map(block, in_order))

    def _check_result(self, told: list[Json], result: Result) -> Sequence[Picture]:
        """Assert that a result is among these; its pictures, if they stand beside it as they must where it is an error."""
        wire = self._ids[id(result.call)]
        [seen] = [each for each in told if each.get("tool_use_id") == wire]
        assert seen["type"] == "tool_result"
        assert bool(seen.get("is_error")) == result.is_error
        parts = [part for part in list_parts(result.content) if is_visible(part)]
        inside = [each for each in list_blocks(seen) if each["type"] != "text" or each["text"].strip()]
        if not result.is_error:
            assert inside == [block(part) for part in parts]
            return ()
        assert inside == [block(part) for part in parts if isinstance(part, Words)]
        return [part for part in parts if isinstance(part, Picture)]


def find_takes_instructions(received: ReceivedRequest) -> bool:
    """Whether the model takes system messages in the middle, by the vendor's pages."""
    return find_model(received.body["model"]).takes_instructions


def list_blocks(holder: Json) -> list[Json]:
    """The blocks of a message or of a result, without cache marks."""
    content = holder.get("content") or []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [{name: value for name, value in each.items() if name != "cache_control"} for each in content]


def list_seen_rows(messages: Iterable[Json]) -> Iterator[tuple[bool, list[Json]]]:
    """The messages of each side, one after the other; whether they are the assistant's."""
    for is_assistant, row in groupby(messages, lambda message: message["role"] == "assistant"):
        yield is_assistant, list(row)
