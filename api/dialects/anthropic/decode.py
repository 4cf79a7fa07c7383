"""A request for a message as drafts of a Turn. Pure.

Invariants: nothing that was sent is lost without a word: `api.dialects.anthropic.parameters` says what becomes of each parameter,
and `api.dialects.anthropic.ignored_fields` names what stands inside of them without effect. Anthropic's server tools, which clients send
by default, are dropped and named, and so is what they did; a choice that forces one is refused.
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
from api.dialects.anthropic.blocks import Content
from api.dialects.anthropic.ignored_fields import CLEAR_AT_NEXT_USER_MESSAGE, JSON_SCHEMA_FORMAT, list_without_effect
from api.dialects.anthropic.models import InputMessage, MessagesRequest, OutputFormat
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.anthropic.thinking import resolve_effort, resolve_visibility
from api.dialects.anthropic.tools import parse_tools
from shared.turn import Message, RedactedThinking, Text, Thinking, Turn

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(MessagesRequest)


class MessagesTurnRequest(TurnRequest, frozen=True, kw_only=True):
    """A message, understood. thinking: its blocks are given out. shown: with their words."""

    schema_place: ClassVar[str] = "output_config.format"

    thinking: bool
    show_thinking: bool

    def build_turn(self, model: str, messages: tuple[Message, ...]) -> Turn:
        """The turn, whose thinking comes as it is given out: a block without its words is not what was signed."""
        return structs.replace(super().build_turn(model, messages), include_thinking_text=self.show_thinking)


def decode(body: bytes, policy: Policy, *, counting: bool = False) -> MessagesTurnRequest:
    """Read the body of POST /v1/messages, or of count_tokens if `counting`. Raises Problem (400, 413)."""
    fields = decode_json(body, _fields)
    if fields.get("thread") is not None:
        raise no_threads_problem()
    if counting:
        # Who asks for a summary counts the conversation as it is.
        fields.pop("compaction", None)
    ignored = check_parameters(MESSAGES_PARAMETERS, fields, strict=policy.strict)
    request = decode_json(body, _request)
    if not counting:
        check_max_tokens(request.max_tokens)
    tools = parse_tools(request, strict=policy.strict)
    unmeant = check_ignored(list_without_effect(fields), strict=policy.strict)
    system, drafts = parse_conversation(request)
    thinking = resolve_visibility(request.thinking)
    return MessagesTurnRequest(
        model=request.model,
        system=system,
        drafts=drafts,
        max_tokens=request.max_tokens,
        tool_set=tools.tool_set,
        schema=parse_answer_schema(request),
        effort=resolve_effort(request),
        stop=parse_stop_sequences(request.stop_sequences, "stop_sequences"),
        stream=bool(request.stream),
        thinking=thinking.blocks,
        show_thinking=thinking.words,
        ignored=(*ignored, *tools.ignored, *unmeant),
    )


def no_threads_problem() -> Problem:
    """What makes the vendor's own tool runner send the whole conversation instead."""
    return Problem(
        400,
        "unsupported_parameter",
        "`thread` is not supported: nothing is kept between requests; send the whole conversation.",
        param="thread",
        details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
    )


def check_max_tokens(max_tokens: int | None) -> None:
    """Check the most that the model may write; how much that can be, the service says. Raises Problem."""
    if max_tokens is None:
        raise invalid_problem("`max_tokens` is missing; it is the most the model may write.", "max_tokens")
    if max_tokens == 0:
        message = (
            "`max_tokens` of 0 only fills the service's prompt cache, which is not supported: the CLI asks for an answer "
            "each time. Send at least 1; what is sent again is read from the cache by itself."
        )
        raise invalid_problem(message, "max_tokens", "unsupported_parameter")
    if max_tokens < 0:
        raise invalid_problem("`max_tokens` must be at least 1.", "max_tokens")


def parse_conversation(request: MessagesRequest) -> tuple[tuple[str, ...], tuple[Draft, ...]]:
    """The system texts and the conversation, each in order. Raises Problem.

    A system message before all others is a system text; a later one stays in its place, since whatever was cached and
    thought before it is bound to what stands there.
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
                drafts.append(
                    Draft(role, content.parse_blocks(require_content(message, where), role, f"{where}.content"), where)
                )
            case _:
                raise invalid_problem(
                    f"`{where}.role` must be user, assistant or system, not `{message.role}`.", f"{where}.role"
                )
    if not has_content([draft for draft in drafts if draft.role != "system"]):
        raise invalid_problem(
            "`messages` must hold a message of the user's that says something; system texts alone ask for nothing.",
            "messages",
        )
    if drafts[-1].content and isinstance(drafts[-1].content[-1], Thinking | RedactedThinking):
        where = f"{drafts[-1].where}.content"
        raise invalid_problem(
            f"`{where}`: an answer can't go on from thinking; end with text, or with a user's message.", where
        )
    return tuple(text for text in system if text), order_drafts(drafts)


def require_content(message: InputMessage, where: str) -> Content:
    """The content of a message that must have one. Raises Problem."""
    if message.content is UNSET:
        raise invalid_problem(f"`{where}.content` is missing.", f"{where}.content")
    return message.content


def list_system_texts(message: InputMessage, where: str) -> tuple[str, ...]:
    """What a system message says, which may be nothing: some only set an effort, or add a tool. Raises Problem."""
    if message.content is UNSET:
        return ()
    return tuple(text for text in content.parse_texts(message.content, f"{where}.content") if text)


def parse_answer_schema(request: MessagesRequest) -> str | None:
    """The schema that the answer must meet, as text. Raises Problem."""
    inner = request.output_config.format if request.output_config else None
    form: OutputFormat | None = inner or request.output_format
    if form is None or form.type != JSON_SCHEMA_FORMAT:
        return None
    where = "output_config.format" if inner else "output_format"
    return read_answer_schema(form.schema, f"{where}.schema")
