"""The MCP server: the handler of each method.

Invariants: a cancelled call ends its job: closing the steps closes the executor's connection. The work itself is in
`api.agent`, as for REST.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from litestar.types import Scope
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from msgspec import Struct, structs

from api.agent import services
from api.agent.answers import BashAnswer, ChatAnswer, FileAnswer, Step
from api.auth.middleware import PRINCIPAL, require_scope
from api.core.caller import Caller, get_caller_from_scope
from api.core.keys import Principal
from api.core.problems import Problem, problem_from_failure
from api.core.scopes import ANY_SCOPE
from api.dialects.mcp import prompts, resources
from api.dialects.mcp.decode import parse_arguments
from api.dialects.mcp.encode import build_error_result, build_result, render_progress
from api.dialects.mcp.models import OFFERS_BY_NAME, TOOL_OFFERS, NoArguments
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tracing import parse_trace_id

INSTRUCTIONS = (
    "Claude models of this server's owner, and the files and commands that the owner allows. `chat` asks a model; `analyze` "
    "asks it about files; `code` lets it work on them; `file_read` and `bash` work without a model. What is allowed is "
    "listed as resources."
)
# The protocol's own code up to 2025-11-25. In later versions an unknown URI is an invalid parameter.
RESOURCE_NOT_FOUND = -32002
# The scope of resources and prompts.
FILES_SCOPE = "files"

type Context = ServerRequestContext[Any, Any]

log = structlog.get_logger()


class McpHandlers:
    """The handlers of all methods. They have no session state."""

    def __init__(self, agent_services: services.AgentServices, version: str) -> None:
        self._agent_services = agent_services
        self.server: Server[Any] = Server(
            "claude-api-server",
            version=version,
            title="Claude API Server",
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_resource_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(self, context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        """Lists the tools that the key may call."""
        return ListToolsResult(tools=[offer.build_tool() for offer in TOOL_OFFERS if has_scope(context, offer.scope)])

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Runs a tool and reports its progress."""
        offer = OFFERS_BY_NAME.get(params.name)
        if offer is None:
            known = ", ".join(offer.name for offer in TOOL_OFFERS if has_scope(context, offer.scope))
            raise MCPError(INVALID_PARAMS, f"Unknown tool `{params.name[:100]}`. Available: {known}.")
        caller = build_scoped_caller(context, offer.scope)
        # A session's task has the log context of the request that opened it, not of this call.
        trace = parse_trace_id(caller.traceparent)
        fields = {"request_id": caller.request_id, **({"trace_id": trace} if trace else {})}
        with structlog.contextvars.bound_contextvars(**fields):
            try:
                require_scope(get_context_principal(context), offer.scope)
                request = parse_arguments(offer, params.arguments)
                if isinstance(request, NoArguments):
                    key = get_context_principal(context).key
                    return build_result(await services.list_models(self._agent_services, key))
                steps = await services.SERVICES[offer.request_type](self._agent_services, request, caller)
                return build_result(await run_with_progress(steps, context))
            except Problem as problem:
                return build_error_result(problem)
            except Exception:
                log.exception("a tool failed", tool=offer.name)
                return build_error_result(problem_from_failure(Failed(ErrorKind.INTERNAL)))

    async def list_resources(self, context: Context, _params: PaginatedRequestParams | None) -> ListResourcesResult:
        """Lists the allowed paths, for keys that may read files."""
        if not has_scope(context, FILES_SCOPE):
            return ListResourcesResult(resources=[])
        return ListResourcesResult(
            resources=await resources.list_resources(self._agent_services.tool_client, build_scoped_caller(context))
        )

    async def list_resource_templates(
        self, context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Lists the URI templates, for keys that may read files."""
        return ListResourceTemplatesResult(
            resource_templates=resources.RESOURCE_TEMPLATES if has_scope(context, FILES_SCOPE) else []
        )

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Reads a file or lists a folder."""
        try:
            require_scope(get_context_principal(context), FILES_SCOPE)
            return ReadResourceResult(
                contents=[
                    await resources.read_contents(
                        str(params.uri), self._agent_services.tool_client, build_scoped_caller(context)
                    )
                ]
            )
        except Problem as problem:
            raise to_mcp_error(problem, context, {"uri": str(params.uri)}) from problem

    async def list_prompts(self, context: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
        """Lists the prompts, for keys that may read files, since each prompt is about one."""
        return ListPromptsResult(prompts=prompts.list_prompts() if has_scope(context, FILES_SCOPE) else [])

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Renders a prompt with its file."""
        try:
            require_scope(get_context_principal(context), FILES_SCOPE)
            return await prompts.render_prompt(
                params.name, params.arguments, self._agent_services.tool_client, build_scoped_caller(context)
            )
        except Problem as problem:
            raise MCPError(INVALID_PARAMS, problem.message) from problem


async def run_with_progress(steps: AsyncGenerator[Step], context: Context) -> Struct:
    """Reports each step and returns the answer. Raises Problem."""
    count = 0
    async with aclosing(steps):
        async for step in steps:
            match step:
                case Failed():
                    raise problem_from_failure(step)
                case ChatAnswer() | FileAnswer() | BashAnswer():
                    return step
                case _ if message := render_progress(step):
                    count += 1
                    await context.session.report_progress(count, message=message)
                case _:
                    pass
    raise problem_from_failure(Failed(ErrorKind.INTERNAL))


def get_context_principal(context: Context) -> Principal:
    """Returns the principal of the HTTP request that carried the message."""
    return _get_scope(context)["state"][PRINCIPAL]


def has_scope(context: Context, scope: str) -> bool:
    """Whether the principal has a scope."""
    return scope == ANY_SCOPE or get_context_principal(context).has_any_scope(scope)


def build_scoped_caller(context: Context, scope: str = FILES_SCOPE) -> Caller:
    """Returns the caller of the HTTP request that carried the message. scope: needed besides that of /mcp."""
    caller = get_caller_from_scope(_get_scope(context))
    return caller if scope == ANY_SCOPE else structs.replace(caller, required_scopes=(*caller.required_scopes, scope))


def _get_scope(context: Context) -> Scope:
    """Returns the ASGI scope of the HTTP request that carried the message."""
    assert context.request
    return context.request.scope


def to_mcp_error(problem: Problem, context: Context, data: dict[str, str]) -> MCPError:
    """Converts a problem to a protocol error."""
    if problem.status == 404:
        legacy = context.protocol_version < "2026"
        return MCPError(RESOURCE_NOT_FOUND if legacy else INVALID_PARAMS, problem.message, data)
    return MCPError(INTERNAL_ERROR if problem.status >= 500 else INVALID_PARAMS, problem.message, data)
