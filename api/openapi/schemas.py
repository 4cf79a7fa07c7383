"""The JSON Schemas of all requests and responses. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from api.agent.checks import AgentLimits
from api.conversation.parameters import Parameter, Policy
from api.conversation.parts import Item, Part, ToolDefinition
from api.core.schema import Json, schemas_of
from api.dialects.anthropic.blocks import BLOCKS, SOURCES
from api.dialects.anthropic.models import InputTool
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_chat.models import ChatMessage, ToolCallIn
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS
from api.openapi.parameters import with_parameters

# Structs that requests contain as undecoded JSON.
UNDECODED = (ChatMessage, ToolCallIn, Part, ToolDefinition, Item, InputTool, *BLOCKS, *SOURCES)
PARAMETERS: dict[str, Mapping[str, Parameter]] = {
    "ChatCompletionRequest": CHAT_PARAMETERS,
    "CompletionRequest": COMPLETIONS_PARAMETERS,
    "ResponsesRequest": RESPONSES_PARAMETERS,
    "MessagesRequest": MESSAGES_PARAMETERS,
}


def build_schemas(
    requests: Iterable[type[Struct]], answers: Iterable[type[Struct]], policy: Policy, limits: AgentLimits
) -> dict[str, Json]:
    """Returns all schemas by name, for the server's settings."""
    schemas = schemas_of(*requests, *UNDECODED)
    for name, table in PARAMETERS.items():
        with_parameters(schemas[name], table, policy)
    schemas["ChatCompletionRequest"]["required"] = ["messages"]
    schemas["ChatMessage"]["required"] = ["role"]
    for name in ("ChatRequest", "CodeRequest", "AnalyzeRequest"):
        schemas[name]["properties"]["prompt"]["maxLength"] = limits.max_prompt
    written = schemas_of(*answers)
    for schema in written.values():
        _require_written_fields(schema)
    return schemas | written


def _require_written_fields(schema: Json) -> None:
    """Marks every field that is always written as required; a field that can be absent has no default in the schema."""
    properties = schema["properties"]
    schema["required"] = [
        name for name, field in properties.items() if name in schema["required"] or "default" in field
    ]
    for field in properties.values():
        field.pop("default", None)
