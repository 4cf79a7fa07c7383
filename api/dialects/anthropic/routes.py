"""The handlers of Anthropic's messages: decode, dispatch, respond; and the count of tokens."""

import uuid
from collections.abc import AsyncGenerator

from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.auth.body_limits import get_reservation
from api.conversation.drafts import build_messages
from api.conversation.fields import parse_whole_number
from api.conversation.parameters import Policy, build_parameter_headers
from api.conversation.strict_tools import enforce, strict_schemas
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.problems import invalid_problem
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.anthropic.decode import MessagesTurnRequest, decode
from api.dialects.anthropic.encode import PING, MessageEncoder, to_http_status
from api.dialects.anthropic.models import MessageOut, MessagesRequest, ModelInfo, ModelPage, TokenCount
from api.dialects.anthropic.tokens import ESTIMATE_HEADERS, estimate_tokens
from api.executors.stream_merger import merge_streams
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.catalogue import Catalogue, ListedModel
from shared.events import Event

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


@post(
    "/v1/messages",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(MessageOut, MessagesRequest, events=EVENTS, headers=RATE_LIMIT_HEADERS),
        REQUIRED_SCOPE: "chat",
        REQUIRES_ADMISSION: True,
    },
)
async def create_message(
    request: Request[object, object, State],
    *,
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[TurnClient],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    hands: NamedDependency[ToolClient],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Answer a conversation, in Anthropic's form.

    For clients of Anthropic's API: point them at this server's address. `?beta=true` and the headers for versions and
    betas are accepted. A client that disconnects ends the answer at once.
    """
    who = get_caller(request)

    def understood(data: bytes) -> tuple[MessagesTurnRequest, tuple[str, ...]]:
        call = decode(data, policy)
        return call, call.list_altered_places(strict=policy.strict)

    call, altered = await decoding.decode(who.key_id, await request_body.read(request), understood)
    model = await catalogue.resolve(call.model)
    await dispatch.check_model(who, model)
    fetches = RequestFetches(fetcher, who.key_id, get_reservation(request.scope))
    turn = call.build_turn(model, await build_messages(call.drafts, fetches, hands.build_converter(who)))
    encoder = MessageEncoder(
        f"msg_{uuid.uuid4().hex}", model, who.request_id, thinking=call.thinking, show_thinking=call.show_thinking
    )
    job: AsyncGenerator[Event] = enforce(dispatch.run(turn, who), strict_schemas(call.tool_set))
    headers = {**dispatch.build_window_headers(), **build_parameter_headers(call.ignored, altered)}
    return EventStreamResponse(
        merge_streams([job]),
        encoder,
        stream=call.stream,
        keepalive_interval=policy.keep_alive,
        headers=headers,
        keepalive=PING,
        status=to_http_status,
    )


@post(
    "/v1/messages/count_tokens",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(TokenCount, MessagesRequest, headers=("x-token-count",)),
        REQUIRED_SCOPE: "chat",
        REQUIRES_ADMISSION: True,
    },
)
async def count_tokens(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    catalogue: NamedDependency[Catalogue],
    decoding: NamedDependency[BodyDecoder],
) -> Response[TokenCount]:
    """Estimate a request's tokens.

    The server makes the estimate without the model's service; the header `x-token-count` says so. An answer's `usage`
    has the real numbers.
    """

    def counted(data: bytes) -> tuple[str | None, int]:
        call = decode(data, policy, counting=True)
        return call.model, estimate_tokens(call)

    model, tokens = await decoding.decode(get_caller(request).key_id, await request_body.read(request), counted)
    await catalogue.resolve(model)
    return Response(TokenCount(tokens), headers=ESTIMATE_HEADERS)


def build_model_page(listed: list[ListedModel], limit: str | None, before: str | None, after: str | None) -> ModelPage:
    """A page of the models. Raises Problem (400)."""
    if limit is not None and not (1 <= parse_whole_number(limit) <= MAX_PAGE_MODELS):
        raise invalid_problem(f"`limit` must be a number from 1 to {MAX_PAGE_MODELS}.", "limit")
    size = int(limit) if limit else DEFAULT_PAGE_MODELS
    ids = [model.id for model in listed]
    for name, cursor in (("before_id", before), ("after_id", after)):
        if cursor is not None and cursor not in ids:
            raise invalid_problem(f"`{name}` is no id of a model.", name)
    inside = listed[ids.index(after) + 1 if after else 0 : ids.index(before) if before else None]
    chosen = inside[-size:] if before and not after else inside[:size]
    data = [to_model_info(model) for model in chosen]
    return ModelPage(data, len(inside) > len(chosen), data[0].id if data else None, data[-1].id if data else None)


def to_model_info(model: ListedModel) -> ModelInfo:
    """A model as Anthropic describes one."""
    return ModelInfo(id=model.id, display_name=model.id)


router = Router("/", tags=["Messages"], route_handlers=[create_message, count_tokens])
