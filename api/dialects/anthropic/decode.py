"""Decodes a Messages request into drafts of a Turn. Pure.

Invariants: nothing that a client sends is dropped silently. `api.dialects.anthropic.parameters` defines the treatment of
each parameter, and `api.dialects.anthropic.ignored_fields` names the fields inside them that have no effect. Anthropic's
server tools, which clients send by default, are dropped and named, and so are their calls and results. A `tool_choice`
that forces one is rejected.
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET, structs

from api.conversation.drafts import Draft, has_content, order_drafts
from api.conversation.fields import decode_json, parse_stop_sequences
from api.conversation.parameters import Policy, check_ignored, check_parameters
from api.conversation.schemas import read_answer_schema
from api.conversation.turn_request import TurnRequest
from api.core.problems import Problem, invalid_problem
from api.dialects.anthropic import content
from api.dialects.anthropic.ignored_fields import CLEAR_AT_NEXT_USER_MESSAGE, JSON_SCHEMA_FORMAT, list_without_effect
from api.dialects.anthropic.models import InputMessage, MessagesRequest, OutputFormat
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.anthropic.thinking import resolve_effort
from api.dialects.anthropic.tools import parse_tools
from shared.turn import Message, RedactedThinking, Text, Thinking, Turn

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(MessagesRequest)


class MessagesTurnRequest(TurnRequest, frozen=True, kw_only=True):
    """A decoded Messages request. thinking: the answer has thinking blocks. show_thinking: with their text."""

    schema_place: ClassVar[str] = "output_config.format"

    thinking: bool
    show_thinking: bool

    def build_turn(self, model: str, messages: tuple[Message, ...]) -> Turn:
        """Builds the turn. It has thinking text only if that is shown: the signature is of the block as returned."""
        return structs.replace(super().build_turn(model, messages), include_thinking_text=self.show_thinking)


def decode(body: bytes, policy: Policy, *, counting: bool = False) -> MessagesTurnRequest:
    """Decodes the body of POST /v1/messages, or of count_tokens if `counting`. Raises Problem (400, 413)."""
    fields = decode_json(body, _fields)
    if fields.get("thread") is not None:
        # Its details make Anthropic's own tool runner send the complete conversation instead.
        raise Problem(
            400,
            "unsupported_parameter",
            "`thread` is not supported: the server keeps no state between requests. Send the complete conversation.",
            param="thread",
            details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
        )
    if counting:
        # A request for a summary counts the tokens of the conversation before it is summarized.
        fields.pop("compaction", None)
    ignored = check_parameters(MESSAGES_PARAMETERS, fields, strict=policy.strict)
    request = decode_json(body, _request)
    if not counting:
        check_max_tokens(request.max_tokens)
    tool_set, ignored_tools = parse_tools(request, strict=policy.strict)
    without_effect = check_ignored(list_without_effect(fields), strict=policy.strict)
    system, drafts = parse_conversation(request)
    thinking = request.thinking
    return MessagesTurnRequest(
        model=request.model,
        system=system,
        drafts=drafts,
        max_tokens=request.max_tokens,
        tool_set=tool_set,
        schema=parse_answer_schema(request),
        effort=resolve_effort(request),
        stop=parse_stop_sequences(request.stop_sequences, "stop_sequences"),
        stream=bool(request.stream),
        # A request without `thinking` gets the blocks of a model that always thinks, without their text: the client sends
        # them back, and the model continues from them.
        thinking=thinking is None or thinking.type != "disabled",
        show_thinking=thinking is not None and thinking.display != "omitted",
        ignored=(*ignored, *ignored_tools, *without_effect),
    )


def check_max_tokens(max_tokens: int | None) -> None:
    """Checks the output limit. The service checks its maximum, which depends on the model. Raises Problem."""
    if max_tokens is None:
        raise invalid_problem("`max_tokens` is missing. It limits the tokens that the model may write.", "max_tokens")
    if max_tokens == 0:
        message = (
            "`max_tokens` of 0 only fills the service's prompt cache, which is not supported: the CLI always requests an "
            "answer. Send at least 1; repeated content is read from the cache automatically."
        )
        raise invalid_problem(message, "max_tokens", "unsupported_parameter")
    if max_tokens < 0:
        raise invalid_problem("`max_tokens` must be at least 1.", "max_tokens")


def parse_conversation(request: MessagesRequest) -> tuple[tuple[str, ...], tuple[Draft, ...]]:
    """Returns the system texts and the conversation, each in order. Raises Problem.

    A system message before all others becomes a system text. A later one stays in its place, because the cache and the
    thinking depend on everything before them.
    """
    system = list(content.parse_texts(request.system, "system"))
    drafts: list[Draft] = []
    last = max((index for index, message in enumerate(request.messages) if message.role == "user"), default=-1)
    for index, message in enumerate(request.messages):
        where = f"messages[{index}]"
        match message:
            case InputMessage(role="system"):
                texts = list_system_texts(message, where)
                if message.clear_at == CLEAR_AT_NEXT_USER_MESSAGE and index < last:
                    continue
                if not drafts:
                    system += texts
                elif texts:
                    drafts.append(Draft("system", tuple(map(Text, texts)), where))
            case InputMessage(role="user" | "assistant" as role):
                if message.content is UNSET:
                    raise invalid_problem(f"`{where}.content` is missing.", f"{where}.content")
                drafts.append(Draft(role, content.parse_blocks(message.content, role, f"{where}.content"), where))
            case _:
                raise invalid_problem(
                    f"`{where}.role` must be user, assistant or system, not `{message.role}`.", f"{where}.role"
                )
    if not has_content([draft for draft in drafts if draft.role != "system"]):
        raise invalid_problem(
            "`messages` must have a user message with content; system texts alone are not enough.",
            "messages",
        )
    if drafts[-1].content and isinstance(drafts[-1].content[-1], Thinking | RedactedThinking):
        where = f"{drafts[-1].where}.content"
        raise invalid_problem(
            f"`{where}`: an answer cannot continue from thinking. End with text, or with a user message.", where
        )
    return tuple(text for text in system if text), order_drafts(drafts)


def list_system_texts(message: InputMessage, where: str) -> tuple[str, ...]:
    """Returns the texts of a system message. Some have none: they only set an effort or add a tool. Raises Problem."""
    if message.content is UNSET:
        return ()
    return tuple(text for text in content.parse_texts(message.content, f"{where}.content") if text)


def parse_answer_schema(request: MessagesRequest) -> str | None:
    """Returns the JSON text of the schema that the answer must match. Raises Problem."""
    inner = request.output_config.format if request.output_config else None
    answer_format: OutputFormat | None = inner or request.output_format
    if answer_format is None or answer_format.type != JSON_SCHEMA_FORMAT:
        return None
    where = "output_config.format" if inner else "output_format"
    return read_answer_schema(answer_format.schema, f"{where}.schema")
