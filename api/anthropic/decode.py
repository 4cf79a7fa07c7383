"""A request for a message as drafts of a Turn. Pure.

Law: nothing that was sent is lost without a word: `api.anthropic.parameters` says what becomes of each parameter.
Anthropic's server tools, which clients send by default, are dropped and named, and so is what they did; a choice that
forces one is refused.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, cast

import msgspec

from api import tooling
from api.anthropic import content
from api.anthropic.client_tools import spelled_out
from api.anthropic.models import InputMessage, InputTool, MessagesRequest, OutputFormat
from api.anthropic.parameters import MESSAGES
from api.anthropic.thinking import effort
from api.conversation import Draft, paired, says_something
from api.fields import decoded, most_tokens, stops
from api.forms import Offering, ToolDefinition
from api.parameters import Policy, checked, without_loss
from api.problems import Problem, invalid
from api.schemas import usable
from api.turn_request import TurnRequest
from shared.turn import RedactedThinking, Thinking

# Tools that run at the vendor's: nothing of the client's waits for a call of them.
SERVER_TOOLS = re.compile(r"(web_search|web_fetch|code_execution|tool_search_tool|advisor|mcp_toolset)(_.*)?")

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(MessagesRequest)


class MessagesCall(TurnRequest, frozen=True, kw_only=True):
    """A message, understood. thinking: it is wanted. shown: in words."""

    schema_place: ClassVar[str] = "output_config.format"

    thinking: bool
    shown: bool


def decode(body: bytes, policy: Policy, *, counting: bool = False) -> MessagesCall:
    """Read the body of POST /v1/messages, or of count_tokens if `counting`. Raises Problem (400, 413)."""
    fields = decoded(body, _fields)
    if fields.get("thread") is not None:
        raise no_threads()
    ignored = checked(MESSAGES, fields, strict=policy.strict)
    request = decoded(body, _request)
    if not counting:
        limit(request.max_tokens)
    tools, dropped = own_tools(request.tools or [], strict=policy.strict)
    unmeant = without_loss(without_effect(fields), strict=policy.strict)
    system, drafts = conversation(request)
    thinking = request.thinking
    return MessagesCall(
        model=request.model,
        system=system,
        drafts=drafts,
        max_tokens=request.max_tokens,
        offered=offered(request, tools),
        schema=answer_schema(request),
        effort=effort(request),
        stop=stops(request.stop_sequences, "stop_sequences"),
        stream=bool(request.stream),
        thinking=thinking is not None and thinking.type != "disabled",
        shown=thinking is None or thinking.display != "omitted",
        ignored=(*ignored, *dropped, *unmeant),
    )


def without_effect(fields: dict[str, object]) -> tuple[str, ...]:
    """What is said inside of messages and tools, and means nothing: citations, examples of calls, hosted tools' doings."""
    cited = any(wants_citations(part) for part in parts(fields.get("messages")))
    examples = any(part.get("input_examples") for part in parts(fields.get("tools")))
    kinds = (part.get("type") for part in parts(fields.get("messages")))
    hosted = (f"messages.content.{kind}" for kind in kinds if isinstance(kind, str) and content.HOSTED.fullmatch(kind))
    names = (("messages.content.citations", cited), ("tools.input_examples", examples))
    return (*(name for name, sent in names if sent), *dict.fromkeys(hosted))


def parts(value: object) -> Iterator[dict[str, object]]:
    """Every object inside of what was sent, but for what a tool's call or schema holds."""
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from parts(item)
    elif isinstance(value, dict):
        part = cast("dict[str, object]", value)
        yield part
        yield from parts(part.get("content"))


def wants_citations(part: dict[str, object]) -> bool:
    """Whether a document is to be cited from."""
    asked = part.get("citations")
    return isinstance(asked, dict) and bool(cast("dict[str, object]", asked).get("enabled"))


def no_threads() -> Problem:
    """What makes the vendor's own tool runner send the whole conversation instead."""
    return Problem(
        400,
        "unsupported_parameter",
        "`thread` is not supported: nothing is kept between requests; send the whole conversation.",
        param="thread",
        details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
    )


def limit(max_tokens: int | None) -> None:
    """Check the most that the model may write. Raises Problem."""
    if max_tokens is None:
        raise invalid("`max_tokens` is missing; it is the most the model may write.", "max_tokens")
    most_tokens(max_tokens, "max_tokens")


def conversation(request: MessagesRequest) -> tuple[tuple[str, ...], tuple[Draft, ...]]:
    """The system texts and the conversation, each in order. Raises Problem."""
    system = list(content.texts(request.system, "system"))
    drafts: list[Draft] = []
    for index, message in enumerate(request.messages):
        where = f"messages[{index}]"
        match message:
            case InputMessage(role="system"):
                system.extend(content.texts(message.content, f"{where}.content"))
            case InputMessage(role="user"):
                drafts.append(Draft("user", content.blocks(message.content, "user", f"{where}.content"), where))
            case InputMessage(role="assistant"):
                said = content.blocks(message.content, "assistant", f"{where}.content")
                drafts.append(Draft("assistant", said, where))
            case _:
                raise invalid(
                    f"`{where}.role` must be user, assistant or system, not `{message.role}`.", f"{where}.role"
                )
    if not says_something(drafts):
        raise invalid("`messages` must hold a message that says something.", "messages")
    if drafts[-1].content and isinstance(drafts[-1].content[-1], Thinking | RedactedThinking):
        where = f"{drafts[-1].where}.content"
        raise invalid(
            f"`{where}`: an answer can't go on from thinking; end with text, or with a user's message.", where
        )
    paired(drafts)
    return tuple(text for text in system if text), tuple(drafts)


def own_tools(tools: list[InputTool], *, strict: bool) -> tuple[list[ToolDefinition], tuple[str, ...]]:
    """The client's own tools, and the names of those of the vendor's that are dropped. Raises Problem."""
    own: list[ToolDefinition] = []
    dropped: list[str] = []
    for index, tool in enumerate(map(spelled_out, tools)):
        where = f"tools[{index}]"
        if tool.type in {None, "custom"}:
            if bytes(tool.input_schema) == b"null":
                raise invalid(f"`{where}.input_schema` is missing.", f"{where}.input_schema")
            own.append(
                ToolDefinition(
                    name=tool.name, description=tool.description, input_schema=tool.input_schema, strict=tool.strict
                )
            )
        elif SERVER_TOOLS.fullmatch(tool.type or "") and not strict:
            dropped.append(f"tools.{tool.type}")
        else:
            raise invalid(
                f"`{where}`: tools of type `{tool.type}` are not supported; offer one of your own, with `name`, "
                "`description` and `input_schema`.",
                f"{where}.type",
                "unsupported_parameter",
            )
    return own, tuple(dict.fromkeys(dropped))


def offered(request: MessagesRequest, tools: list[ToolDefinition]) -> tooling.Offered:
    """The tools and how they may be used. Raises Problem."""
    choice = request.tool_choice
    if choice is None:
        return tooling.offered(Offering(tools=tools))
    if choice.type not in {"auto", "any", "tool", "none"}:
        message = f"`tool_choice.type` must be auto, any, tool or none, not `{choice.type}`."
        raise invalid(message, "tool_choice.type")
    raw = msgspec.Raw(msgspec.json.encode({"type": choice.type, "name": choice.name}))
    return tooling.offered(Offering(tools, raw, not choice.disable_parallel_tool_use))


def answer_schema(request: MessagesRequest) -> str | None:
    """The schema that the answer must meet, as text. Raises Problem."""
    inner = request.output_config.format if request.output_config else None
    form: OutputFormat | None = inner or request.output_format
    if form is None:
        return None
    where = "output_config.format" if inner else "output_format"
    if form.type != "json_schema":
        raise invalid(f"`{where}.type` must be json_schema, not `{form.type}`.", f"{where}.type")
    usable(msgspec.json.decode(bytes(form.schema)), f"{where}.schema")
    return bytes(form.schema).decode()
