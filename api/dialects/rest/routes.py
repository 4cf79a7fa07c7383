"""The handlers of REST: decode, do, respond."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import WORK
from api.agent import services
from api.agent.answers import ModelEntries, Step
from api.agent.services import Workshop
from api.auth.middleware import principal_of
from api.conversation.parameters import Policy
from api.core.caller import asking
from api.core.scopes import ANY, SCOPE
from api.dialects.rest import decode
from api.dialects.rest.encode import RestEncoder
from api.http import request_body
from api.http.event_stream import Answer
from api.http.json_decoding import Decoding


def answer(shop: Workshop, policy: Policy, steps: AsyncGenerator[Step], *, stream: bool | None) -> ASGIApp:
    """The steps as a response."""
    headers = shop.dispatch.window_headers()
    return Answer(one(steps), RestEncoder(), stream=bool(stream), keep_alive=policy.keep_alive, headers=headers)


async def one(steps: AsyncGenerator[Step]) -> AsyncGenerator[tuple[int, Step]]:
    """The steps of the only answer."""
    async with aclosing(steps):
        async for step in steps:
            yield 0, step


@post("/api/chat", status_code=200, opt={SCOPE: "chat", WORK: True})
async def post_chat(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[Workshop],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Answer a prompt."""
    who = asking(request)
    ask = await decoding.run(who.holder, await request_body.read(request), decode.chat)
    return answer(shop, policy, await services.chat(shop, ask, who), stream=ask.stream)


@post("/api/code", status_code=200, opt={SCOPE: "code", WORK: True})
async def post_code(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[Workshop],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Let a model work on files and with commands."""
    who = asking(request)
    ask = await decoding.run(who.holder, await request_body.read(request), decode.code)
    return answer(shop, policy, await services.code(shop, ask, who), stream=ask.stream)


@post("/api/analyze", status_code=200, opt={SCOPE: "code", WORK: True})
async def post_analyze(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[Workshop],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Answer a prompt about files."""
    who = asking(request)
    ask = await decoding.run(who.holder, await request_body.read(request), decode.analyze)
    return answer(shop, policy, await services.analyze(shop, ask, who), stream=ask.stream)


@post("/api/tools/file-read", status_code=200, opt={SCOPE: "files", WORK: True})
async def post_file_read(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[Workshop],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Read a file."""
    who = asking(request)
    ask = await decoding.run(who.holder, await request_body.read(request), decode.file_read)
    return answer(shop, policy, await services.file_read(shop, ask, who), stream=False)


@post("/api/tools/bash", status_code=200, opt={SCOPE: "bash", WORK: True})
async def post_bash(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[Workshop],
    decoding: NamedDependency[Decoding],
) -> ASGIApp:
    """Run commands."""
    who = asking(request)
    ask = await decoding.run(who.holder, await request_body.read(request), decode.bash)
    return answer(shop, policy, await services.bash(shop, ask, who), stream=ask.stream)


@get("/api/models", opt={SCOPE: ANY})
async def get_models(
    request: Request[object, object, State], shop: NamedDependency[Workshop]
) -> Response[ModelEntries]:
    """List every name that the key may use for a model."""
    return Response(await services.list_models(shop, principal_of(request).key))


router = Router("/", route_handlers=[post_chat, post_code, post_analyze, post_file_read, post_bash, get_models])
