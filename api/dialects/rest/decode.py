"""The bodies of REST. Pure.

Law: a field of a wrong type is refused by its name; fields that are not known mean nothing.
"""

import msgspec

from api.agent.requests import AnalyzeAsk, BashAsk, ChatAsk, CodeAsk, FileReadAsk
from api.conversation.fields import decoded

_chat = msgspec.json.Decoder(ChatAsk)
_code = msgspec.json.Decoder(CodeAsk)
_analyze = msgspec.json.Decoder(AnalyzeAsk)
_file_read = msgspec.json.Decoder(FileReadAsk)
_bash = msgspec.json.Decoder(BashAsk)


def chat(body: bytes) -> ChatAsk:
    """The body of POST /api/chat. Raises Problem (400)."""
    return decoded(body, _chat)


def code(body: bytes) -> CodeAsk:
    """The body of POST /api/code. Raises Problem (400)."""
    return decoded(body, _code)


def analyze(body: bytes) -> AnalyzeAsk:
    """The body of POST /api/analyze. Raises Problem (400)."""
    return decoded(body, _analyze)


def file_read(body: bytes) -> FileReadAsk:
    """The body of POST /api/tools/file-read. Raises Problem (400)."""
    return decoded(body, _file_read)


def bash(body: bytes) -> BashAsk:
    """The body of POST /api/tools/bash. Raises Problem (400)."""
    return decoded(body, _bash)
