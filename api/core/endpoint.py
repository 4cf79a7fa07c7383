"""The part of an endpoint's API description that its handler's signature does not contain."""

from msgspec import Struct

# The key in a handler's `opt`. The handler's docstring has the summary and, after it, the description.
ENDPOINT = "endpoint"


class Endpoint(Struct, frozen=True):
    """The types of a request and of its responses, for a handler that reads and writes JSON itself.

    answer: the struct of a successful response, or its media type; None: no body. csv: the answer is also available as CSV.
    event: the struct of an event's data, if the answer can be a stream. events: a description of the stream.
    headers: the headers of a successful response. errors: statuses that only this endpoint has.
    """

    answer: type[Struct] | str | None = None
    body: type[Struct] | None = None
    event: type[Struct] | None = None
    events: str = ""
    csv: bool = False
    headers: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
