"""The tools on offer, with the schemas of what they take and give: made of the structs that REST reads and writes. Pure."""

from typing import Any

import msgspec
from mcp_types import Tool, ToolAnnotations
from msgspec import Struct

from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries
from api.agent.requests import AnalyzeAsk, BashAsk, ChatAsk, CodeAsk, FileReadAsk
from api.core.scopes import ANY
from api.openapi.rest_words import REST_WORDS

type Json = dict[str, Any]

# Fields that mean something over plain HTTP only.
ELSEWHERE = {"stream"}


class Nothing(Struct, frozen=True):
    """No arguments."""


class Offer(Struct, frozen=True):
    """A tool. scope: who may call it. changes: it may change what it works on. outside: it talks to the model's service."""

    scope: str
    name: str
    title: str
    description: str
    ask: type[Struct]
    answer: type[Struct]
    changes: bool = False
    outside: bool = True

    def tool(self) -> Tool:
        """As the protocol has it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schema(self.ask),
            output_schema=schema(self.answer),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=not self.changes,
                destructive_hint=self.changes,
                open_world_hint=self.outside,
            ),
        )


OFFERS = (
    Offer(
        "chat",
        "chat",
        "Ask Claude",
        "Ask a Claude model. It sees the prompt only and uses no tools.",
        ChatAsk,
        ChatAnswer,
    ),
    Offer(
        "code",
        "code",
        "Let Claude work on files",
        "Let a Claude model read, search and, where that is allowed, change the server's files and run its allowed "
        "commands until the task is done. May take minutes; progress is reported.",
        CodeAsk,
        CodeAnswer,
        changes=True,
    ),
    Offer(
        "code",
        "analyze",
        "Ask Claude about files",
        "Ask a Claude model about files of the server's, which it gets whole.",
        AnalyzeAsk,
        ChatAnswer,
    ),
    Offer(
        "files",
        "file_read",
        "Read a file",
        "Read an allowed file, or lines of it.",
        FileReadAsk,
        FileAnswer,
        outside=False,
    ),
    Offer(
        "bash",
        "bash",
        "Run a command",
        "Run allowed commands where the server's files are. What they write is reported as progress.",
        BashAsk,
        BashAnswer,
        changes=True,
        outside=False,
    ),
    Offer(
        ANY,
        "list_models",
        "List the models",
        "Every name that `model` may have.",
        Nothing,
        ModelEntries,
        outside=False,
    ),
)
BY_NAME = {offer.name: offer for offer in OFFERS}


def schema(struct: type[Struct]) -> Json:
    """The JSON Schema of a struct, an object at its root, as the protocol wants it."""
    (root,), parts = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    told = {name: _told(name, part) for name, part in parts.items()}
    whole = told.pop(root["$ref"].rpartition("/")[2])
    return {**whole, **({"$defs": told} if told else {})}


def _told(name: str, part: Json) -> Json:
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
        if field not in ELSEWHERE
    }
    required: list[str] = part.get("required", [])
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}
