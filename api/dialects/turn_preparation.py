"""Prepares the turn of a request: the steps that every dialect with a conversation shares."""

from collections.abc import AsyncGenerator, Callable

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from msgspec import Struct

from api.conversation.messages import build_messages
from api.conversation.parameters import Policy, build_parameter_headers
from api.conversation.strict_tools import enforce, strict_schemas
from api.conversation.turn_request import TurnRequest
from api.core.caller import Caller, get_caller
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.http import request_body
from api.http.body_limits import get_reservation
from api.http.json_decoding import BodyDecoder
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from api.models.catalogue import Catalogue
from shared.events import Event
from shared.turn import Turn


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
        self, request: Request[object, object, State], decode: Callable[[bytes], C]
    ) -> PreparedTurn[C]:
        """Returns a request's turn, ready to run. Raises Problem."""
        caller = get_caller(request)

        def read(data: bytes) -> tuple[C, tuple[str, ...]]:
            call = decode(data)
            return call, call.list_altered_places(strict=self.policy.strict)

        call, altered = await self.body_decoder.decode(caller.key_id, await request_body.read(request), read)
        model = await self.catalogue.resolve(call.model)
        await self.turn_client.check_model(caller, model)
        fetches = RequestFetches(self.fetcher, caller.key_id, get_reservation(request.scope))
        messages = await build_messages(call.drafts, fetches, self.tool_client.build_converter(caller))
        headers = {**self.turn_client.build_window_headers(), **build_parameter_headers(call.ignored, altered)}
        return PreparedTurn(caller, call, model, call.build_turn(model, messages), headers)

    def run[C: TurnRequest](self, prepared: PreparedTurn[C], choices: int = 1) -> list[AsyncGenerator[Event]]:
        """Returns the events of each answer, with the arguments of strict tools checked. Raises Problem (400)."""
        schemas = strict_schemas(prepared.call.tool_set)
        jobs = self.turn_client.run_many(prepared.turn, prepared.caller, choices)
        return [enforce(job, schemas) for job in jobs]


def build_turn_preparation(
    *,
    policy: NamedDependency[Policy],
    turn_client: NamedDependency[TurnClient],
    tool_client: NamedDependency[ToolClient],
    catalogue: NamedDependency[Catalogue],
    fetcher: NamedDependency[Fetcher],
    body_decoder: NamedDependency[BodyDecoder],
) -> TurnPreparation:
    """Builds the dependency `turns` of the routers that prepare turns."""
    return TurnPreparation(policy, turn_client, tool_client, catalogue, fetcher, body_decoder)


DEPENDENCIES = {"turns": Provide(build_turn_preparation, sync_to_thread=False)}
