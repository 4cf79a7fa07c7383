"""The handlers of responses: decode, dispatch, respond, and those that are kept."""

import time
import uuid
from collections.abc import AsyncGenerator

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from api.accounting.request_admission import WORK
from api.auth.body_limits import share_of
from api.conversation.drafts import messages
from api.conversation.parameters import Policy, naming
from api.conversation.strict_tools import kept, promises
from api.core.caller import asking
from api.core.problems import Problem, invalid
from api.core.scopes import SCOPE
from api.dialects.anthropic.tokens import ESTIMATED, estimate
from api.dialects.openai_common import envelope
from api.dialects.openai_responses.decode import ResponsesCall, decode
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.output import DeletedResponse, InputTokens, ItemList
from api.dialects.openai_responses.output_items import Form
from api.dialects.openai_responses.running import Live, Running, Verbatim, accepted, replayed
from api.dialects.openai_responses.store import Store
from api.dialects.openai_responses.stored_routes import Kept, keep
from api.dialects.openai_responses.view import begun, listed
from api.executors.stream_merger import side_by_side
from api.executors.tool_client import Hands
from api.executors.turn_client import Dispatch
from api.http import request_body as body
from api.http.event_stream import Answer
from api.http.json_decoding import Decoding
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.catalogue import Catalogue

DIGITS = 10


@post("/v1/responses", status_code=200, opt={SCOPE: "chat", WORK: True})
async def create_response(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    hands: NamedDependency[Hands],
    store: NamedDependency[Store],
    running: NamedDependency[Running],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Answer an input."""
    asked = asking(request)
    shelf = store.shelf(asked.holder)
    number = f"resp_{uuid.uuid4().hex}"

    def understood(data: bytes) -> tuple[ResponsesCall, tuple[str, ...], Kept | None]:
        call = decode(data, policy, shelf)
        return call, call.altered(strict=policy.strict), Kept.of(number, call) if call.store else None

    call, altered, keeping = await decoding.run(asked.holder, await body.read(request), understood)
    model = await catalogue.resolve(call.model)
    await dispatch.check_model(asked, model)
    fetches = RequestFetches(fetcher, asked.holder, share_of(request.scope))
    turn = call.turn(model, await messages(call.drafts, fetches, hands.converter(asked)))
    response = begun(number, int(time.time()), model, call)
    form = Form(call.offered.custom, call.tools.namespaces, summaries=call.summaries, sealed=call.sealed)
    live = Live(
        lambda told: ResponsesEncoder(response, form, lambda: int(time.time()), told),
        lambda finished, events: keep(shelf, keeping, finished, events),
        stored=call.store,
        background=call.background,
    )
    job = side_by_side([kept(dispatch.run(turn, asked), promises(call.offered))])
    headers = {**dispatch.window_headers(), **naming(call.ignored, altered)}
    if not call.background:
        events = running.events(asked.holder, response.id, live, job)
        return Answer(events, live.encoder, stream=call.stream, keep_alive=policy.keep_alive, headers=headers)
    running.begin(asked.holder, response.id, live, await accepted(job))
    if call.stream:
        return followed(live.follow(-1), policy, headers)
    return given(live.encoder.whole(), headers)


@post("/v1/responses/input_tokens", status_code=200, opt={SCOPE: "chat", WORK: True})
async def count_input_tokens(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    catalogue: NamedDependency[Catalogue],
    store: NamedDependency[Store],
    decoding: NamedDependency[Decoding],
) -> Response[InputTokens]:
    """Estimate the tokens of a request."""
    holder = asking(request).holder

    def counted(data: bytes) -> tuple[str | None, tuple[str, ...], int]:
        call = decode(data, policy, store.shelf(holder))
        return call.model, call.ignored, estimate(call)

    model, ignored, tokens = await decoding.run(holder, await body.read(request), counted)
    await catalogue.resolve(model)
    return Response(InputTokens(input_tokens=tokens), headers={**ESTIMATED, **naming(ignored)})


def given(body: bytes, headers: dict[str, str] | None = None) -> ASGIApp:
    """A response as it stands."""
    return ASGIResponse(body=body, media_type="application/json", headers=headers)


def followed(events: AsyncGenerator[tuple[int, bytes]], policy: Policy, headers: dict[str, str]) -> ASGIApp:
    """The stream of a response that goes on, whoever follows it."""
    return Answer(events, Verbatim(), stream=True, keep_alive=policy.keep_alive, headers=headers)


@get("/v1/responses", opt={SCOPE: "chat"})
async def no_websocket(request: Request[object, object, State]) -> Response[bytes]:
    """Send clients that try a WebSocket to POST at once (RFC 9110 §15.5.22)."""
    # What a connection is asked to become, the server declines before it gets here; the key of the handshake stays.
    if "sec-websocket-key" in request.headers:
        problem = Problem(
            426, "upgrade_required", "There is no WebSocket here. POST to this address, with `stream: true`."
        )
        headers = {"upgrade": "HTTP/1.1"}
    else:
        problem = Problem(405, "method_not_allowed", "This address does not take this method.")
        headers = {"allow": "POST"}
    return Response(
        envelope(problem),
        status_code=problem.status,
        headers={**problem.headers(), **headers},
        media_type="application/json",
    )


@get("/v1/responses/{response_id:str}", opt={SCOPE: "chat"})
async def get_response(
    request: Request[object, object, State],
    *,
    response_id: FromPath[str],
    policy: NamedDependency[Policy],
    store: NamedDependency[Store],
    running: NamedDependency[Running],
    stream: FromQuery[str | None] = None,
    starting_after: FromQuery[str | None] = None,
) -> ASGIApp:
    """Give a response that is kept or under way, as it stands or as its stream."""
    asked = asking(request)
    after = follows(stream, starting_after)
    live = running.get(asked.holder, response_id)
    if live and live.stored:
        if after is None:
            return given(live.encoder.whole())
        if live.background:
            return followed(live.follow(after), policy, {})
        raise no_stream()
    stored = store.shelf(asked.holder).get(response_id)
    if after is None:
        return given(stored.body)
    if not stored.background:
        raise no_stream()
    return followed(replayed(stored.events, after), policy, {})


def follows(stream: str | None, after: str | None) -> int | None:
    """The number of the last event that a client has, if it wants a stream: -1 is none. Raises Problem (400)."""
    if stream not in {None, "true", "false"}:
        raise invalid("`stream` must be true or false.", "stream")
    if after is not None and (stream != "true" or not (after.isascii() and after.isdigit() and len(after) < DIGITS)):
        raise invalid("`starting_after` is the number of an event, and goes with `stream=true`.", "starting_after")
    return int(after or -1) if stream == "true" else None


def no_stream() -> Problem:
    """Only what is answered in the background can be followed by others than who asked."""
    message = (
        "`stream`: only a response made with `background: true` is given as a stream; this one is given as a whole."
    )
    return invalid(message, "stream", "unsupported_parameter")


@delete("/v1/responses/{response_id:str}", status_code=200, opt={SCOPE: "chat"})
async def delete_response(
    request: Request[object, object, State],
    response_id: FromPath[str],
    store: NamedDependency[Store],
    running: NamedDependency[Running],
) -> Response[DeletedResponse]:
    """Keep a response no longer; one under way is ended."""
    asked = asking(request)
    if (live := running.get(asked.holder, response_id)) and live.stored:
        await live.cancel()
    store.shelf(asked.holder).drop(response_id)
    return Response(DeletedResponse(id=response_id))


@get("/v1/responses/{response_id:str}/input_items", opt={SCOPE: "chat"})
async def list_input_items(
    request: Request[object, object, State],
    *,
    response_id: FromPath[str],
    store: NamedDependency[Store],
    decoding: NamedDependency[Decoding],
    limit: FromQuery[str] = "20",
    order: FromQuery[str] = "desc",
    after: FromQuery[str | None] = None,
) -> Response[ItemList]:
    """List the items that a response answers."""
    holder = asking(request).holder
    stored = store.shelf(holder).get(response_id)
    items = (*stored.before, *stored.items)
    return Response(await decoding.call(holder, lambda: listed(items, limit, order, after)))


@post("/v1/responses/{response_id:str}/cancel", status_code=200, opt={SCOPE: "chat"})
async def cancel_response(
    request: Request[object, object, State],
    response_id: FromPath[str],
    store: NamedDependency[Store],
    running: NamedDependency[Running],
) -> ASGIApp:
    """End a response under way; one of the background that has ended is given as it is."""
    asked = asking(request)
    if live := running.get(asked.holder, response_id):
        await live.cancel()
        return given(live.encoder.whole())
    stored = store.shelf(asked.holder).get(response_id)
    if not stored.background:
        message = "This response has ended; only one that is under way can be cancelled."
        raise invalid(message, "response_id", "not_cancellable")
    return given(stored.body)


router = Router(
    "/",
    route_handlers=[
        create_response,
        count_input_tokens,
        no_websocket,
        get_response,
        delete_response,
        list_input_items,
        cancel_response,
    ],
)
