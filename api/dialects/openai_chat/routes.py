"""The handlers of chat completions and models: decode, dispatch, respond."""

import time
import uuid

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ASGIApp

from api.accounting.request_admission import WORK
from api.auth.body_limits import share_of
from api.auth.middleware import principal_of
from api.conversation.drafts import messages
from api.conversation.parameters import Policy, naming
from api.conversation.strict_tools import kept, promises
from api.core.caller import asking
from api.core.problems import Problem
from api.core.scopes import ANY, SCOPE
from api.dialects.anthropic import routes as anthropic
from api.dialects.anthropic.models import ModelInfo, ModelPage
from api.dialects.error_rendering import ANTHROPIC_HEADER
from api.dialects.openai_chat.decode import ChatCall, decode
from api.dialects.openai_chat.encode import ChatEncoder, Form
from api.dialects.openai_chat.models import ModelList, ModelObject
from api.executors.stream_merger import side_by_side
from api.executors.tool_client import Hands
from api.executors.turn_client import Dispatch
from api.http import request_body
from api.http.event_stream import Answer
from api.http.json_decoding import Decoding
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.access import nameable
from api.models.catalogue import Catalogue, Listed, listing, named


@post("/v1/chat/completions", status_code=200, opt={SCOPE: "chat", WORK: True})
async def create_chat_completion(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    hands: NamedDependency[Hands],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Answer a conversation."""
    who = asking(request)

    def understood(data: bytes) -> tuple[ChatCall, tuple[str, ...]]:
        call = decode(data, policy)
        return call, call.altered(strict=policy.strict)

    call, altered = await decoding.run(who.holder, await request_body.read(request), understood)
    model = await catalogue.resolve(call.model)
    await dispatch.check_model(who, model)
    fetches = RequestFetches(fetcher, who.holder, share_of(request.scope))
    turn = call.turn(model, await messages(call.drafts, fetches, hands.converter(who)))
    form = Form(call.include_usage, call.offered.custom, call.offered.legacy, reasoning=call.reasoning)
    encoder = ChatEncoder(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), model, form, call.choices)
    jobs = [kept(job, promises(call.offered)) for job in dispatch.runs(turn, who, call.choices)]
    headers = {**dispatch.window_headers(), **naming(call.ignored, altered)}
    return Answer(side_by_side(jobs), encoder, stream=call.stream, keep_alive=policy.keep_alive, headers=headers)


@get("/v1/models", opt={SCOPE: ANY})
async def list_models(
    request: Request[object, object, State], catalogue: NamedDependency[Catalogue]
) -> Response[ModelList] | Response[ModelPage]:
    """List every model that may be named, in the form of the vendor whose client asks."""
    models = nameable(
        principal_of(request).key, listing(await catalogue.models(), catalogue.aliases), catalogue.meanings
    )
    if ANTHROPIC_HEADER in request.headers:
        asked = request.query_params
        return Response(anthropic.page(models, asked.get("limit"), asked.get("before_id"), asked.get("after_id")))
    return Response(ModelList(data=[described(model) for model in models]))


@get("/v1/models/{model_id:path}", opt={SCOPE: ANY})
async def get_model(
    request: Request[object, object, State], model_id: FromPath[str], catalogue: NamedDependency[Catalogue]
) -> Response[ModelObject] | Response[ModelInfo]:
    """Tell of one model, in the form of the vendor whose client asks."""
    name = model_id.removeprefix("/")
    found = named(name, listing(await catalogue.models(), catalogue.aliases))
    for model in nameable(principal_of(request).key, [found] if found else [], catalogue.meanings):
        if ANTHROPIC_HEADER in request.headers:
            return Response(anthropic.described(model))
        return Response(described(model))
    raise Problem(404, "model_not_found", f"The model `{name}` does not exist here.", param="model")


def described(model: Listed) -> ModelObject:
    """A model as OpenAI describes one; Anthropic's release dates are not known here, so `created` is 0."""
    return ModelObject(id=model.id, created=0, owned_by="claude-api-server" if model.alias else "anthropic")


router = Router("/", route_handlers=[create_chat_completion, list_models, get_model])
