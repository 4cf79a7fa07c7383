"""The handlers of Anthropic's messages: decode, dispatch, respond; and the count of tokens."""

import uuid
from collections.abc import AsyncGenerator

from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api import body
from api.anthropic.decode import decode
from api.anthropic.encode import PING, MessageEncoder, status
from api.anthropic.models import ModelInfo, ModelPage, TokenCount
from api.anthropic.tokens import ESTIMATED, estimate_in_thread
from api.arguments import kept, promises
from api.asking import asking
from api.catalogue import Catalogue, Listed
from api.conversation import messages
from api.dispatch import Dispatch
from api.fetch import Fetcher
from api.hands import Hands
from api.parameters import Policy, naming
from api.problems import invalid
from api.respond import Answer
from api.scopes import SCOPE
from api.side_by_side import side_by_side
from shared.events import Event

MOST_MODELS = 1000
USUAL_MODELS = 20


@post("/v1/messages", status_code=200, opt={SCOPE: "chat"})
async def create_message(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    hands: NamedDependency[Hands],
) -> ASGIApp:
    """Answer a conversation with the assistant's next message."""
    call = decode(await body.read(request), policy)
    model = await catalogue.resolve(call.model)
    who = asking(request)
    turn = call.turn(model, await messages(call.drafts, fetcher, hands.converter(who)))
    encoder = MessageEncoder(f"msg_{uuid.uuid4().hex}", model, who.request_id, thinking=call.thinking, shown=call.shown)
    job: AsyncGenerator[Event] = kept(dispatch.run(turn, who), promises(call.offered))
    headers = {**dispatch.window_headers(), **naming(call.ignored, call.altered(strict=policy.strict))}
    return Answer(
        side_by_side([job]),
        encoder,
        stream=call.stream,
        keep_alive=policy.keep_alive,
        headers=headers,
        sign_of_life=PING,
        status=status,
    )


@post("/v1/messages/count_tokens", status_code=200, opt={SCOPE: "chat"})
async def count_tokens(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    catalogue: NamedDependency[Catalogue],
) -> Response[TokenCount]:
    """Estimate the tokens of a request."""
    call = decode(await body.read(request), policy, counting=True)
    await catalogue.resolve(call.model)
    return Response(TokenCount(await estimate_in_thread(call)), headers=ESTIMATED)


def page(listed: list[Listed], limit: str | None, before: str | None, after: str | None) -> ModelPage:
    """A page of the models. Raises Problem (400)."""
    if limit is not None and not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MOST_MODELS):
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
