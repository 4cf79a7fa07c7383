"""The handlers of chat completions and models."""

import time
import uuid

from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ASGIApp

from api.accounting.request_admission import post_job
from api.auth.middleware import get_principal
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import Problem
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.dialects.anthropic import routes as anthropic
from api.dialects.anthropic.models import ModelInfo, ModelPage
from api.dialects.error_rendering import ANTHROPIC_HEADER
from api.dialects.openai_chat.decode import decode
from api.dialects.openai_chat.encode import ChatEncoder, ChatOutputOptions
from api.dialects.openai_chat.models import ChatCompletionRequest
from api.dialects.openai_chat.output import ChatCompletion, ChatCompletionChunk, ModelList, ModelObject
from api.dialects.openai_common import CHUNKS
from api.dialects.turn_preparation import TurnPreparation
from api.models.catalogue import Catalogue, ListedModel, build_model_list, find_model, list_allowed_models


@post_job(
    "/v1/chat/completions",
    "chat",
    Endpoint(ChatCompletion, ChatCompletionRequest, event=ChatCompletionChunk, events=CHUNKS),
)
async def create_chat_completion(
    request: Request[object, object, State], turns: NamedDependency[TurnPreparation]
) -> ASGIApp:
    """Answer a conversation.

    Returns the model's next message: text, calls of your tools, or JSON by your schema; complete, or streamed as it is
    written. A client that disconnects ends the answer at once. Bodies may be compressed with `Content-Encoding: gzip`,
    and are read as JSON whatever their `Content-Type` is.
    """
    prepared = await turns.prepare(request, decode)
    call = prepared.call
    options = ChatOutputOptions(
        call.include_usage, call.tool_set.custom, call.tool_set.legacy, reasoning=call.reasoning
    )
    completion_id = f"chatcmpl-{uuid.uuid4().hex}"
    encoder = ChatEncoder(completion_id, int(time.time()), prepared.model, options, call.choices)
    return turns.respond(prepared, encoder, call.choices)


@get("/v1/models", opt={ENDPOINT: Endpoint(ModelList), REQUIRED_SCOPE: ANY_SCOPE})
async def list_models(
    request: Request[object, object, State], catalogue: NamedDependency[Catalogue]
) -> Response[ModelList] | Response[ModelPage]:
    """List the models.

    Returns every name that a request may use: the ids that the account offers, the CLI's own names, and aliases; in the
    form of the vendor whose client sends the request.
    """
    models = list_allowed_models(
        get_principal(request).key,
        build_model_list(await catalogue.fetch_models(), catalogue.aliases),
        catalogue.list_names,
    )
    if ANTHROPIC_HEADER in request.headers:
        query = request.query_params
        return Response(
            anthropic.build_model_page(models, query.get("limit"), query.get("before_id"), query.get("after_id"))
        )
    return Response(ModelList(data=[to_model_object(model) for model in models]))


@get("/v1/models/{model_id:path}", opt={ENDPOINT: Endpoint(ModelObject), REQUIRED_SCOPE: ANY_SCOPE})
async def get_model(
    request: Request[object, object, State], model_id: FromPath[str], catalogue: NamedDependency[Catalogue]
) -> Response[ModelObject] | Response[ModelInfo]:
    """Look up a model.

    Returns one of the names that `GET /v1/models` lists, in the form of the vendor whose client sends the request.
    """
    name = model_id.removeprefix("/")
    found = find_model(name, build_model_list(await catalogue.fetch_models(), catalogue.aliases))
    for model in list_allowed_models(get_principal(request).key, [found] if found else [], catalogue.list_names):
        if ANTHROPIC_HEADER in request.headers:
            return Response(anthropic.to_model_info(model))
        return Response(to_model_object(model))
    raise Problem(404, "model_not_found", f"The model `{name}` does not exist here.", param="model")


def to_model_object(model: ListedModel) -> ModelObject:
    """Returns a model as OpenAI describes one. `created` is 0, because release dates are unknown here."""
    return ModelObject(id=model.id, created=0, owned_by="claude-api-server" if model.is_alias else "anthropic")


router = Router("/", tags=["Chat"], route_handlers=[create_chat_completion, list_models, get_model])
