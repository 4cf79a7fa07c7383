"""A chat completion request as a Turn. Pure.

Law: nothing that was sent is lost without a word. A field is honoured (it is in `ChatRequest`), ignored (IGNORED: it
changes nothing of the answer, or the models no longer take it; the response names it in a header), or refused with its
name (REFUSED). Fields that OpenAI does not document are accepted and mean nothing, as OpenAI's own service has it.
"""

import msgspec
from msgspec import Struct

from api.openai_chat.models import ChatMessage, ChatRequest, Part
from api.problems import Problem, invalid
from shared.turn import Message, Role, Text, Turn

SAMPLING = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "prediction")
BOOKKEEPING = (
    *("user", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention"),
    *("safety_identifier", "verbosity"),
)
IGNORED = SAMPLING

# Field -> the values that ask for nothing beyond what is done anyway.
REFUSED: dict[str, tuple[object, ...]] = {
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "parallel_tool_calls": (None, True, False),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "reasoning_effort": (None,),
    "stop": (None, [], ""),
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "web_search_options": (None,),
}

SYSTEM_ROLES = ("system", "developer")
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(ChatRequest)


class ChatCall(Struct, frozen=True):
    """A request, understood. ignored: the names of the fields that were sent and mean nothing here."""

    model: str | None
    system: tuple[str, ...]
    messages: tuple[Message, ...]
    max_tokens: int | None
    stream: bool
    include_usage: bool
    ignored: tuple[str, ...]

    def turn(self, model: str) -> Turn:
        """The turn, for the model that `self.model` was found to mean."""
        return Turn(model=model, messages=self.messages, system=self.system, max_tokens=self.max_tokens)


def decode(body: bytes) -> ChatCall:
    """Read the body of POST /v1/chat/completions. Raises Problem (400), with the field at fault in `param`."""
    fields = _decoded(body, _fields)
    refuse(fields)
    request = _decoded(body, _request)
    if request.stream_options is not None and not request.stream:
        raise invalid("`stream_options` goes with `stream: true` only.", "stream_options")
    system, messages = conversation(request.messages)
    return ChatCall(
        model=request.model,
        system=system,
        messages=messages,
        max_tokens=max_tokens(request),
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        ignored=tuple(name for name in IGNORED if fields.get(name) is not None),
    )


def refuse(fields: dict[str, object]) -> None:
    """Refuse what can't be honoured. Raises Problem."""
    for name, harmless in REFUSED.items():
        if name in fields and fields[name] not in harmless:
            raise invalid(f"`{name}` is not supported here.", name, "unsupported_parameter")


def conversation(messages: list[ChatMessage]) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """The system texts and the conversation, each in order. Raises Problem."""
    system: list[str] = []
    said: list[Message] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        texts = content(message, where)
        if message.role in SYSTEM_ROLES:
            system.append("".join(texts))
        else:
            said.append(Message(role(message, where), tuple(Text(text) for text in texts)))
    if not any(block.text.strip() for message in said for block in message.content):
        raise invalid("`messages` must hold a user or assistant message with text in it.", "messages")
    return tuple(system), tuple(said)


def role(message: ChatMessage, where: str) -> Role:
    """The role of a message of the conversation. Raises Problem."""
    match message.role:
        case "user" | "assistant" as known:
            return known
        case "tool" | "function":
            raise invalid(f"Messages of role `{message.role}` are not supported here.", f"{where}.role")
        case _:
            raise invalid(
                f"`{where}.role` must be system, developer, user or assistant, not `{message.role}`.", f"{where}.role"
            )


def content(message: ChatMessage, where: str) -> list[str]:
    """The texts of a message, each as it was sent. Raises Problem."""
    match message.content:
        case None:
            return []
        case str(text):
            return [text]
        case list(parts):
            return [part_text(part, f"{where}.content[{index}]") for index, part in enumerate(parts)]


def part_text(part: Part, where: str) -> str:
    """The text of a part. Raises Problem."""
    if part.type not in TEXT_PARTS:
        raise invalid(f"A part of type `{part.type}` is not supported here.", f"{where}.type", "unsupported_parameter")
    if part.text is None:
        raise invalid(f"`{where}.text` is missing.", f"{where}.text")
    return part.text


def max_tokens(request: ChatRequest) -> int | None:
    """The most the model may write; `max_completion_tokens` is the newer name and wins. Raises Problem."""
    for name in ("max_completion_tokens", "max_tokens"):
        value: int | None = getattr(request, name)
        if value is not None:
            if value < 1:
                raise invalid(f"`{name}` must be at least 1.", name)
            return value
    return None


def _decoded[T](body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.ValidationError as error:
        message, param = explained(str(error))
        raise invalid(message, param) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "invalid_json", "The body is not valid JSON in UTF-8.") from error


def explained(error: str) -> tuple[str, str | None]:
    """Msgspec's message as a sentence, and the field it speaks of: `… - at `$.messages[0].role``."""
    what, _, where = error.partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    if "missing required field" in what:
        name = what.rpartition(" ")[2].strip("`")
        path = f"{path}.{name}" if path else name
        return f"`{path}` is missing.", path
    return (f"`{path}`: {what}." if path else f"The body: {what}."), path or None
