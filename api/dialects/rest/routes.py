"""The handlers of REST: decode, do, respond."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.agent import services
from api.agent.answers import ModelEntries, Step
from api.agent.services import AgentServices
from api.auth.middleware import get_principal
from api.conversation.parameters import Policy
from api.core.caller import get_caller
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.dialects.rest import decode
from api.dialects.rest.encode import RestEncoder
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder


def build_response(
    agent_services: AgentServices, policy: Policy, steps: AsyncGenerator[Step], *, stream: bool | None
) -> ASGIApp:
    """The steps as a response."""
    headers = agent_services.turn_client.build_window_headers()
    return EventStreamResponse(
        number_steps(steps), RestEncoder(), stream=bool(stream), keepalive_interval=policy.keep_alive, headers=headers
    )


async def number_steps(steps: AsyncGenerator[Step]) -> AsyncGenerator[tuple[int, Step]]:
    """The steps of the only answer."""
    async with aclosing(steps):
        async for step in steps:
            yield 0, step


@post("/api/chat", status_code=200, opt={REQUIRED_SCOPE: "chat", REQUIRES_ADMISSION: True})
async def post_chat(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Answer a prompt."""
    who = get_caller(request)
    ask = await body_decoder.decode(who.key_id, await request_body.read(request), decode.decode_chat)
    return build_response(agent_services, policy, await services.chat(agent_services, ask, who), stream=ask.stream)


@post("/api/code", status_code=200, opt={REQUIRED_SCOPE: "code", REQUIRES_ADMISSION: True})
async def post_code(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Let a model work on files and with commands."""
    who = get_caller(request)
    ask = await body_decoder.decode(who.key_id, await request_body.read(request), decode.decode_code)
    return build_response(agent_services, policy, await services.code(agent_services, ask, who), stream=ask.stream)


@post("/api/analyze", status_code=200, opt={REQUIRED_SCOPE: "code", REQUIRES_ADMISSION: True})
async def post_analyze(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Answer a prompt about files."""
    who = get_caller(request)
    ask = await body_decoder.decode(who.key_id, await request_body.read(request), decode.decode_analyze)
    return build_response(agent_services, policy, await services.analyze(agent_services, ask, who), stream=ask.stream)


@post("/api/tools/file-read", status_code=200, opt={REQUIRED_SCOPE: "files", REQUIRES_ADMISSION: True})
async def post_file_read(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Read a file."""
    who = get_caller(request)
    ask = await body_decoder.decode(who.key_id, await request_body.read(request), decode.decode_file_read)
    return build_response(agent_services, policy, await services.read_file(agent_services, ask, who), stream=False)


@post("/api/tools/bash", status_code=200, opt={REQUIRED_SCOPE: "bash", REQUIRES_ADMISSION: True})
async def post_bash(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Run commands."""
    who = get_caller(request)
    ask = await body_decoder.decode(who.key_id, await request_body.read(request), decode.decode_bash)
    return build_response(
        agent_services, policy, await services.run_command(agent_services, ask, who), stream=ask.stream
    )


@get("/api/models", opt={REQUIRED_SCOPE: ANY_SCOPE})
async def get_models(
    request: Request[object, object, State], agent_services: NamedDependency[AgentServices]
) -> Response[ModelEntries]:
    """List every name that the key may use for a model."""
    return Response(await services.list_models(agent_services, get_principal(request).key))


router = Router("/", route_handlers=[post_chat, post_code, post_analyze, post_file_read, post_bash, get_models])
