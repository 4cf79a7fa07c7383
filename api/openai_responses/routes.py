"""The handlers of responses: decode, dispatch, respond, and those that are kept."""

import time
import uuid

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp

from api import body
from api.arguments import kept, promises
from api.asking import Asking, asking
from api.catalogue import Catalogue
from api.conversation import messages
from api.dispatch import Dispatch
from api.fetch import Fetcher
from api.openai_chat.encode import envelope
from api.openai_chat.routes import IGNORED_HEADER
from api.openai_responses.decode import ResponsesCall, decode
from api.openai_responses.encode import Finished, Form, ResponsesEncoder
from api.openai_responses.models import DeletedResponse, ItemList, encoder
from api.openai_responses.shown import begun, listed, shown
from api.openai_responses.store import Shelf, Store, Stored
from api.parameters import Policy
from api.problems import Problem, invalid
from api.respond import Answer
from api.scopes import SCOPE
from api.side_by_side import side_by_side


def who(request: Request[object, object, State]) -> Asking:
    """Who asks."""
    return asking(request, "responses")


@post("/v1/responses", status_code=200, opt={SCOPE: "chat"})
async def create_response(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    store: NamedDependency[Store],
) -> ASGIApp:
    """Answer an input."""
    asked = who(request)
    shelf = store.shelf(asked.holder)
    call = decode(await body.read(request), policy, shelf)
    model = await catalogue.resolve(call.request.model)
    turn = call.turn(model, await messages(call.drafts, fetcher))
    response = begun(f"resp_{uuid.uuid4().hex}", int(time.time()), model, call)
    offered = call.tools.offered
    form = Form(offered.custom, call.tools.namespaces, summaries=call.summaries, sealed=call.sealed)
    writer = ResponsesEncoder(response, form, lambda: int(time.time()), lambda finished: keep(shelf, call, finished))
    job = kept(dispatch.run(turn, asked), promises(offered))
    headers = {**dispatch.window_headers(), **({IGNORED_HEADER: ", ".join(call.ignored)} if call.ignored else {})}
    return Answer(side_by_side([job]), writer, stream=call.stream, keep_alive=policy.keep_alive, headers=headers)


def keep(shelf: Shelf, call: ResponsesCall, finished: Finished) -> None:
    """Keep a response that has ended, unless its client does not want that."""
    if call.store:
        number = finished.response.id
        items = tuple(shown(item, f"{number.removeprefix('resp_')}i{at:02x}") for at, item in enumerate(call.items))
        output = tuple(msgspec.Raw(encoder.encode(item)) for item in finished.output)
        shelf.put(Stored(number, encoder.encode(finished.response), call.before, items, output))


@get("/v1/responses", opt={SCOPE: "chat"})
async def no_websocket(request: Request[object, object, State]) -> Response[bytes]:
    """Send clients that try a WebSocket to POST at once (RFC 9110 §15.5.22)."""
    if request.headers.get("upgrade", "").lower() == "websocket":
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
    response_id: FromPath[str],
    store: NamedDependency[Store],
    stream: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Give a response that is kept."""
    if stream not in {None, "false"}:
        raise invalid("`stream`: a response that is kept is given as a whole only.", "stream", "unsupported_parameter")
    stored = store.shelf(who(request).holder).get(response_id)
    return Response(stored.body, media_type="application/json")


@delete("/v1/responses/{response_id:str}", status_code=200, opt={SCOPE: "chat"})
async def delete_response(
    request: Request[object, object, State], response_id: FromPath[str], store: NamedDependency[Store]
) -> Response[DeletedResponse]:
    """Keep a response no longer."""
    store.shelf(who(request).holder).drop(response_id)
    return Response(DeletedResponse(id=response_id))


@get("/v1/responses/{response_id:str}/input_items", opt={SCOPE: "chat"})
async def list_input_items(
    request: Request[object, object, State],
    *,
    response_id: FromPath[str],
    store: NamedDependency[Store],
    limit: FromQuery[str] = "20",
    order: FromQuery[str] = "desc",
    after: FromQuery[str | None] = None,
) -> Response[ItemList]:
    """List the items that a response answers."""
    stored = store.shelf(who(request).holder).get(response_id)
    return Response(listed((*stored.before, *stored.items), limit, order, after))


@post("/v1/responses/{response_id:str}/cancel", status_code=200, opt={SCOPE: "chat"})
async def cancel_response(
    request: Request[object, object, State], response_id: FromPath[str], store: NamedDependency[Store]
) -> None:
    """Say that there is nothing to cancel: a response that is kept has ended."""
    store.shelf(who(request).holder).get(response_id)
    message = "Only a response made with `background: true` can be cancelled; to end one under way, hang up."
    raise invalid(message, "response_id", "not_cancellable")


router = Router(
    "/",
    route_handlers=[
        create_response,
        no_websocket,
        get_response,
        delete_response,
        list_input_items,
        cancel_response,
    ],
)
