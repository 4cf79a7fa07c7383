"""The handlers of Anthropic's messages: decode, dispatch, respond; and the count of tokens."""

import uuid
from collections.abc import AsyncGenerator

from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import WORK
from api.auth.body_limits import share_of
from api.conversation.drafts import messages
from api.conversation.fields import number
from api.conversation.parameters import Policy, naming
from api.conversation.strict_tools import kept, promises
from api.core.caller import asking
from api.core.problems import invalid
from api.core.scopes import SCOPE
from api.dialects.anthropic.decode import MessagesCall, decode
from api.dialects.anthropic.encode import PING, MessageEncoder, status
from api.dialects.anthropic.models import ModelInfo, ModelPage, TokenCount
from api.dialects.anthropic.tokens import ESTIMATED, estimate
from api.executors.stream_merger import side_by_side
from api.executors.tool_client import Hands
from api.executors.turn_client import Dispatch
from api.http import request_body
from api.http.event_stream import Answer
from api.http.json_decoding import Decoding
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.catalogue import Catalogue, Listed
from shared.events import Event

MOST_MODELS = 1000
USUAL_MODELS = 20


@post("/v1/messages", status_code=200, opt={SCOPE: "chat", WORK: True})
async def create_message(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    hands: NamedDependency[Hands],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Answer a conversation with the assistant's next message."""
    who = asking(request)

    def understood(data: bytes) -> tuple[MessagesCall, tuple[str, ...]]:
        call = decode(data, policy)
        return call, call.altered(strict=policy.strict)

    call, altered = await decoding.run(who.holder, await request_body.read(request), understood)
    model = await catalogue.resolve(call.model)
    await dispatch.check_model(who, model)
    fetches = RequestFetches(fetcher, who.holder, share_of(request.scope))
    turn = call.turn(model, await messages(call.drafts, fetches, hands.converter(who)))
    encoder = MessageEncoder(f"msg_{uuid.uuid4().hex}", model, who.request_id, thinking=call.thinking, shown=call.shown)
    job: AsyncGenerator[Event] = kept(dispatch.run(turn, who), promises(call.offered))
    headers = {**dispatch.window_headers(), **naming(call.ignored, altered)}
    return Answer(
        side_by_side([job]),
        encoder,
        stream=call.stream,
        keep_alive=policy.keep_alive,
        headers=headers,
        sign_of_life=PING,
        status=status,
    )


@post("/v1/messages/count_tokens", status_code=200, opt={SCOPE: "chat", WORK: True})
async def count_tokens(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    catalogue: NamedDependency[Catalogue],
    decoding: NamedDependency[Decoding],
) -> Response[TokenCount]:
    """Estimate the tokens of a request."""

    def counted(data: bytes) -> tuple[str | None, int]:
        call = decode(data, policy, counting=True)
        return call.model, estimate(call)

    model, tokens = await decoding.run(asking(request).holder, await request_body.read(request), counted)
    await catalogue.resolve(model)
    return Response(TokenCount(tokens), headers=ESTIMATED)


def page(listed: list[Listed], limit: str | None, before: str | None, after: str | None) -> ModelPage:
    """A page of the models. Raises Problem (400)."""
    if limit is not None and not (1 <= number(limit) <= MOST_MODELS):
        raise invalid(f"`limit` must be a number from 1 to {MOST_MODELS}.", "limit")
    size = int(limit) if limit else USUAL_MODELS
    ids = [model.id for model in listed]
    for name, cursor in (("before_id", before), ("after_id", after)):
        if cursor is not None and cursor not in ids:
            raise invalid(f"`{name}` is no id of a model.", name)
    inside = listed[ids.index(after) + 1 if after else 0 : ids.index(before) if before else None]
    chosen = inside[-size:] if before and not after else inside[:size]
    data = [described(model) for model in chosen]
    return ModelPage(data, len(inside) > len(chosen), data[0].id if data else None, data[-1].id if data else None)


def described(model: Listed) -> ModelInfo:
    """A model as Anthropic describes one."""
    return ModelInfo(id=model.id, display_name=model.id)


router = Router("/", route_handlers=[create_message, count_tokens])
