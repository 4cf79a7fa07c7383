"""The handler of legacy completions: decode, dispatch, respond."""

import time
import uuid

from litestar import Request, Router
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import post_job
from api.conversation.parameters import Policy, build_parameter_headers
from api.core.caller import get_caller
from api.core.endpoint import Endpoint
from api.dialects.openai_common import CHUNKS
from api.dialects.openai_completions.decode import decode
from api.dialects.openai_completions.encode import CompletionEncoder
from api.dialects.openai_completions.models import CompletionRequest, TextCompletion
from api.executors.stream_merger import merge_streams
from api.executors.turn_client import TurnClient
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder
from api.models.catalogue import Catalogue


@post_job("/v1/completions", "chat", Endpoint(TextCompletion, CompletionRequest, event=TextCompletion, events=CHUNKS))
async def create_completion(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    turn_client: NamedDependency[TurnClient],
    catalogue: NamedDependency[Catalogue],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Complete a text (legacy).

    For editors that still use this API. The server instructs the model to continue `prompt`, or to fill the gap between it and
    `suffix`. A client that disconnects ends the answer at once.
    """
    caller = get_caller(request)
    call = await body_decoder.decode(caller.key_id, await request_body.read(request), lambda data: decode(data, policy))
    model = await catalogue.resolve(call.request.model)
    encoder = CompletionEncoder(
        f"cmpl-{uuid.uuid4().hex}", int(time.time()), model, call.list_echoes(), include_usage=call.include_usage
    )
    turns = call.build_turns(model)[:: call.choices]
    jobs = [job for turn in turns for job in turn_client.run_many(turn, caller, call.choices)]
    headers = {**turn_client.build_window_headers(), **build_parameter_headers(call.ignored)}
    return EventStreamResponse(
        merge_streams(jobs),
        encoder,
        stream=bool(call.request.stream),
        keepalive_interval=policy.keep_alive,
        headers=headers,
    )


router = Router("/", tags=["Chat"], route_handlers=[create_completion])
