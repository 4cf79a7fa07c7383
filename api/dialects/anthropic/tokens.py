"""Estimates the tokens of a request without the service. Pure.

Invariants: the response marks the number as an estimate. A reconstruction of Anthropic's tokenizer counts text up to a
limit, and the rest in proportion. Images count by their size, PDF pages by an average.
"""

import base64

import ctok

from api.conversation.drafts import DraftBlock, DraftResult
from api.conversation.turn_request import TurnRequest
from api.media.blocks import OfficeDocument, RemoteDocument, RemoteMedia
from api.media.image_headers import read_dimensions
from shared.turn import Document, Image, RedactedThinking, Text, Thinking, ToolUse

MAX_TOKENIZED_CHARACTERS = 16_000
MESSAGE_OVERHEAD = 4
TOOLS_OVERHEAD = 340
TOOL_OVERHEAD = 12
MAX_IMAGE_TOKENS = 1600
PIXELS_PER_TOKEN = 750
TOKENS_PER_PAGE = 2000
# The text of an office document is compressed: about one token for this many bytes, without its images.
BYTES_PER_TOKEN, MAX_DOCUMENT_TOKENS = 3, 50_000


def estimate_tokens(call: TurnRequest) -> int:
    """Returns the estimated tokens of a request."""
    texts = [*call.system]
    fixed = MESSAGE_OVERHEAD * (len(call.drafts) + len(call.system))
    for draft in call.drafts:
        for block in draft.content:
            fixed += _count_block_tokens(block, texts)
    if call.tool_set.tools:
        fixed += TOOLS_OVERHEAD + TOOL_OVERHEAD * len(call.tool_set.tools)
        texts += [part for tool in call.tool_set.tools for part in (tool.name, tool.description, tool.schema)]
    if call.schema:
        texts.append(call.schema)
    return fixed + _count_text_tokens("\n".join(texts))


def _count_text_tokens(text: str) -> int:
    counted = ctok.token_count(text[:MAX_TOKENIZED_CHARACTERS])
    return counted if len(text) <= MAX_TOKENIZED_CHARACTERS else round(counted * len(text) / MAX_TOKENIZED_CHARACTERS)


def _count_block_tokens(block: DraftBlock, texts: list[str]) -> int:
    """Returns the tokens of a block that is not text. Appends text to `texts`."""
    match block:
        case Text(text):
            texts.append(text)
        case Thinking() | RedactedThinking():
            # The service does not count the thinking of earlier turns.
            return 0
        case ToolUse(_, name, arguments):
            texts += [name, arguments]
        case DraftResult(_, content):
            return MESSAGE_OVERHEAD + sum(_count_block_tokens(part, texts) for part in content)
        case Document("text/plain", text):
            texts.append(text)
        case Document(_, data):
            pages = base64.b64decode(data).replace(b"/Type/Page", b"/Type /Page")
            return TOKENS_PER_PAGE * max(1, pages.count(b"/Type /Page") - pages.count(b"/Type /Pages"))
        case Image(media_type, data):
            width, height = read_dimensions(base64.b64decode(data), media_type) or (0, 0)
            return min(MAX_IMAGE_TOKENS, width * height // PIXELS_PER_TOKEN + 1)
        case RemoteMedia():
            return TOKENS_PER_PAGE if isinstance(block, RemoteDocument) else MAX_IMAGE_TOKENS
        case OfficeDocument(data):
            return min(MAX_DOCUMENT_TOKENS, len(data) // BYTES_PER_TOKEN + 1)
    return 0
