"""How many tokens a request has, estimated without the service. Pure.

Law: it is an estimate and said to be one. Text is counted by a reconstruction of the vendor's tokenizer, up to a limit
beyond which the rest is taken to be like its beginning; pictures by their size, pages of PDFs by a mean.
"""

import base64

import ctok

from api.conversation.drafts import DraftBlock, DraftResult
from api.conversation.turn_request import TurnRequest
from api.media.blocks import OfficeDocument, Remote, RemoteDocument, dimensions
from shared.turn import Document, Image, RedactedThinking, Text, Thinking, ToolUse

COUNTED = 16_000
MESSAGE_FRAME = 4
TOOLS_FRAME = 340
TOOL_FRAME = 12
MOST_OF_IMAGE = 1600
PIXELS_A_TOKEN = 750
PAGE = 2000
ESTIMATED = {"x-token-count": "estimate"}
# Of an office document, whose text is packed: about one token for so many bytes, its pictures left out.
BYTES_A_TOKEN, MOST_OF_DOCUMENT = 3, 50_000


def estimate(call: TurnRequest) -> int:
    """The tokens of a request."""
    texts = [*call.system]
    fixed = MESSAGE_FRAME * (len(call.drafts) + len(call.system))
    for draft in call.drafts:
        for block in draft.content:
            fixed += _block(block, texts)
    if call.offered.tools:
        fixed += TOOLS_FRAME + TOOL_FRAME * len(call.offered.tools)
        texts += [part for tool in call.offered.tools for part in (tool.name, tool.description, tool.schema)]
    if call.schema:
        texts.append(call.schema)
    return fixed + _text("\n".join(texts))


def _text(text: str) -> int:
    counted = ctok.token_count(text[:COUNTED])
    return counted if len(text) <= COUNTED else round(counted * len(text) / COUNTED)


def _block(block: DraftBlock, texts: list[str]) -> int:
    """The tokens of what is no text; texts are gathered."""
    match block:
        case Text(text):
            texts.append(text)
        case Thinking() | RedactedThinking():
            # The service leaves the thinking of earlier turns out of what it counts.
            return 0
        case ToolUse(_, name, arguments):
            texts += [name, arguments]
        case DraftResult(_, content):
            return MESSAGE_FRAME + sum(_block(part, texts) for part in content)
        case Document("text/plain", text):
            texts.append(text)
        case Document(_, data):
            pages = base64.b64decode(data).replace(b"/Type/Page", b"/Type /Page")
            return PAGE * max(1, pages.count(b"/Type /Page") - pages.count(b"/Type /Pages"))
        case Image(media_type, data):
            width, height = dimensions(base64.b64decode(data), media_type) or (0, 0)
            return min(MOST_OF_IMAGE, width * height // PIXELS_A_TOKEN + 1)
        case Remote():
            return PAGE if isinstance(block, RemoteDocument) else MOST_OF_IMAGE
        case OfficeDocument(data):
            return min(MOST_OF_DOCUMENT, len(data) // BYTES_A_TOKEN + 1)
    return 0
