"""What the API description says of an endpoint that its handler's signature does not."""

from msgspec import Struct

# The key in a handler's `opt`. The handler's docstring has the summary and, after it, the description.
ENDPOINT = "endpoint"


class Endpoint(Struct, frozen=True):
    """The types of a request and of its responses, for a handler that reads and writes JSON on its own.

    answer: the struct of a success, or the media type of another one; None has no body. csv: the answer is also a table.
    event: the struct of an event's data, if the answer can be a stream; events: a description of the stream.
    headers: those of a success. errors: statuses that only this endpoint has.
    """

    answer: type[Struct] | str | None = None
    body: type[Struct] | None = None
    event: type[Struct] | None = None
    events: str = ""
    csv: bool = False
    headers: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
