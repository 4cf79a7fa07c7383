"""The handlers of REST."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.types import ASGIApp
from msgspec import Struct

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.agent import services
from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries, Step
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.agent.services import AgentServices
from api.auth.middleware import get_principal
from api.conversation.parameters import Policy
from api.core.caller import Caller, get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.dialects.rest import decode
from api.dialects.rest.encode import RestEncoder
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder

type RestRequest = ChatRequest | CodeRequest | AnalyzeRequest | FileReadRequest | BashRequest


class RestResponder(Struct, frozen=True):
    """Decodes requests and sends the steps of a service as responses."""

    policy: Policy
    agent_services: AgentServices
    decoder: BodyDecoder

    async def respond[R: RestRequest](
        self,
        request: Request[object, object, State],
        decode_body: Callable[[bytes], R],
        serve: Callable[[AgentServices, R, Caller], Awaitable[AsyncGenerator[Step]]],
    ) -> ASGIApp:
        """Returns the response to a request. serve: starts the work. Raises Problem."""
        caller = get_caller(request)
        body = await self.decoder.decode(caller.key_id, await request_body.read(request), decode_body)
        return EventStreamResponse(
            number_steps(await serve(self.agent_services, body, caller)),
            RestEncoder(),
            stream=not isinstance(body, FileReadRequest) and bool(body.stream),
            keepalive_interval=self.policy.keep_alive,
            headers=self.agent_services.turn_client.build_window_headers(),
        )


def build_responder(
    policy: NamedDependency[Policy],
    agent_services: NamedDependency[AgentServices],
    body_decoder: NamedDependency[BodyDecoder],
) -> RestResponder:
    """Builds the dependency `responder`."""
    return RestResponder(policy, agent_services, body_decoder)


EVENTS = (
    "Named events. `start` {model}; `text` {text} and `thinking` {text}: the next words; `tool_start` {id, name, input}, "
    "`tool_output` {id, stream, text} and `tool_end` {id, name, is_error, content}: a tool at work; `output` {stream, "
    "text}: output of a command. The last is `result`, whose data is the plain answer, or `error`, whose data is the body "
    "of an error. Lines that start with a colon only keep the connection alive."
)


async def number_steps(steps: AsyncGenerator[Step]) -> AsyncGenerator[tuple[int, Step]]:
    """Yields the steps of the only answer, each with that answer's number."""
    async with aclosing(steps):
        async for step in steps:
            yield 0, step


@post(
    "/api/chat",
    status_code=200,
    opt={ENDPOINT: Endpoint(ChatAnswer, ChatRequest, events=EVENTS), REQUIRED_SCOPE: "chat", REQUIRES_ADMISSION: True},
)
async def post_chat(request: Request[object, object, State], responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Answer a prompt.

    The model has no tools here. A client that disconnects ends the answer at once.
    """
    return await responder.respond(request, decode.decode_chat, services.chat)


@post(
    "/api/code",
    status_code=200,
    opt={ENDPOINT: Endpoint(CodeAnswer, CodeRequest, events=EVENTS), REQUIRED_SCOPE: "code", REQUIRES_ADMISSION: True},
)
async def post_code(request: Request[object, object, State], responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Let a model work on files and with commands.

    The model explores the allowed files and runs the allowed commands, in as many turns as it needs, up to a limit. It
    learns which calls are refused, and continues. A client that disconnects ends the work at once.
    """
    return await responder.respond(request, decode.decode_code, services.code)


@post(
    "/api/analyze",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(ChatAnswer, AnalyzeRequest, events=EVENTS),
        REQUIRED_SCOPE: "code",
        REQUIRES_ADMISSION: True,
    },
)
async def post_analyze(request: Request[object, object, State], responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Answer a prompt about files.

    The files reach the model as documents with their names. A client that disconnects ends the answer at once.
    """
    return await responder.respond(request, decode.decode_analyze, services.analyze)


@post(
    "/api/tools/file-read",
    status_code=200,
    opt={ENDPOINT: Endpoint(FileAnswer, FileReadRequest), REQUIRED_SCOPE: "files", REQUIRES_ADMISSION: True},
)
async def post_file_read(request: Request[object, object, State], responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Read a file.

    A tools executor reads it in a sandbox.
    """
    return await responder.respond(request, decode.decode_file_read, services.read_file)


@post(
    "/api/tools/bash",
    status_code=200,
    opt={ENDPOINT: Endpoint(BashAnswer, BashRequest, events=EVENTS), REQUIRED_SCOPE: "bash", REQUIRES_ADMISSION: True},
)
async def post_bash(request: Request[object, object, State], responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Run commands.

    A tools executor runs them in a sandbox. A client that disconnects ends them at once.
    """
    return await responder.respond(request, decode.decode_bash, services.run_command)


@get("/api/models", opt={ENDPOINT: Endpoint(ModelEntries), REQUIRED_SCOPE: ANY_SCOPE})
async def get_models(
    request: Request[object, object, State], agent_services: NamedDependency[AgentServices]
) -> Response[ModelEntries]:
    """List the names of models.

    Returns every name that the key may use, and the model that it stands for.
    """
    return Response(await services.list_models(agent_services, get_principal(request).key))


router = Router(
    "/",
    route_handlers=[post_chat, post_code, post_analyze, post_file_read, post_bash, get_models],
    dependencies={"responder": Provide(build_responder, sync_to_thread=False)},
)
