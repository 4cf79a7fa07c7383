"""A request for a message as the rules of the service read it."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from tests.support.scripted.service_models import Model, find_model

type Json = dict[str, Any]

ROLES = ("user", "assistant", "system")


class Place(Struct, frozen=True):
    """A content block and where it stands. within: the types of the blocks that hold it, from outside."""

    at: str
    role: str
    block: Json
    within: tuple[str, ...] = ()

    @property
    def kind(self) -> Any:
        """The block's type."""
        return self.block["type"]


class Request(Struct, frozen=True):
    """A body whose messages have the form that `find_malformed` asks for, and its headers by lower-case names."""

    body: Json
    headers: Mapping[str, str]

    @property
    def model(self) -> Model:
        """The model that is asked for."""
        return find_model(self.body.get("model"))

    @property
    def messages(self) -> list[Json]:
        """The messages."""
        return self.body["messages"]

    @property
    def tools(self) -> list[Json]:
        """The tools."""
        return self.body.get("tools") or []

    @property
    def thinking(self) -> str | None:
        """The type of thinking that is asked for."""
        return (self.body.get("thinking") or {}).get("type")

    def blocks(self) -> Iterator[Place]:
        """The blocks of the messages, outermost first, each followed by those it holds."""
        for number, message in enumerate(self.messages):
            for index, block in enumerate(to_blocks(message["content"])):
                yield from _with_inner(Place(f"messages.{number}.content.{index}", message["role"], block))


def _with_inner(place: Place) -> Iterator[Place]:
    yield place
    inner: Any = None
    at = f"{place.at}.{place.kind}.content"
    if place.kind == "tool_result":
        inner = place.block.get("content")
    elif place.kind == "document" and isinstance(source := place.block.get("source"), dict):
        inner, at = source.get("content"), f"{place.at}.document.source.content"
    if isinstance(inner, list):
        for index, block in enumerate(inner):
            yield from _with_inner(Place(f"{at}.{index}", place.role, block, (*place.within, place.kind)))


def to_blocks(content: str | list[Json]) -> list[Json]:
    """Content as blocks; an empty text is none."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def find_malformed(body: Any) -> Iterator[str]:
    """What makes a body no request at all, so that no rule could read it."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        yield "messages: Field required"
        return
    yield from _find_malformed_parameters(body)
    if not isinstance(system := body.get("system", ""), str):
        yield from _find_malformed_blocks(system, "system")
    for number, message in enumerate(body["messages"]):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            yield f"messages.{number}.role: Input should be 'user', 'assistant' or 'system'"
        elif not isinstance(content := message.get("content"), str):
            yield from _find_malformed_blocks(content, f"messages.{number}.content")


def _find_malformed_parameters(body: Json) -> Iterator[str]:
    for name in ("tools", "stop_sequences"):
        if not isinstance(body.get(name, []), list):
            yield f"{name}: Input should be a valid list"
    for name in ("thinking", "tool_choice", "output_config"):
        if not isinstance(body.get(name, {}), dict):
            yield f"{name}: Input should be a valid dictionary"
    for number, tool in enumerate(body.get("tools", [])):
        if not isinstance(tool, dict):
            yield f"tools.{number}: Input should be a valid dictionary"


def _find_malformed_blocks(content: Any, at: str) -> Iterator[str]:
    if not isinstance(content, list):
        yield f"{at}: Input should be a valid list"
        return
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            yield f"{at}.{index}.type: Field required"
        elif block["type"] == "text" and not isinstance(block.get("text"), str):
            yield f"{at}.{index}.text.text: Input should be a valid string"
        elif block["type"] == "tool_result" and not isinstance(inner := block.get("content", ""), str):
            yield from _find_malformed_blocks(inner, f"{at}.{index}.tool_result.content")
