"""The tools that the server offers. Their schemas come from the requests and answers of `api.agent`. Pure."""

from mcp_types import Tool, ToolAnnotations
from msgspec import Struct

from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.core.schema import Json, schemas_of
from api.core.scopes import ANY_SCOPE

# Fields that have an effect over plain HTTP only.
HTTP_ONLY_FIELDS = {"stream"}
LIMITS = {"minLength", "pattern", "minimum", "exclusiveMinimum", "maximum", "maxItems"}


class NoArguments(Struct, frozen=True):
    """No arguments."""


class ToolOffer(Struct, frozen=True):
    """A tool. scope: who may call it. is_destructive: it may change files. is_open_world: it uses the model's service."""

    scope: str
    name: str
    title: str
    description: str
    request_type: type[Struct]
    answer_type: type[Struct]
    is_destructive: bool = False
    is_open_world: bool = True

    def build_tool(self) -> Tool:
        """Returns the tool in the protocol's form."""
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
        "Ask a Claude model about files of the server. It gets the complete files.",
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
        "Run allowed commands where the server's files are. Their output is reported as progress.",
        BashRequest,
        BashAnswer,
        is_destructive=True,
        is_open_world=False,
    ),
    ToolOffer(
        ANY_SCOPE,
        "list_models",
        "List the models",
        "Lists every valid value of `model`.",
        NoArguments,
        ModelEntries,
        is_open_world=False,
    ),
)
OFFERS_BY_NAME = {offer.name: offer for offer in TOOL_OFFERS}


def build_schema(struct: type[Struct]) -> Json:
    """Returns the JSON Schema of a struct, with an object at its root, as the protocol requires."""
    schemas = {name: _remove_limits(schema) for name, schema in schemas_of(struct, prefix="#/$defs/").items()}
    root = schemas.pop(struct.__name__)
    return {**root, **({"$defs": schemas} if schemas else {})}


def _drop_limits(field: Json) -> Json:
    return {key: value for key, value in field.items() if key not in LIMITS}


def _remove_limits(schema: Json) -> Json:
    """Returns a struct's schema without HTTP-only fields and limits. Decoders check limits, with their own messages."""
    fields: Json = {
        name: {
            key: [_drop_limits(each) for each in value] if key == "anyOf" else value
            for key, value in _drop_limits(field).items()
            if not (key == "items" and "anyOf" in field)
        }
        for name, field in schema["properties"].items()
        if name not in HTTP_ONLY_FIELDS
    }
    for field in fields.values():
        field["description"] = field["description"].replace("`GET /api/models`", "`list_models`")
    required: list[str] = schema["required"]
    return {"type": "object", "properties": fields, **({"required": required} if required else {})}
