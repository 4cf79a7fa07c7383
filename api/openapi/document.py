"""The service's own OpenAPI document (https://spec.openapis.org/oas/v3.1.1). Pure.

Law: it is made of the code that it describes (structs, tables, encoders), and every route of the application is in it.
"""

import importlib.metadata

from api.admin.models import KeyFields, KeyList, KeyRecord, OwnUsage, UsageReport
from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries
from api.agent.checks import AgentLimits
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.conversation.parameters import COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS, Policy
from api.conversation.parts import Item, Part, ToolDefinition
from api.dialects.anthropic.blocks import BLOCKS, SOURCES
from api.dialects.anthropic.models import ErrorMessage, InputTool, MessageOut, MessagesRequest, TokenCount
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_chat.models import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatMessage,
    ModelList,
    ModelObject,
    ToolCallIn,
)
from api.dialects.openai_common import ErrorEnvelope
from api.dialects.openai_completions.models import CompletionRequest, TextCompletion
from api.dialects.openai_responses.models import ResponsesRequest, ResponsesTool
from api.dialects.openai_responses.output import DeletedResponse, InputTokens, ItemList, ResponseObject, StreamEvent
from api.dialects.rest.models import RestError
from api.observability.health import Health
from api.openapi import key_operations, operations, rest
from api.openapi.parameters import with_parameters
from api.openapi.replies import HEADERS, errors
from api.openapi.structs import Json, schemas

TITLE = "Claude API Server"
ABOUT = """\
The Claude Code CLI of this server's owner, as an API that speaks OpenAI's language: point any OpenAI client at `/v1` \
and use the server's key.

Every request but those for health and for this page needs the key. Every error has the same body, whose `code` is for \
programs and whose `message` says what can be done; `x-should-retry` tells the official libraries whether to ask again.\
"""
TAGS = {
    "Chat": "Answers to conversations.",
    "REST": "Prompts, work on files, files and commands, in plain JSON. Errors are `{detail, code}`.",
    "Messages": "Answers to conversations, in Anthropic's form.",
    "Responses": "Answers to conversations, in OpenAI's newer form, kept for a while.",
    "Models": "What may be named as `model`.",
    "Keys": "Who may do what, and what was used.",
    "Health": "For people, supervisors and load balancers. No key needed.",
    "About": "What this is. No key needed.",
}


def document(policy: Policy, limits: AgentLimits | None = None) -> Json:
    """The document, for what the server's owner decided."""
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version(), "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/", "description": "This server"}],
        "security": [{"bearer": []}, {"key": []}, {"azure": []}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": operations.paths() | rest.paths() | key_operations.paths(),
        "components": {
            "schemas": components(policy, limits or AgentLimits()),
            "headers": HEADERS,
            "responses": errors(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "`x-api-key: KEY`"},
                "azure": {"type": "apiKey", "in": "header", "name": "api-key", "description": "`api-key: KEY`"},
            },
        },
    }


def version() -> str:
    """The version that is installed; 0 for code that is not."""
    try:
        return importlib.metadata.version("claude-api-server")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def components(policy: Policy, limits: AgentLimits) -> dict[str, Json]:
    """Every schema by name."""
    read = schemas(
        *(
            *(ChatCompletionRequest, ChatMessage, ToolCallIn, Part, ToolDefinition),
            CompletionRequest,
            *(ResponsesRequest, ResponsesTool, Item),
            MessagesRequest,
            InputTool,
            *BLOCKS,
            *SOURCES,
            ChatRequest,
            CodeRequest,
            AnalyzeRequest,
            FileReadRequest,
            BashRequest,
            KeyFields,
        ),
        answers=False,
    )
    written = schemas(
        ChatCompletion, ChatCompletionChunk, ErrorEnvelope, ModelList, ModelObject, TextCompletion, Health, answers=True
    )
    done = schemas(ChatAnswer, CodeAnswer, FileAnswer, BashAnswer, ModelEntries, RestError, answers=True)
    keys = schemas(KeyRecord, KeyList, UsageReport, OwnUsage, answers=True)
    responses = schemas(ResponseObject, StreamEvent, DeletedResponse, InputTokens, ItemList, answers=True)
    return {
        **read,
        **{name: _bounded(read[name], limits.max_prompt) for name in ("ChatRequest", "CodeRequest", "AnalyzeRequest")},
        **done,
        **schemas(MessageOut, TokenCount, ErrorMessage, answers=True),
        "ChatCompletionRequest": with_parameters(read["ChatCompletionRequest"], policy),
        "CompletionRequest": with_parameters(read["CompletionRequest"], policy, COMPLETIONS_PARAMETERS),
        "ResponsesRequest": with_parameters(read["ResponsesRequest"], policy, RESPONSES_PARAMETERS),
        "MessagesRequest": with_parameters(read["MessagesRequest"], policy, MESSAGES_PARAMETERS),
        **written,
        **responses,
        **keys,
    }


def _bounded(ask: Json, most: int) -> Json:
    """With the length that a prompt may have."""
    properties = ask["properties"]
    prompt = {**properties["prompt"], "maxLength": most}
    return {**ask, "properties": {**properties, "prompt": prompt}}
