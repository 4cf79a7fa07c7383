"""Thinking blocks: the signatures that the scripted service gives out, and what it says of those that come back.

A signature is made of what stood before its block, of the block's text and of a check on both, so that the service need
not remember what it gave out. Thinking is not part of what stood before, since a client may leave blocks out.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tests.support.scripted.service_request import Json, Request, to_blocks

BILLING = "x-anthropic-billing-header"
DROP_THINKING_BETA = "thinking-binding-controls"
LENGTH = 16
THINKING_BLOCKS = ("thinking", "redacted_thinking")
CLIENT_FIELDS = ("input", "input_schema")


def sign(body: Json, text: str, earlier: Sequence[Json] = ()) -> str:
    """The signature of a thinking block. earlier: the blocks of the same answer before it."""
    blocks = [{"role": "assistant", "content": list(earlier)}] if earlier else []
    return _sign(_hash_prefix(body, [*body["messages"], *blocks]), text)


def _sign(prefix: bytes, text: str) -> str:
    told = prefix + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:LENGTH]
    return base64.b64encode(told + hashlib.sha256(b"scripted" + told).digest()[:LENGTH]).decode()


def _hash_prefix(body: Json, messages: Sequence[Json]) -> bytes:
    """A hash of system, tools and messages, wherever the cache breaks; the order of the client's own names counts."""
    system = [block["text"] for block in to_blocks(body.get("system") or [])]
    parts = [
        [text for text in system if not text.startswith(BILLING)],
        [_canonical(tool) for tool in body.get("tools") or []],
        [part for message in messages if (part := _to_part(message))[1]],
    ]
    return hashlib.sha256(msgspec.json.encode(parts)).digest()[:LENGTH]


def _to_part(message: Json) -> tuple[str, list[Json]]:
    blocks = [block for block in to_blocks(message["content"]) if block["type"] not in THINKING_BLOCKS]
    return message["role"], [_canonical(block) for block in blocks]


def _canonical(value: Any) -> Any:
    match value:
        case {"type": "tool_result", "content": str() as text}:
            return _canonical({**value, "content": to_blocks(text)})
        case dict():
            kept = {name: value[name] for name in sorted(value) if name != "cache_control"}
            return {name: part if name in CLIENT_FIELDS else _canonical(part) for name, part in kept.items()}
        case list():
            return [_canonical(part) for part in value]
        case _:
            return value


def _read(signature: object) -> tuple[bytes, bytes] | None:
    """The hashes of a signature's prefix and text, or None where this service never gave it out."""
    try:
        data = base64.b64decode(signature if isinstance(signature, str) else "", validate=True)
    except (binascii.Error, ValueError):
        return None
    told, check = data[: 2 * LENGTH], data[2 * LENGTH :]
    if len(data) != 3 * LENGTH or check != hashlib.sha256(b"scripted" + told).digest()[:LENGTH]:
        return None
    return told[:LENGTH], told[LENGTH:]


def find_bad_signatures(request: Request) -> Iterator[str]:
    """A signature is this service's, and on newer models its block stands behind what it stood behind."""
    dropped = DROP_THINKING_BETA in request.headers.get("anthropic-beta", "") and (
        (request.body.get("thinking") or {}).get("block_binding", {}).get("prefix_mismatch_behavior") == "drop_block"
    )
    for number, index, block in _thinking(request):
        hashes = _read(block.get("signature"))
        at = f"messages.{number}.content.{index}"
        if hashes is None:
            yield f"{at}: Invalid `signature` in `thinking` block"
        elif request.model.binds_thinking and not dropped and hashes[0] != _prefix(request, number, index):
            yield f"{at}: Invalid `signature` in `thinking` block. The block is bound to a different conversation."


def _prefix(request: Request, number: int, index: int) -> bytes:
    message = request.messages[number]
    before = {**message, "content": to_blocks(message["content"])[:index]}
    return _hash_prefix(request.body, [*request.messages[:number], before])


def _thinking(request: Request) -> Iterator[tuple[int, int, Json]]:
    for number, message in enumerate(request.messages):
        for index, block in enumerate(to_blocks(message["content"])):
            if block["type"] == "thinking":
                yield number, index, block


def find_changed_thinking(request: Request) -> Iterator[str]:
    """In the last assistant message a thinking block has the words that it was given out with, or none.

    Without words a block is whole: its signature holds what was thought.
    """
    last = max((n for n, message in enumerate(request.messages) if message["role"] == "assistant"), default=None)
    for number, index, block in _thinking(request):
        hashes = _read(block.get("signature"))
        text = str(block.get("thinking", "")).encode("utf-8", "surrogatepass")
        if number == last and hashes and text and hashes[1] != hashlib.sha256(text).digest()[:LENGTH]:
            yield (
                f"messages.{number}.content.{index}: `thinking` or `redacted_thinking` blocks in the latest assistant "
                "message cannot be modified. These blocks must remain as they were in the original response."
            )


THINKING_RULES: Mapping[str, Callable[[Request], Iterator[str]]] = {
    "signatures": find_bad_signatures,
    "thinking_unchanged": find_changed_thinking,
}
