"""The lines that the CLI reads on its stdin. Pure.

Invariants: a line is one JSON value without a line break: the text of a request travels inside JSON strings. Every user
line is `client_composed`: without it the CLI would expand `@path` and run `/command`.
(The types `SDKControlRequest` and `SDKUserMessage` of the CLI's agent SDK.)
"""

from collections.abc import Sequence

import msgspec

from executor.claude.request.body import PLACEHOLDER

# The CLI treats an element of exactly this text as a marker, not as text.
SYSTEM_PROMPT_BOUNDARY = "__SYSTEM_PROMPT_DYNAMIC_BOUNDARY__"


def build_initialize(system: Sequence[str]) -> dict[str, object]:
    """Builds the control request that sets the system prompt."""
    texts = [f"{text}\n" if text == SYSTEM_PROMPT_BOUNDARY else text for text in system]
    return {"subtype": "initialize", "systemPrompt": texts, "systemPromptSnapshot": False}


def build_apply_settings(settings: dict[str, object]) -> dict[str, object]:
    """Builds the control request that changes settings, the model among them.

    The request `set_model` is not used: for a model that it does not know, the CLI would send a test message to the service.
    """
    return {"subtype": "apply_flag_settings", "settings": settings}


def build_hide_thinking() -> dict[str, object]:
    """Builds the control request for thinking without text: the service then signs exactly the block that is given out."""
    return {"subtype": "set_max_thinking_tokens", "thinking_display": "omitted"}


def encode_control_request(request_id: str, request: dict[str, object]) -> bytes:
    """Encodes a control request as a line."""
    return _encode_line({"type": "control_request", "request_id": request_id, "request": request})


def encode_refusal(request_id: str) -> bytes:
    """Encodes the refusal of a control request of the CLI."""
    response = {"subtype": "error", "request_id": request_id, "error": "not available"}
    return _encode_line({"type": "control_response", "response": response})


def encode_query() -> bytes:
    """Encodes the user line that makes the CLI call the service; the conversation is in the settings."""
    return _encode_line(
        {
            "type": "user",
            "message": {"role": "user", "content": [PLACEHOLDER]},
            "parent_tool_use_id": None,
            "session_id": "",
            "client_composed": True,
        }
    )


def _encode_line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
