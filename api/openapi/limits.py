"""What JSON Schema can say of a field beyond its struct: limits, closed lists, and JSON that is carried along unread."""

from typing import Any

from api.conversation.fields import EFFORT_NAMES, MAX_STOP_SEQUENCES
from api.conversation.tools import MAX_TOOLS

type Json = dict[str, Any]

ANY_SCHEMA: Json = {"type": "object", "description": "A JSON Schema (draft 2020-12, or what its `$schema` names)."}
TOKENS: Json = {"minimum": 1, "maximum": 10_000_000}
NAME: Json = {"minLength": 1, "maxLength": 512}


def _either(*parts: Json) -> Json:
    return {"anyOf": [*parts, {"type": "null"}]}


def _of(struct: str) -> Json:
    return {"$ref": f"#/components/schemas/{struct}"}


def _listed(struct: str, most: int | None = None) -> Json:
    return {"type": ["array", "null"], "items": _of(struct)} | ({"maxItems": most} if most else {})


# What is read by its type only where it is understood.
CONTENT: Json = _either({"type": "string"}, {"type": "array", "items": _of("Part")})

_NAMED: Json = {
    "type": "object",
    "description": "One tool, by name. Flat (`name` beside `type`) works too.",
    "properties": {
        "type": {"enum": ["function", "custom", "tool"], "description": "The kind of tool."},
        "function": {
            "type": "object",
            "description": "The function.",
            "properties": {"name": {"type": "string", "description": "Its name."}},
            "required": ["name"],
        },
    },
    "required": ["type"],
}
_ALLOWED: Json = {
    "type": "object",
    "description": "Only some of the tools.",
    "properties": {
        "type": {"const": "allowed_tools", "description": "Says that this is a selection."},
        "allowed_tools": {
            "type": "object",
            "description": "The selection.",
            "properties": {
                "mode": {"enum": ["auto", "required"], "description": "Whether one of them must be called."},
                "tools": {
                    "type": "array",
                    "minItems": 1,
                    "items": _NAMED,
                    "description": "The tools that may be called.",
                },
            },
            "required": ["mode", "tools"],
        },
    },
    "required": ["type", "allowed_tools"],
}

# A struct's name, or a field's place, and what is added to its schema; `type` where it takes the place of another.
LIMITS: dict[str, Json] = {
    "ChatCompletionRequest": {"required": ["messages"]},
    "ChatCompletionRequest.messages": {"minItems": 1, "items": _of("ChatMessage")},
    "ChatCompletionRequest.max_tokens": TOKENS,
    "ChatCompletionRequest.max_completion_tokens": TOKENS,
    "ChatCompletionRequest.tools": _listed("ToolDefinition", MAX_TOOLS),
    "ChatCompletionRequest.functions": {"maxItems": MAX_TOOLS},
    "ChatCompletionRequest.tool_choice": _either({"enum": ["none", "auto", "required", "any"]}, _NAMED, _ALLOWED),
    "ChatCompletionRequest.function_call": _either({"enum": ["none", "auto"]}, _of("FunctionCall")),
    "ChatCompletionRequest.reasoning_effort": {"enum": [*EFFORT_NAMES, None]},
    "ChatCompletionRequest.stop": _either(
        {"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STOP_SEQUENCES}
    ),
    "ChatCompletionRequest.max_budget_usd": {"exclusiveMinimum": 0, "maximum": 10_000},
    "ReasoningOptions.effort": {"enum": [*EFFORT_NAMES, None]},
    "ReasoningOptions.max_tokens": {"minimum": 0},
    "ChatMessage": {"required": ["role"]},
    "ChatMessage.role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool", "function"]},
    "ChatMessage.content": CONTENT,
    "ChatMessage.tool_calls": _listed("ToolCallIn"),
    "FunctionCall.arguments": {"type": ["string", "null"]},
    "Part.type": {
        "enum": [
            *("text", "image_url", "file", "refusal"),
            *("input_text", "output_text", "input_image", "input_file"),
            *("image", "document", "tool_use", "tool_result"),
        ]
    },
    "Part.input": {"type": "object"},
    "Part.content": CONTENT,
    "ImageUrl.url": {"minLength": 1},
    "FunctionDefinition.name": NAME,
    "FunctionDefinition.parameters": ANY_SCHEMA,
    "CustomDefinition.name": NAME,
    "ToolDefinition.type": {"enum": ["function", "custom", None]},
    "ToolDefinition.parameters": ANY_SCHEMA,
    "ToolDefinition.input_schema": ANY_SCHEMA,
    "ToolCallIn.id": {"minLength": 1},
    "ResponseFormat.type": {"enum": ["text", "json_object", "json_schema"]},
    "ResponseFormat.schema": ANY_SCHEMA,
    "JsonSchemaFormat.schema": ANY_SCHEMA,
    "ChatUsage.prompt_tokens": {"minimum": 0},
    "ChatUsage.completion_tokens": {"minimum": 0},
    "ChatUsage.total_tokens": {"minimum": 0},
    "ChatUsage.cost_usd": {"minimum": 0},
    "ChatCompletionChunk.id": {"pattern": "^chatcmpl-"},
    "ChatCompletion.id": {"pattern": "^chatcmpl-"},
    "ChatCompletion.choices": {"minItems": 1},
    "ErrorBody.message": {"minLength": 1},
    "ResponsesRequest.input": _either({"type": "string", "minLength": 1}, {"type": "array", "items": _of("Item")}),
    "ResponsesRequest.max_output_tokens": TOKENS,
    "ResponsesRequest.tools": _listed("ResponsesTool", MAX_TOOLS),
    "ResponsesRequest.tool_choice": _either({"enum": ["none", "auto", "required"]}, _NAMED, _ALLOWED),
    "ResponsesRequest.truncation": {"enum": ["auto", "disabled", None]},
    "ResponsesRequest.metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    "ResponsesRequest.max_budget_usd": {"exclusiveMinimum": 0, "maximum": 10_000},
    "ResponsesTool.tools": _listed("ToolDefinition"),
    "ResponsesTool.parameters": ANY_SCHEMA,
    "ResponsesTool.input_schema": ANY_SCHEMA,
    "TextFormat.type": {"enum": ["text", "json_object", "json_schema"]},
    "TextFormat.schema": ANY_SCHEMA,
    "TextOptions.verbosity": {"enum": ["low", "medium", "high", None]},
    "Reasoning.effort": {"enum": [*EFFORT_NAMES, None]},
    "Reasoning.summary": {"enum": ["auto", "concise", "detailed", "none", None]},
    "Reasoning.generate_summary": {"enum": ["auto", "concise", "detailed", None]},
    "Item.role": {"enum": ["system", "developer", "user", "assistant", None]},
    "Item.content": CONTENT,
    "Item.arguments": {"type": ["string", "null"]},
    "ResponseObject.metadata": {"type": "object"},
    "ItemList.data": {"type": "array", "items": {"type": "object"}},
}
