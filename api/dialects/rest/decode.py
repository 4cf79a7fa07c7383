"""The bodies of REST. Pure.

Law: a field of a wrong type is refused by its name; fields that are not known mean nothing.
"""

import msgspec

from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.conversation.fields import decode_json

_chat = msgspec.json.Decoder(ChatRequest)
_code = msgspec.json.Decoder(CodeRequest)
_analyze = msgspec.json.Decoder(AnalyzeRequest)
_file_read = msgspec.json.Decoder(FileReadRequest)
_bash = msgspec.json.Decoder(BashRequest)


def decode_chat(body: bytes) -> ChatRequest:
    """The body of POST /api/chat. Raises Problem (400)."""
    return decode_json(body, _chat)


def decode_code(body: bytes) -> CodeRequest:
    """The body of POST /api/code. Raises Problem (400)."""
    return decode_json(body, _code)


def decode_analyze(body: bytes) -> AnalyzeRequest:
    """The body of POST /api/analyze. Raises Problem (400)."""
    return decode_json(body, _analyze)


def decode_file_read(body: bytes) -> FileReadRequest:
    """The body of POST /api/tools/file-read. Raises Problem (400)."""
    return decode_json(body, _file_read)


def decode_bash(body: bytes) -> BashRequest:
    """The body of POST /api/tools/bash. Raises Problem (400)."""
    return decode_json(body, _bash)
