"""The handlers of responses: create, count, look up, follow, cancel and delete them."""

import time
import uuid
from collections.abc import AsyncGenerator

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp
from msgspec import structs

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.conversation.parameters import Policy, build_parameter_headers
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import Problem, invalid_problem
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.anthropic.tokens import ESTIMATE_HEADERS, estimate_tokens
from api.dialects.openai_common import render_error
from api.dialects.openai_responses.decode import ResponsesTurnRequest, decode
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.models import ResponsesRequest
from api.dialects.openai_responses.output import DeletedResponse, InputTokens, ItemList, ResponseObject, StreamEvent
from api.dialects.openai_responses.output_items import ResponsesOutputOptions
from api.dialects.openai_responses.running_responses import (
    RawEventEncoder,
    RunningResponse,
    RunningResponses,
    replay_events,
    wait_until_accepted,
)
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.stored_request import StoredRequest, store_response
from api.dialects.openai_responses.view import build_response, paginate_items, to_input_items
from api.dialects.turn_preparation import DEPENDENCIES, TurnPreparation
from api.executors.stream_merger import merge_streams
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder
from api.models.catalogue import Catalogue

MAX_EVENT_NUMBER_DIGITS = 10
EVENTS = (
    "Each event has its type as `event`, and itself as JSON as `data`. The last one has the complete response: "
    "`response.completed`, `response.incomplete` or `response.failed`. Lines that start with a colon only keep the "
    "connection alive."
)


@post(
    "/v1/responses",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(ResponseObject, ResponsesRequest, event=StreamEvent, events=EVENTS),
        REQUIRED_SCOPE: "chat",
        REQUIRES_ADMISSION: True,
    },
)
async def create_response(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    turns: NamedDependency[TurnPreparation],
    response_store: NamedDependency[ResponseStore],
    running_responses: NamedDependency[RunningResponses],
) -> ASGIApp:
    """Answer an input.

    Returns the model's next items: text, calls of your tools, JSON by your schema, reasoning; complete, or streamed as
    they are written. A client that disconnects ends the answer at once. The response is kept for a while unless `store`
    is false, so that `previous_response_id` can continue it.
    """
    key_id = get_caller(request).key_id
    key_responses = response_store.for_key(key_id)
    response_id = f"resp_{uuid.uuid4().hex}"

    def read(data: bytes) -> ResponsesTurnRequest:
        call = decode(data, policy, key_responses)
        return structs.replace(call, items=to_input_items(call.items, response_id)) if call.store else call

    prepared = await turns.prepare(request, read)
    call = prepared.call
    stored_request = StoredRequest(call.background, call.previous_items, call.items) if call.store else None
    response = build_response(response_id, int(time.time()), prepared.model, call)
    options = ResponsesOutputOptions(
        call.tool_set.custom,
        call.tools.namespaces,
        show_summaries=call.show_summaries,
        include_encrypted=call.include_encrypted,
    )
    live = RunningResponse(
        lambda on_finished: ResponsesEncoder(response, options, lambda: int(time.time()), on_finished),
        lambda finished, events: store_response(key_responses, stored_request, finished, events),
        stored=call.store,
        background=call.background,
    )
    job = merge_streams(turns.run(prepared))
    if not call.background:
        events = running_responses.stream_events(key_id, response_id, live, job)
        return EventStreamResponse(
            events, live.encoder, stream=call.stream, keepalive_interval=policy.keep_alive, headers=prepared.headers
        )
    running_responses.start_background(key_id, response_id, live, await wait_until_accepted(job))
    if call.stream:
        return build_stream_response(live.follow(-1), policy, prepared.headers)
    return build_json_response(live.encoder.encode_answer(), prepared.headers)


@post(
    "/v1/responses/input_tokens",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(InputTokens, ResponsesRequest, headers=("x-token-count", "x-ignored-parameters")),
        REQUIRED_SCOPE: "chat",
        REQUIRES_ADMISSION: True,
    },
)
async def count_input_tokens(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    catalogue: NamedDependency[Catalogue],
    response_store: NamedDependency[ResponseStore],
    body_decoder: NamedDependency[BodyDecoder],
) -> Response[InputTokens]:
    """Estimate a request's tokens.

    The server makes the estimate without the model's service; the header `x-token-count` says so. An answer's `usage`
    has the real numbers.
    """
    key_id = get_caller(request).key_id

    def count(data: bytes) -> tuple[str | None, tuple[str, ...], int]:
        call = decode(data, policy, response_store.for_key(key_id))
        return call.model, call.ignored, estimate_tokens(call)

    model, ignored, tokens = await body_decoder.decode(key_id, await request_body.read(request), count)
    await catalogue.resolve(model)
    return Response(InputTokens(input_tokens=tokens), headers={**ESTIMATE_HEADERS, **build_parameter_headers(ignored)})


def build_json_response(body: bytes, headers: dict[str, str] | None = None) -> ASGIApp:
    """Returns a response in its current state."""
    return ASGIResponse(body=body, media_type="application/json", headers=headers)


def build_stream_response(
    events: AsyncGenerator[tuple[int, bytes]], policy: Policy, headers: dict[str, str]
) -> ASGIApp:
    """Returns the stream of a response that continues without its readers."""
    return EventStreamResponse(
        events, RawEventEncoder(), stream=True, keepalive_interval=policy.keep_alive, headers=headers
    )


@get("/v1/responses", opt={ENDPOINT: Endpoint(errors=(405, 426)), REQUIRED_SCOPE: "chat"})
async def reject_websocket(request: Request[object, object, State]) -> Response[bytes]:
    """Reject a WebSocket.

    Answers clients that try a WebSocket at once, so that they POST instead (RFC 9110 §15.5.22).
    """
    # The HTTP server removes the `Upgrade` header; the key of the handshake stays.
    if "sec-websocket-key" in request.headers:
        problem = Problem(426, "upgrade_required", "WebSockets are not supported. Use POST with `stream: true`.")
        headers = {"upgrade": "HTTP/1.1"}
    else:
        problem = Problem(405, "method_not_allowed", "This address does not take this method.")
        headers = {"allow": "POST"}
    return Response(
        render_error(problem),
        status_code=problem.status,
        headers={**problem.build_headers(), **headers},
        media_type="application/json",
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

    Returns a response that is kept for this key or is in progress: as it stands, or as its stream.
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
    """Returns the number of the last event that a client has, -1 for none; None if it wants no stream. Raises Problem (400)."""
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
    """A problem: only a response made in the background can be followed by later requests."""
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


router = Router(
    "/",
    tags=["Responses"],
    route_handlers=[
        create_response,
        count_input_tokens,
        reject_websocket,
        get_response,
        delete_response,
        list_input_items,
        cancel_response,
    ],
    dependencies=DEPENDENCIES,
)
