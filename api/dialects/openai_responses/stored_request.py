"""Stores a finished response together with its request."""

import msgspec
from msgspec import Struct

from api.dialects.openai_responses.encode import FinishedResponse
from api.dialects.openai_responses.output import encoder
from api.dialects.openai_responses.store import KeyResponses, StoredResponse


class StoredRequest(Struct, frozen=True):
    """The part of a request that is stored with its response. items: each with a type and an id."""

    background: bool
    previous_items: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]


def store_response(
    responses: KeyResponses, stored_request: StoredRequest | None, finished: FinishedResponse, events: tuple[bytes, ...]
) -> None:
    """Stores a response that has ended, if its request is to be stored."""
    if stored_request:
        output = tuple(msgspec.Raw(encoder.encode(item)) for item in finished.output)
        responses.put(
            StoredResponse(
                finished.response.id,
                encoder.encode(finished.response),
                stored_request.previous_items,
                stored_request.items,
                output,
                background=stored_request.background,
                events=events,
            )
        )
