"""The handler of legacy completions: decode, dispatch, respond."""

import time
import uuid

from litestar import Request, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import WORK
from api.conversation.parameters import Policy, naming
from api.core.caller import asking
from api.core.scopes import SCOPE
from api.dialects.openai_completions.decode import decode
from api.dialects.openai_completions.encode import CompletionEncoder
from api.executors.stream_merger import side_by_side
from api.executors.turn_client import Dispatch
from api.http import request_body
from api.http.event_stream import Answer
from api.http.json_decoding import Decoding
from api.models.catalogue import Catalogue


@post("/v1/completions", status_code=200, opt={SCOPE: "chat", WORK: True})
async def create_completion(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Complete texts."""
    who = asking(request)
    call = await decoding.run(who.holder, await request_body.read(request), lambda data: decode(data, policy))
    model = await catalogue.resolve(call.model)
    encoder = CompletionEncoder(
        f"cmpl-{uuid.uuid4().hex}", int(time.time()), model, call.echoes(), include_usage=call.include_usage
    )
    turns = call.turns(model)[:: call.choices]
    jobs = [job for turn in turns for job in dispatch.runs(turn, who, call.choices)]
    headers = {**dispatch.window_headers(), **naming(call.ignored)}
    return Answer(side_by_side(jobs), encoder, stream=call.stream, keep_alive=policy.keep_alive, headers=headers)


router = Router("/", route_handlers=[create_completion])
