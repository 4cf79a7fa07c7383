"""The conversation as each API has it: the body of a request as JSON text, and the calls of an answer."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    File,
    Instruction,
    Part,
    Picture,
    Result,
    Step,
    User,
    Words,
    list_parts,
)
from tests.support.generated.json_text import Raw, add_line_breaks, dump, read_object

type Json = dict[str, Any]
type Called = tuple[str, Any]  # name, arguments
type Write = Callable[[str], str]


class Dialect(Struct, frozen=True):
    """fitted: the conversation without what this API can't say. body: the request. calls: those of an answer."""

    name: str
    path: str
    adapt: Callable[[Conversation], Conversation]
    body: Callable[[Conversation, Write], Json]
    calls: Callable[[Json], list[Called]]

    def __repr__(self) -> str:
        return self.name

    def request(self, conversation: Conversation, model: str, *, indented: bool) -> bytes:
        """The body; indented: with line breaks between all tokens, in schemas and arguments too."""

        def write(text: str) -> str:
            return add_line_breaks(text) if indented and read_object(text) is not None else text

        text = dump({"model": model, **self.body(conversation, write)})
        return (add_line_breaks(text) if indented else text).encode()


def url(part: Picture | File) -> str:
    return f"data:{part.media_type};base64,{base64.b64encode(part.data).decode()}"


def text(words: str, kind: str = "text") -> Json:
    return {"type": kind, "text": words}


def to_content(content: str | tuple[Part, ...] | None, render: Callable[[Part], Json]) -> str | list[Json] | None:
    return [render(part) for part in content] if isinstance(content, tuple) else content


def without_errors(conversation: Conversation) -> Conversation:
    """OpenAI's APIs can't say that a result is an error."""
    steps = [
        msgspec.structs.replace(step, is_error=False) if isinstance(step, Result) else step
        for step in conversation.steps
    ]
    return msgspec.structs.replace(conversation, steps=tuple(steps))


def group_rows(steps: Sequence[Step]) -> Iterator[tuple[bool, list[Step]]]:
    """The steps of each side, one after the other; whether they are the assistant's."""
    for is_assistant, row in groupby(steps, lambda step: isinstance(step, Assistant)):
        yield is_assistant, list(row)


# --- Chat completions --------------------------------------------------------------------------------------------------


def fit_chat(conversation: Conversation) -> Conversation:
    """Calls stand behind the words of their message."""

    def fit(step: Step) -> Step:
        if not isinstance(step, Assistant):
            return step
        return Assistant(tuple(sorted(step.content, key=lambda block: isinstance(block, Call))))

    conversation = without_errors(conversation)
    return msgspec.structs.replace(conversation, steps=tuple(map(fit, conversation.steps)))


def chat_part(part: Part) -> Json:
    match part:
        case Words(words):
            return text(words)
        case Picture():
            return {"type": "image_url", "image_url": {"url": url(part)}}
        case File(_, _, name):
            return {"type": "file", "file": {"file_data": url(part), **({"filename": name} if name else {})}}


def chat_message(step: Step, write: Write) -> Json:
    match step:
        case User(content):
            return {"role": "user", "content": to_content(content, chat_part)}
        case Instruction(words):
            return {"role": "system", "content": words}
        case Result(call, content):
            return {"role": "tool", "tool_call_id": call.id, "content": to_content(content, chat_part)}
        case Assistant(content):
            said = [text(block.text) for block in content if isinstance(block, Words)]
            calls = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": write(call.arguments)}}
                for call in content
                if isinstance(call, Call)
            ]
            return {"role": "assistant", "content": said or None, **({"tool_calls": calls} if calls else {})}


def chat_body(conversation: Conversation, write: Write) -> Json:
    system = [{"role": "developer", "content": words} for words in conversation.system]
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": Raw(write(tool.schema))}
        for tool in conversation.tools
    ]
    return {
        "messages": [*system, *(chat_message(step, write) for step in conversation.steps)],
        "tools": [{"type": "function", "function": tool} for tool in tools],
    }


CHAT = Dialect(
    "chat",
    "/v1/chat/completions",
    fit_chat,
    chat_body,
    lambda answer: [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in answer["choices"][0]["message"].get("tool_calls", [])
    ],
)

# --- Responses ---------------------------------------------------------------------------------------------------------


def input_part(part: Part) -> Json:
    match part:
        case Words(words):
            return text(words, "input_text")
        case Picture():
            return {"type": "input_image", "image_url": url(part)}
        case File(_, _, name):
            return {"type": "input_file", "file_data": url(part), **({"filename": name} if name else {})}


def input_items(step: Step, write: Write) -> Iterator[Json]:
    match step:
        case User(content):
            yield {"role": "user", "content": to_content(content, input_part)}
        case Instruction(words):
            yield {"role": "developer", "content": words}
        case Result(call, content):
            output = to_content(content, input_part)
            yield {"type": "function_call_output", "call_id": call.id, "output": "" if output is None else output}
        case Assistant(content):
            for each in content:
                if isinstance(each, Words):
                    yield {"type": "message", "role": "assistant", "content": [text(each.text, "output_text")]}
                else:
                    told = {"name": each.name, "arguments": write(each.arguments)}
                    yield {"type": "function_call", "call_id": each.id, **told}


def responses_body(conversation: Conversation, write: Write) -> Json:
    system = [{"role": "system", "content": words} for words in conversation.system]
    tools = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": Raw(write(tool.schema))}
        for tool in conversation.tools
    ]
    return {
        "input": [*system, *(item for step in conversation.steps for item in input_items(step, write))],
        "tools": tools,
        "store": False,
    }


RESPONSES = Dialect(
    "responses",
    "/v1/responses",
    without_errors,
    responses_body,
    lambda answer: [
        (item["name"], json.loads(item["arguments"])) for item in answer["output"] if item["type"] == "function_call"
    ],
)

# --- Messages ----------------------------------------------------------------------------------------------------------


def fit_messages(conversation: Conversation) -> Conversation:
    """Inputs are objects, and instructions stand behind a user's message."""

    def fit(call: Words | Call) -> Words | Call:
        if isinstance(call, Words) or read_object(call.arguments) is not None:
            return call
        return calls.setdefault(id(call), Call(call.id, call.name, "{}"))

    calls: dict[int, Call] = {}
    steps: list[Step] = []
    for is_assistant, row in group_rows(conversation.steps):
        if is_assistant:
            steps += [Assistant(tuple(map(fit, step.content))) for step in row if isinstance(step, Assistant)]
            continue
        said = [
            msgspec.structs.replace(step, call=calls.get(id(step.call), step.call))
            if isinstance(step, Result)
            else step
            for step in row
            if not isinstance(step, Instruction)
        ]
        steps += [*said, *(step for step in row if isinstance(step, Instruction) and said)]
    return msgspec.structs.replace(conversation, steps=tuple(steps))


def block(part: Part) -> Json:
    match part:
        case Words(words):
            return text(words)
        case Picture(media_type, data):
            return {"type": "image", "source": base64_source(media_type, data)}
        case File(media_type, data, name):
            source = base64_source(media_type, data)
            if media_type == "text/plain":
                source = {"type": "text", "media_type": media_type, "data": data.decode()}
            return {"type": "document", "source": source, **({"title": name} if name else {})}


def base64_source(media_type: str, data: bytes) -> Json:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}


def message_blocks(step: Step, write: Write) -> list[Json]:
    match step:
        case User(content):
            return [block(part) for part in list_parts(content)]
        case Instruction(words):
            return [text(words)]
        case Result(call, content, is_error):
            said = {} if content is None else {"content": to_content(content, block)}
            return [{"type": "tool_result", "tool_use_id": call.id, **said, **({"is_error": True} if is_error else {})}]
        case Assistant(content):
            return [
                {"type": "tool_use", "id": each.id, "name": each.name, "input": Raw(write(each.arguments))}
                if isinstance(each, Call)
                else text(each.text)
                for each in content
            ]


def find_role(step: Step) -> str:
    match step:
        case Assistant():
            return "assistant"
        case Instruction():
            return "system"
        case _:
            return "user"


def messages_body(conversation: Conversation, write: Write) -> Json:
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": Raw(write(tool.schema))}
        for tool in conversation.tools
    ]
    messages = [
        {"role": role, "content": [block for step in steps for block in message_blocks(step, write)]}
        for role, steps in groupby(conversation.steps, find_role)
    ]
    return {
        "max_tokens": 2000,
        "system": [text(words) for words in conversation.system],
        "messages": messages,
        "tools": tools,
    }


MESSAGES = Dialect(
    "messages",
    "/v1/messages",
    fit_messages,
    messages_body,
    lambda answer: [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"],
)
DIALECTS = (CHAT, RESPONSES, MESSAGES)
