"""The tools on offer, with the schemas of what they take and give: made of the structs that REST reads and writes. Pure."""

from typing import Any

import msgspec
from mcp_types import Tool, ToolAnnotations
from msgspec import Struct

from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.core.scopes import ANY_SCOPE
from api.openapi.rest_words import REST_WORDS

type Json = dict[str, Any]

# Fields that mean something over plain HTTP only.
HTTP_ONLY_FIELDS = {"stream"}


class NoArguments(Struct, frozen=True):
    """No arguments."""


class ToolOffer(Struct, frozen=True):
    """A tool. scope: who may call it. changes: it may change what it works on. outside: it talks to the model's service."""

    scope: str
    name: str
    title: str
    description: str
    request_type: type[Struct]
    answer_type: type[Struct]
    is_destructive: bool = False
    is_open_world: bool = True

    def build_tool(self) -> Tool:
        """As the protocol has it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=build_schema(self.request_type),
            output_schema=build_schema(self.answer_type),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=not self.is_destructive,
                destructive_hint=self.is_destructive,
                open_world_hint=self.is_open_world,
            ),
        )


TOOL_OFFERS = (
    ToolOffer(
        "chat",
        "chat",
        "Ask Claude",
        "Ask a Claude model. It sees the prompt only and uses no tools.",
        ChatRequest,
        ChatAnswer,
    ),
    ToolOffer(
        "code",
        "code",
        "Let Claude work on files",
        "Let a Claude model read, search and, where that is allowed, change the server's files and run its allowed "
        "commands until the task is done. May take minutes; progress is reported.",
        CodeRequest,
        CodeAnswer,
        is_destructive=True,
    ),
    ToolOffer(
        "code",
        "analyze",
        "Ask Claude about files",
        "Ask a Claude model about files of the server's, which it gets whole.",
        AnalyzeRequest,
        ChatAnswer,
    ),
    ToolOffer(
        "files",
        "file_read",
        "Read a file",
        "Read an allowed file, or lines of it.",
        FileReadRequest,
        FileAnswer,
        is_open_world=False,
    ),
    ToolOffer(
        "bash",
        "bash",
        "Run a command",
        "Run allowed commands where the server's files are. What they write is reported as progress.",
        BashRequest,
        BashAnswer,
        is_destructive=True,
        is_open_world=False,
    ),
    ToolOffer(
        ANY_SCOPE,
        "list_models",
        "List the models",
        "Every name that `model` may have.",
        NoArguments,
        ModelEntries,
        is_open_world=False,
    ),
)
OFFERS_BY_NAME = {offer.name: offer for offer in TOOL_OFFERS}


def build_schema(struct: type[Struct]) -> Json:
    """The JSON Schema of a struct, an object at its root, as the protocol wants it."""
    (root,), parts = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    told = {name: _describe_fields(name, part) for name, part in parts.items()}
    whole = told.pop(root["$ref"].rpartition("/")[2])
    return {**whole, **({"$defs": told} if told else {})}


def _describe_fields(name: str, part: Json) -> Json:
    """A struct's schema with what is said of its fields, where they mean something here."""
    fields: Json = {
        field: {
            **what,
            **(
                {"description": words.replace("`GET /api/models`", "`list_models`")}
                if (words := REST_WORDS.get(f"{name}.{field}"))
                else {}
            ),
        }
        for field, what in part.get("properties", {}).items()
        if field not in HTTP_ONLY_FIELDS
    }
    required: list[str] = part.get("required", [])
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}
