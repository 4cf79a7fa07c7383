"""The handler of legacy completions: decode, dispatch, respond."""

import time
import uuid

from litestar import Request, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api import body
from api.asking import asking
from api.catalogue import Catalogue
from api.dispatch import Dispatch
from api.openai_completions.decode import decode
from api.openai_completions.encode import CompletionEncoder
from api.parameters import Policy, naming
from api.respond import Answer
from api.scopes import SCOPE
from api.side_by_side import side_by_side


@post("/v1/completions", status_code=200, opt={SCOPE: "chat"})
async def create_completion(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    dispatch: NamedDependency[Dispatch],
    catalogue: NamedDependency[Catalogue],
) -> ASGIApp:
    """Complete texts."""
    call = decode(await body.read(request), policy)
    model = await catalogue.resolve(call.model)
    encoder = CompletionEncoder(
        f"cmpl-{uuid.uuid4().hex}", int(time.time()), model, call.echoes(), include_usage=call.include_usage
    )
    who = asking(request)
    jobs = [dispatch.run(turn, who) for turn in call.turns(model)]
    headers = {**dispatch.window_headers(), **naming(call.ignored)}
    return Answer(side_by_side(jobs), encoder, stream=call.stream, keep_alive=policy.keep_alive, headers=headers)


router = Router("/", route_handlers=[create_completion])
