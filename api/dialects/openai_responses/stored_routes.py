"""What is kept of a request with its response, made ready before the response is there. Pure, but for the keeping."""

import msgspec
from msgspec import Struct

from api.dialects.openai_responses.decode import ResponsesCall
from api.dialects.openai_responses.encode import Finished
from api.dialects.openai_responses.output import encoder
from api.dialects.openai_responses.store import Shelf, Stored
from api.dialects.openai_responses.view import shown


class Kept(Struct, frozen=True):
    """What is kept of a request with its response."""

    background: bool
    before: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]

    @classmethod
    def of(cls, number: str, call: ResponsesCall) -> "Kept":
        """What is kept of a call. number: the response's."""
        items = (shown(item, f"{number.removeprefix('resp_')}i{at:02x}") for at, item in enumerate(call.items))
        return cls(call.background, call.before, tuple(items))


def keep(shelf: Shelf, kept: Kept | None, finished: Finished, events: tuple[bytes, ...]) -> None:
    """Keep a response that has ended, unless its client does not want that."""
    if kept:
        output = tuple(msgspec.Raw(encoder.encode(item)) for item in finished.output)
        number, data = finished.response.id, encoder.encode(finished.response)
        shelf.put(Stored(number, data, kept.before, kept.items, output, background=kept.background, events=events))
