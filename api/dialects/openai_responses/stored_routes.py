"""The handlers of stored and running responses: look up, follow, cancel, delete, list input items."""

from collections.abc import AsyncGenerator

from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from api.conversation.parameters import Policy
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import Problem, invalid_problem
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.openai_responses.output import DeletedResponse, ItemList, ResponseObject, StreamEvent
from api.dialects.openai_responses.running_responses import RawEventEncoder, RunningResponses, replay_events
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import paginate_items
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder

MAX_EVENT_NUMBER_DIGITS = 10
EVENTS = (
    "Each event has its type as `event`, and itself as JSON as `data`. The last one has the complete response: "
    "`response.completed`, `response.incomplete` or `response.failed`. Lines that start with a colon only keep the "
    "connection alive."
)


def build_json_response(body: bytes, headers: dict[str, str] | None = None) -> ASGIApp:
    """Returns a response in its current state."""
    return ASGIResponse(body=body, media_type="application/json", headers=headers)


def build_stream_response(
    events: AsyncGenerator[tuple[int, bytes]], policy: Policy, headers: dict[str, str]
) -> ASGIApp:
    """Returns the events of a response that does not end when this client disconnects."""
    return EventStreamResponse(
        events, RawEventEncoder(), stream=True, keepalive_interval=policy.keep_alive, headers=headers
    )


@get(
    "/v1/responses/{response_id:str}",
    opt={ENDPOINT: Endpoint(ResponseObject, event=StreamEvent, events=EVENTS), REQUIRED_SCOPE: "chat"},
)
async def get_response(
    request: Request[object, object, State],
    *,
    response_id: FromPath[str],
    policy: NamedDependency[Policy],
    response_store: NamedDependency[ResponseStore],
    running_responses: NamedDependency[RunningResponses],
    stream: FromQuery[str | None] = None,
    starting_after: FromQuery[str | None] = None,
) -> ASGIApp:
    """Look up a response.

    Returns a response of this key that is stored or in progress: its current state, or its stream.
    """
    key_id = get_caller(request).key_id
    after = parse_starting_after(stream, starting_after)
    live = running_responses.get(key_id, response_id)
    if live and live.stored:
        if after is None:
            return build_json_response(live.encoder.encode_answer())
        if live.background:
            return build_stream_response(live.follow(after), policy, {})
        raise no_stream_problem()
    stored = response_store.for_key(key_id).get(response_id)
    if after is None:
        return build_json_response(stored.body)
    if not stored.background:
        raise no_stream_problem()
    return build_stream_response(replay_events(stored.events, after), policy, {})


def parse_starting_after(stream: str | None, after: str | None) -> int | None:
    """Returns the number of the last event that a client has: -1 for none, None without a stream. Raises Problem (400)."""
    if stream not in {None, "true", "false"}:
        raise invalid_problem("`stream` must be true or false.", "stream")
    if after is not None and (
        stream != "true" or not (after.isascii() and after.isdigit() and len(after) < MAX_EVENT_NUMBER_DIGITS)
    ):
        raise invalid_problem(
            "`starting_after` must be the number of an event, and needs `stream=true`.", "starting_after"
        )
    return int(after or -1) if stream == "true" else None


def no_stream_problem() -> Problem:
    """Returns the problem of a stream that is requested later for a response without `background`."""
    message = (
        "`stream`: only responses made with `background: true` can be streamed later. Get this one without `stream`."
    )
    return invalid_problem(message, "stream", "unsupported_parameter")


@delete(
    "/v1/responses/{response_id:str}",
    status_code=200,
    opt={ENDPOINT: Endpoint(DeletedResponse), REQUIRED_SCOPE: "chat"},
)
async def delete_response(
    request: Request[object, object, State],
    response_id: FromPath[str],
    response_store: NamedDependency[ResponseStore],
    running_responses: NamedDependency[RunningResponses],
) -> Response[DeletedResponse]:
    """Delete a response.

    Responses that continued it stay. A response in progress is ended.
    """
    key_id = get_caller(request).key_id
    if (live := running_responses.get(key_id, response_id)) and live.stored:
        await live.cancel()
    response_store.for_key(key_id).delete(response_id)
    return Response(DeletedResponse(id=response_id))


@get("/v1/responses/{response_id:str}/input_items", opt={ENDPOINT: Endpoint(ItemList), REQUIRED_SCOPE: "chat"})
async def list_input_items(
    request: Request[object, object, State],
    *,
    response_id: FromPath[str],
    response_store: NamedDependency[ResponseStore],
    body_decoder: NamedDependency[BodyDecoder],
    limit: FromQuery[str] = "20",
    order: FromQuery[str] = "desc",
    after: FromQuery[str | None] = None,
) -> Response[ItemList]:
    """List a response's input items.

    Returns the items of its input, after those of the conversation before it.
    """
    key_id = get_caller(request).key_id
    stored = response_store.for_key(key_id).get(response_id)
    items = (*stored.previous_items, *stored.items)
    return Response(await body_decoder.run_in_thread(key_id, lambda: paginate_items(items, limit, order, after)))


@post(
    "/v1/responses/{response_id:str}/cancel",
    status_code=200,
    opt={ENDPOINT: Endpoint(ResponseObject), REQUIRED_SCOPE: "chat"},
)
async def cancel_response(
    request: Request[object, object, State],
    response_id: FromPath[str],
    response_store: NamedDependency[ResponseStore],
    running_responses: NamedDependency[RunningResponses],
) -> ASGIApp:
    """Cancel a response.

    Ends one that is in progress, in the background or streamed. Returns a background response that has ended as it is.
    """
    key_id = get_caller(request).key_id
    if live := running_responses.get(key_id, response_id):
        await live.cancel()
        return build_json_response(live.encoder.encode_answer())
    stored = response_store.for_key(key_id).get(response_id)
    if not stored.background:
        message = "This response has ended. Only a response in progress can be cancelled."
        raise invalid_problem(message, "response_id", "not_cancellable")
    return build_json_response(stored.body)


STORED_ROUTES = (get_response, delete_response, list_input_items, cancel_response)
