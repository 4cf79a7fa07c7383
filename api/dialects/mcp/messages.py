"""A message of the protocol's, as it is looked at before the library has it. Pure.

Law: what is no message of JSON-RPC's, or has a parameter of a wrong type, is refused with the field's own name and, where
there is one, the id of the message. (https://www.jsonrpc.org/specification)
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.fields import decoded
from api.core.problems import Problem, invalid
from api.dialects.mcp.accept import JSON

VERSION = "2.0"

type Json = dict[str, msgspec.Raw]


class Failure(Struct, frozen=True):
    """Why a request of ours came to nothing."""

    code: int
    message: str


class Message(Struct, frozen=True):
    """A request, a notification (which has no id) or a response (which has no method)."""

    jsonrpc: str
    id: str | int | UnsetType | None = UNSET
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: Json | None = None
    error: Failure | None = None


class Call(Struct, frozen=True):
    """A tool with its arguments."""

    name: str
    arguments: Json | None = None


class Prompt(Struct, frozen=True):
    """A prompt with its arguments."""

    name: str
    arguments: dict[str, str] | None = None


class Address(Struct, frozen=True):
    """A resource's."""

    uri: str


_message = msgspec.json.Decoder(Message)
_params: msgspec.json.Decoder[Json] = msgspec.json.Decoder(Json)
# What the methods that this server serves have to say.
PARAMETERS: dict[str, msgspec.json.Decoder[Any]] = {
    "tools/call": msgspec.json.Decoder(Call),
    "prompts/get": msgspec.json.Decoder(Prompt),
    "resources/read": msgspec.json.Decoder(Address),
}


class Unfit(Problem):
    """A message that is refused. id: its own, if it has one."""

    def __init__(self, problem: Problem, message_id: str | int | None) -> None:
        super().__init__(problem.status, problem.code, problem.message, param=problem.param)
        self.id = message_id


def read(body: bytes) -> Message:
    """The message that a body is. Raises Problem (400)."""
    if body.lstrip().startswith(b"["):
        raise invalid("Send one message a request, not a list of them.")
    message = decoded(body, _message)
    try:
        check(message)
    except Problem as problem:
        raise Unfit(problem, None if message.id is UNSET else message.id) from problem
    return message


def check(message: Message) -> None:
    """Whether it makes sense. Raises Problem."""
    if message.jsonrpc != VERSION:
        raise invalid(f'`jsonrpc` must be "{VERSION}".', "jsonrpc")
    if message.method is None and message.result is None and message.error is None:
        raise invalid("`method` is missing.", "method")
    if message.id is None and message.error is None:
        raise invalid("`id` must be a text or a whole number; leave it out of a notification.", "id")
    if message.method is None and message.id is UNSET:
        raise invalid("`id` is missing.", "id")
    if message.method is not None:
        params = b"{}" if bytes(message.params) == b"null" else bytes(message.params)
        decoded(params, PARAMETERS.get(message.method, _params), "params")


def typed(content_type: str) -> None:
    """Whether a body is said to be JSON, or nothing is said of it. Raises Problem (415)."""
    if content_type and content_type.partition(";")[0].strip().lower() != JSON:
        raise Problem(415, "unsupported_media_type", f"Send JSON, with Content-Type: {JSON}.")
