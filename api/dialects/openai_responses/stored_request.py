"""What is kept of a request with its response, made ready before the response is there. Pure, but for the keeping."""

import msgspec
from msgspec import Struct

from api.dialects.openai_responses.decode import ResponsesTurnRequest
from api.dialects.openai_responses.encode import FinishedResponse
from api.dialects.openai_responses.output import encoder
from api.dialects.openai_responses.store import KeyResponses, StoredResponse
from api.dialects.openai_responses.view import to_input_item


class StoredRequest(Struct, frozen=True):
    """What is kept of a request with its response."""

    background: bool
    previous_items: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]

    @classmethod
    def from_request(cls, number: str, request: ResponsesTurnRequest) -> "StoredRequest":
        """What is kept of a call. number: the response's."""
        items = (
            to_input_item(item, f"{number.removeprefix('resp_')}i{at:02x}") for at, item in enumerate(request.items)
        )
        return cls(request.background, request.previous_items, tuple(items))


def store_response(
    responses: KeyResponses, stored_request: StoredRequest | None, finished: FinishedResponse, events: tuple[bytes, ...]
) -> None:
    """Keep a response that has ended, unless its client does not want that."""
    if stored_request:
        output = tuple(msgspec.Raw(encoder.encode(item)) for item in finished.output)
        number, data = finished.response.id, encoder.encode(finished.response)
        responses.put(
            StoredResponse(
                number,
                data,
                stored_request.previous_items,
                stored_request.items,
                output,
                background=stored_request.background,
                events=events,
            )
        )
