"""Prepares the turn of a request and answers it: the steps that every dialect with a conversation shares."""

from collections.abc import AsyncGenerator, Callable

from litestar import Request
from litestar.datastructures import State
from litestar.types import ASGIApp
from msgspec import Struct

from api.conversation.messages import build_messages
from api.conversation.parameters import Policy, build_parameter_headers
from api.conversation.strict_tools import enforce, strict_schemas
from api.conversation.turn_request import TurnRequest
from api.core.caller import Caller, get_caller
from api.core.problems import Problem
from api.dialects.anthropic.tokens import estimate_tokens
from api.executors.stream_merger import NumberedEvent, merge_streams
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.http import request_body
from api.http.body_limits import get_reservation
from api.http.event_stream import KEEPALIVE_COMMENT, Encoder, EventStreamResponse
from api.http.json_decoding import BodyDecoder
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.catalogue import Catalogue
from shared.events import Event
from shared.turn import Turn

# The headers of a response with the number from `TurnPreparation.estimate_tokens`.
ESTIMATE_HEADERS = {"x-token-count": "estimate"}


class PreparedTurn[C: TurnRequest](Struct, frozen=True):
    """A decoded request with its turn. model: the resolved name. headers: of the response."""

    caller: Caller
    call: C
    model: str
    turn: Turn
    headers: dict[str, str]


class TurnPreparation(Struct, frozen=True):
    """Decodes requests, resolves and checks their models, and fetches and converts their media."""

    policy: Policy
    turn_client: TurnClient
    tool_client: ToolClient
    catalogue: Catalogue
    fetcher: Fetcher
    body_decoder: BodyDecoder

    async def prepare[C: TurnRequest](
        self, request: Request[object, object, State], decode: Callable[[bytes, Policy], C]
    ) -> PreparedTurn[C]:
        """Returns a request's turn, ready to run. Raises Problem."""
        caller = get_caller(request)

        def read(data: bytes) -> tuple[C, tuple[str, ...]]:
            call = decode(data, self.policy)
            return call, call.list_altered_places(strict=self.policy.strict)

        call, altered = await self.body_decoder.decode(caller.key_id, await request_body.read(request), read)
        model = await self.catalogue.resolve(call.model)
        await self.turn_client.check_model(caller, model)
        fetches = RequestFetches(self.fetcher, caller.key_id, get_reservation(request.scope))
        messages = await build_messages(call.drafts, fetches, self.tool_client.build_converter(caller))
        headers = {**self.turn_client.build_window_headers(), **build_parameter_headers(call.ignored, altered)}
        return PreparedTurn(caller, call, model, call.build_turn(model, messages), headers)

    def run[C: TurnRequest](self, prepared: PreparedTurn[C], choices: int = 1) -> AsyncGenerator[NumberedEvent]:
        """Returns the events of all answers, with the arguments of strict tools checked. Raises Problem (400)."""
        schemas = strict_schemas(prepared.call.tool_set)
        jobs = self.turn_client.run_many(prepared.turn, prepared.caller, choices)
        return merge_streams([enforce(job, schemas) for job in jobs])

    def respond[C: TurnRequest](
        self,
        prepared: PreparedTurn[C],
        encoder: Encoder[Event],
        choices: int = 1,
        *,
        keepalive: bytes = KEEPALIVE_COMMENT,
        status: Callable[[Problem], int] = lambda problem: problem.status,
    ) -> ASGIApp:
        """Returns the response with the answers of a turn. Raises Problem (400)."""
        return EventStreamResponse(
            self.run(prepared, choices),
            encoder,
            stream=prepared.call.stream,
            keepalive_interval=self.policy.keep_alive,
            headers=prepared.headers,
            keepalive=keepalive,
            status=status,
        )

    async def estimate_tokens[C: TurnRequest](
        self, request: Request[object, object, State], decode: Callable[[bytes, Policy], C]
    ) -> tuple[int, C]:
        """Returns the estimated tokens of a request, and the request. Raises Problem."""
        key_id = get_caller(request).key_id
        body = await request_body.read(request)
        call = await self.body_decoder.decode(key_id, body, lambda data: decode(data, self.policy))
        await self.catalogue.resolve(call.model)
        # Never on the event loop: the first estimate loads the tokenizer, which takes a quarter of a second.
        return await self.body_decoder.run_in_thread(key_id, lambda: estimate_tokens(call)), call
