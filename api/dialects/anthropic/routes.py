"""The handlers of Anthropic's messages and their token counts."""

import uuid
from functools import partial

from litestar import Request, Response, Router
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import post_job
from api.conversation.fields import parse_page_size
from api.core.endpoint import Endpoint
from api.core.problems import invalid_problem
from api.dialects.anthropic.decode import decode
from api.dialects.anthropic.encode import PING, MessageEncoder, to_http_status
from api.dialects.anthropic.models import MessageOut, MessagesRequest, ModelInfo, ModelPage, TokenCount
from api.dialects.turn_preparation import ESTIMATE_HEADERS, TurnPreparation
from api.models.catalogue import ListedModel

EVENTS = (
    "Anthropic's events in their order: `message_start`; for each block `content_block_start`, `content_block_delta`s and "
    "`content_block_stop`; `message_delta` with the stop reason and the tokens; `message_stop`. `ping` keeps the "
    "connection alive. An error on the way is an `error` event, and ends the stream."
)
RATE_LIMIT_HEADERS = tuple(
    f"anthropic-ratelimit-{limit}-{part}"
    for limit in ("requests", "tokens")
    for part in ("limit", "remaining", "reset")
)
MAX_PAGE_MODELS = 1000
DEFAULT_PAGE_MODELS = 20


@post_job("/v1/messages", "chat", Endpoint(MessageOut, MessagesRequest, events=EVENTS, headers=RATE_LIMIT_HEADERS))
async def create_message(request: Request[object, object, State], turns: NamedDependency[TurnPreparation]) -> ASGIApp:
    """Answer a conversation, in Anthropic's form.

    For clients of Anthropic's API: point them at this server's address. `?beta=true` and the headers for versions and
    betas are accepted. A client that disconnects ends the answer at once.
    """
    prepared = await turns.prepare(request, decode)
    call = prepared.call
    encoder = MessageEncoder(
        f"msg_{uuid.uuid4().hex}",
        prepared.model,
        prepared.caller.request_id,
        thinking=call.thinking,
        show_thinking=call.show_thinking,
    )
    return turns.respond(prepared, encoder, keepalive=PING, status=to_http_status)


@post_job("/v1/messages/count_tokens", "chat", Endpoint(TokenCount, MessagesRequest, headers=("x-token-count",)))
async def count_tokens(
    request: Request[object, object, State], turns: NamedDependency[TurnPreparation]
) -> Response[TokenCount]:
    """Estimate a request's tokens.

    The server makes the estimate without the model's service; the header `x-token-count` says so. An answer's `usage`
    has the real numbers.
    """
    tokens, _ = await turns.estimate_tokens(request, partial(decode, counting=True))
    return Response(TokenCount(tokens), headers=ESTIMATE_HEADERS)


def build_model_page(listed: list[ListedModel], limit: str | None, before: str | None, after: str | None) -> ModelPage:
    """Returns a page of the models. Raises Problem (400)."""
    size = DEFAULT_PAGE_MODELS if limit is None else parse_page_size(limit, MAX_PAGE_MODELS)
    ids = [model.id for model in listed]
    for name, cursor in (("before_id", before), ("after_id", after)):
        if cursor is not None and cursor not in ids:
            raise invalid_problem(f"`{name}` is not the id of a model.", name)
    candidates = listed[ids.index(after) + 1 if after else 0 : ids.index(before) if before else None]
    chosen = candidates[-size:] if before and not after else candidates[:size]
    data = [to_model_info(model) for model in chosen]
    return ModelPage(data, len(candidates) > len(chosen), data[0].id if data else None, data[-1].id if data else None)


def to_model_info(model: ListedModel) -> ModelInfo:
    """Returns a model in Anthropic's format."""
    return ModelInfo(id=model.id, display_name=model.id)


router = Router("/", tags=["Messages"], route_handlers=[create_message, count_tokens])
