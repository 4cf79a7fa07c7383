"""Checks the messages of the protocol before the SDK gets them. Pure.

Invariants: an invalid JSON-RPC message, or one with a parameter of a wrong type, is rejected with the name of the field
and the id of the message, if it has one. (https://www.jsonrpc.org/specification)
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.fields import decode_json
from api.core.problems import Problem, invalid_problem

JSON_RPC_VERSION = "2.0"

type Json = dict[str, msgspec.Raw]


class JsonRpcError(Struct, frozen=True):
    """Why a request of the server failed."""

    code: int
    message: str


class JsonRpcMessage(Struct, frozen=True):
    """A request, a notification (which has no id) or a response (which has no method)."""

    jsonrpc: str
    id: str | int | UnsetType | None = UNSET
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: Json | None = None
    error: JsonRpcError | None = None


class ToolCallParams(Struct, frozen=True):
    """The parameters of a tool call."""

    name: str
    arguments: Json | None = None


class PromptParams(Struct, frozen=True):
    """The parameters of a prompt."""

    name: str
    arguments: dict[str, str] | None = None


class ResourceParams(Struct, frozen=True):
    """The parameters of reading a resource."""

    uri: str


_message = msgspec.json.Decoder(JsonRpcMessage)
_params: msgspec.json.Decoder[Json] = msgspec.json.Decoder(Json)
# By method. Other methods take any object.
PARAMS_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "tools/call": msgspec.json.Decoder(ToolCallParams),
    "prompts/get": msgspec.json.Decoder(PromptParams),
    "resources/read": msgspec.json.Decoder(ResourceParams),
}


class InvalidMessage(Problem):
    """A message is rejected. id: that of the message, if it has one."""

    def __init__(self, problem: Problem, message_id: str | int | None) -> None:
        super().__init__(problem.status, problem.code, problem.message, param=problem.param)
        self.id = message_id


def parse_message(body: bytes) -> JsonRpcMessage:
    """Decodes and checks a body. Raises Problem (400)."""
    if body.lstrip().startswith(b"["):
        raise invalid_problem("Send one message per request; batches are not supported.")
    message = decode_json(body, _message)
    try:
        check_message(message)
    except Problem as problem:
        raise InvalidMessage(problem, None if message.id is UNSET else message.id) from problem
    return message


def check_message(message: JsonRpcMessage) -> None:
    """Checks the fields of a message. Raises Problem."""
    if message.jsonrpc != JSON_RPC_VERSION:
        raise invalid_problem(f'`jsonrpc` must be "{JSON_RPC_VERSION}".', "jsonrpc")
    if message.method is None and message.result is None and message.error is None:
        raise invalid_problem("`method` is missing.", "method")
    if message.id is None and message.error is None:
        raise invalid_problem("`id` must be a string or an integer. A notification has none.", "id")
    if message.method is None and message.id is UNSET:
        raise invalid_problem("`id` is missing.", "id")
    if message.method is not None:
        params = b"{}" if bytes(message.params) == b"null" else bytes(message.params)
        decode_json(params, PARAMS_DECODERS.get(message.method, _params), "params")
