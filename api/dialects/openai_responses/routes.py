"""The handlers that create a response and count its input tokens."""

import time
import uuid
from functools import partial

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp
from msgspec import structs

from api.accounting.request_admission import post_job
from api.conversation.parameters import Policy, build_parameter_headers
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import Problem
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.openai_common import encoder
from api.dialects.openai_responses.decode import ResponsesTurnRequest, decode
from api.dialects.openai_responses.encode import FinishedResponse, ResponsesEncoder
from api.dialects.openai_responses.models import ResponsesRequest
from api.dialects.openai_responses.output import InputTokens, ResponseObject, StreamEvent
from api.dialects.openai_responses.output_items import ResponsesOutputOptions
from api.dialects.openai_responses.running_responses import RunningResponse, RunningResponses, wait_until_accepted
from api.dialects.openai_responses.store import ResponseStore, StoredResponse
from api.dialects.openai_responses.stored_routes import (
    EVENTS,
    STORED_ROUTES,
    build_json_response,
    build_stream_response,
)
from api.dialects.openai_responses.view import build_response, to_input_items
from api.dialects.turn_preparation import ESTIMATE_HEADERS, TurnPreparation
from api.http.event_stream import EventStreamResponse


@post_job("/v1/responses", "chat", Endpoint(ResponseObject, ResponsesRequest, event=StreamEvent, events=EVENTS))
async def create_response(
    request: Request[object, object, State],
    turns: NamedDependency[TurnPreparation],
    response_store: NamedDependency[ResponseStore],
    running_responses: NamedDependency[RunningResponses],
) -> ASGIApp:
    """Answer an input.

    Returns the model's next items: text, calls of your tools, JSON by your schema, reasoning; complete, or streamed as
    they are written. A client that disconnects ends the answer at once. The response is stored for a while unless
    `store` is false, so that `previous_response_id` can continue it.
    """
    key_id = get_caller(request).key_id
    key_responses = response_store.for_key(key_id)
    response_id = f"resp_{uuid.uuid4().hex}"

    def read(data: bytes, policy: Policy) -> ResponsesTurnRequest:
        call = decode(data, policy, key_responses)
        return structs.replace(call, items=to_input_items(call.items, response_id)) if call.store else call

    prepared = await turns.prepare(request, read)
    call = prepared.call
    stored = (
        StoredResponse(response_id, b"", call.previous_items, call.items, (), background=call.background)
        if call.store
        else None
    )

    # This must not refer to `call`, whose decoded media would stay in memory until the response ends.
    def store(finished: FinishedResponse, events: tuple[bytes, ...]) -> None:
        if stored:
            body = encoder.encode(finished.response)
            output = tuple(msgspec.Raw(encoder.encode(item)) for item in finished.output)
            key_responses.put(structs.replace(stored, body=body, output=output, events=events))

    response = build_response(response_id, int(time.time()), prepared.model, call)
    options = ResponsesOutputOptions(
        call.tool_set.custom,
        call.namespaces,
        show_summaries=call.show_summaries,
        include_encrypted=call.include_encrypted,
    )
    live = RunningResponse(
        lambda on_finished: ResponsesEncoder(response, options, lambda: int(time.time()), on_finished),
        store,
        stored=call.store,
        background=call.background,
    )
    job = turns.run(prepared)
    keep_alive = turns.policy.keep_alive
    if not call.background:
        events = running_responses.stream_events(key_id, response_id, live, job)
        return EventStreamResponse(
            events, live.encoder, stream=call.stream, keepalive_interval=keep_alive, headers=prepared.headers
        )
    running_responses.start_background(key_id, response_id, live, await wait_until_accepted(job))
    if call.stream:
        return build_stream_response(live.follow(-1), turns.policy, prepared.headers)
    return build_json_response(live.encoder.encode_answer(), prepared.headers)


@post_job(
    "/v1/responses/input_tokens",
    "chat",
    Endpoint(InputTokens, ResponsesRequest, headers=("x-token-count", "x-ignored-parameters")),
)
async def count_input_tokens(
    request: Request[object, object, State],
    turns: NamedDependency[TurnPreparation],
    response_store: NamedDependency[ResponseStore],
) -> Response[InputTokens]:
    """Estimate a request's tokens.

    The server makes the estimate without the model's service; the header `x-token-count` says so. An answer's `usage`
    has the real numbers.
    """
    key_responses = response_store.for_key(get_caller(request).key_id)
    tokens, call = await turns.estimate_tokens(request, partial(decode, history=key_responses))
    headers = {**ESTIMATE_HEADERS, **build_parameter_headers(call.ignored)}
    return Response(InputTokens(input_tokens=tokens), headers=headers)


@get("/v1/responses", opt={ENDPOINT: Endpoint(errors=(405, 426)), REQUIRED_SCOPE: "chat"})
async def reject_websocket(request: Request[object, object, State]) -> None:
    """Reject a WebSocket.

    Answers clients that try a WebSocket at once, so that they POST instead (RFC 9110 §15.5.22).
    """
    # The HTTP server removes the `Upgrade` header; the key of the handshake stays.
    if "sec-websocket-key" in request.headers:
        problem = Problem(426, "upgrade_required", "WebSockets are not supported. Use POST with `stream: true`.")
        problem.extra_headers = {"upgrade": "HTTP/1.1"}
    else:
        problem = Problem(405, "method_not_allowed", "This address does not take this method.")
        problem.extra_headers = {"allow": "POST"}
    raise problem


router = Router(
    "/",
    tags=["Responses"],
    route_handlers=[create_response, count_input_tokens, reject_websocket, *STORED_ROUTES],
)
