"""Health endpoints, for people, supervisors and load balancers. They need no key.

Invariants: no response names an account or a prompt. Only callers with a key for files or commands see paths.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import UNSET, Struct, UnsetType, structs

from api.accounting.storage_sync import StorageSync
from api.auth.middleware import PUBLIC
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.request_state import PRINCIPAL
from api.core.schema import doc
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient, is_available
from api.http.drain import Drain
from api.models.catalogue import Catalogue
from shared.claude_status import ClaudeStatus
from shared.events import UsageWindows
from shared.tool_jobs import ToolsStatus

NO_ANSWER = "It does not answer; its log says why."
DETAILS_WITHHELD = "Something is wrong with it, or missing in its sandbox: ask with a key, or look into its log."
UNTRUSTED_SOCKET = "An executor's socket can't be trusted, and is not used: ask with a key, or look into the log."
# Keys with one of these scopes see the server's paths and commands.
PATH_SCOPES = ("code", "files", "bash", "admin")

type Mode = Literal["online", "offline", "unknown"]
type HiddenNames = tuple[str, ...] | UnsetType

TO_TOOL_KEYS = "only for callers with a key for files or commands."


class ExecutorHealth(Struct, frozen=True):
    """An executor: a process that runs the CLI."""

    name: Annotated[str, doc("The name of the executor.")]
    up: Annotated[bool, doc("Whether the executor can answer.")]
    problem: Annotated[str, doc("Why the executor can't answer, and the fix; empty if it can.")] = ""
    max_concurrent: Annotated[int, doc("The most jobs that run at the same time.")] = 0
    running: Annotated[int, doc("The number of running jobs.")] = 0
    max_queue: Annotated[int, doc("The most jobs that may wait in the queue.")] = 0
    waiting: Annotated[int, doc("The number of waiting jobs.")] = 0
    idle_processes: Annotated[int, doc("The number of idle CLI processes in the pool.")] = 0
    held_processes: Annotated[int, doc("The number of CLI processes that hold a conversation.")] = 0
    max_held: Annotated[int, doc("The most CLI processes that hold a conversation.")] = 0
    missing: Annotated[
        HiddenNames, doc("Features that the CLI's sandbox lacks on this host; only for callers with a key.")
    ] = UNSET


class ToolsHealth(Struct, frozen=True):
    """A tools executor: a process that works with files and runs commands."""

    name: Annotated[str, doc("The name of the executor.")]
    up: Annotated[bool, doc("Whether the executor accepts jobs.")]
    max_concurrent: Annotated[int, doc("The most jobs that run at the same time.")] = 0
    running: Annotated[int, doc("The number of running jobs.")] = 0
    waiting: Annotated[int, doc("The number of waiting jobs.")] = 0
    problem: Annotated[
        str,
        doc("Why the executor accepts no jobs, and the fix; for callers without a key, only that there is a problem."),
    ] = ""
    missing: Annotated[HiddenNames, doc(f"Features that the sandbox lacks on this host; {TO_TOOL_KEYS}")] = UNSET
    allowed_paths: Annotated[HiddenNames, doc(f"The paths that jobs may read; {TO_TOOL_KEYS}")] = UNSET
    writable_paths: Annotated[HiddenNames, doc(f"The paths that jobs may write; {TO_TOOL_KEYS}")] = UNSET
    allowed_commands: Annotated[HiddenNames, doc(f"The commands that jobs may run; {TO_TOOL_KEYS}")] = UNSET


class Health(Struct, frozen=True):
    """The state of the server and of its executors."""

    status: Annotated[
        Literal["ok", "degraded", "down", "draining"],
        doc(
            "`ok`; `degraded`: an executor is down or lacks a feature, or there are problems; `down`: no executor can answer; `draining`: the server is stopping."
        ),
    ]
    claude_cli_found: Annotated[bool, doc("Whether an executor has found the Claude Code CLI.")]
    cli_version: Annotated[str, doc("The version of the CLI; empty if the CLI does not start.")]
    mode: Annotated[
        Mode, doc("`offline`: there is no Claude login, and the offline model answers; `unknown`: no executor answers.")
    ]
    default_model: Annotated[str, doc("The model that answers requests without a model.")]
    max_concurrent: Annotated[int, doc("The most jobs that run at the same time, on all executors together.")]
    executors: Annotated[list[ExecutorHealth], doc("The executors that run the CLI.")]
    tools: Annotated[tuple[ToolsHealth, ...], doc("The tools executors.")] = ()
    problems: Annotated[
        list[str], doc("Problems with keys, limits, the ledger or sockets, and their fixes; chat continues to work.")
    ] = []
    usage_windows: Annotated[
        UsageWindows | UnsetType,
        doc("The subscription's usage windows, as the service last reported them; only for callers with a key."),
    ] = UNSET


class Probe(Struct, frozen=True):
    """Whether the server is alive, or ready to answer a chat."""

    status: Annotated[Literal["live", "ready", "down", "draining"], doc("The state.")]


class About(Struct, frozen=True):
    """The name and the main addresses of the server."""

    name: Annotated[str, doc("The name of the program.")] = "Claude API Server"
    health: Annotated[str, doc("The address of the health report.")] = "/health"
    models: Annotated[str, doc("The address of the list of models.")] = "/v1/models"
    docs: Annotated[str, doc("The address of the documentation.")] = "/docs"


def build_executor_health(name: str, status: ClaudeStatus | None, *, has_key: bool = False) -> ExecutorHealth:
    """Returns the health of one executor, from its status."""
    if status is None:
        return ExecutorHealth(name, up=False, problem=NO_ANSWER)
    shown = _copy_fields(status, "problem", "max_concurrent", "running", "max_queue", "waiting", "idle_processes")
    return ExecutorHealth(
        name,
        up=bool(status.cli_version) and not status.draining,
        **shown,
        held_processes=status.conversations.held,
        max_held=status.conversations.max_held,
        missing=status.missing if has_key else UNSET,
    )


def build_tools_health(name: str, status: ToolsStatus | None, *, has_key: bool) -> ToolsHealth:
    """Returns the health of one tools executor, from its status."""
    if status is None:
        return ToolsHealth(name, up=False, problem=NO_ANSWER)
    shown = _copy_fields(status, "max_concurrent", "running", "waiting")
    if has_key:
        shown |= _copy_fields(status, "problem", "missing", "allowed_paths", "writable_paths", "allowed_commands")
    elif status.problem or status.missing:
        # The problem may name a path.
        shown["problem"] = DETAILS_WITHHELD
    return ToolsHealth(name, is_available(status), **shown)


def _copy_fields(status: ClaudeStatus | ToolsStatus, *names: str) -> dict[str, Any]:
    return {name: getattr(status, name) for name in names}


def build_health(
    statuses: dict[str, ClaudeStatus | None],
    default_model: str,
    *,
    draining: bool,
    tools_statuses: Mapping[str, ToolsStatus | None] = MappingProxyType({}),
    has_key: bool = False,
    sees_paths: bool = False,
    problems: Sequence[str] = (),
) -> Health:
    """Returns the health of the server. Missing tools executors do not degrade it.

    has_key: the caller has a key. sees_paths: the key is for files or commands.
    """
    executors = [build_executor_health(name, status, has_key=has_key) for name, status in statuses.items()]
    known = [status for status in statuses.values() if status]
    up = [executor for executor in executors if executor.up]
    modes = {status.mode for status in known}
    all_up = len(up) == len(executors) and all(status and is_available(status) for status in tools_statuses.values())
    return Health(
        status="draining" if draining else "down" if not up else "ok" if all_up and not problems else "degraded",
        claude_cli_found=any(status.cli_found for status in known),
        cli_version=next((status.cli_version for status in known if status.cli_version), ""),
        mode="unknown" if not modes else "offline" if "offline" in modes else "online",
        default_model=default_model,
        max_concurrent=sum(executor.max_concurrent for executor in up),
        executors=executors,
        problems=list(problems),
        tools=tuple(build_tools_health(name, status, has_key=sees_paths) for name, status in tools_statuses.items()),
    )


@get("/health", opt={ENDPOINT: Endpoint(Health), PUBLIC: True})
async def get_health(
    request: Request[object, object, State],
    *,
    claude_executors: NamedDependency[ExecutorPool],
    tool_client: NamedDependency[ToolClient],
    catalogue: NamedDependency[Catalogue],
    drain: NamedDependency[Drain],
    storage_sync: NamedDependency[StorageSync],
) -> Response[Health]:
    """Report the server's health.

    Returns 200 while the server answers at all: its executors, its CLI, and whether it has a login. Callers with a key
    also see the subscription's usage windows.
    """
    statuses, tools_statuses = await asyncio.gather(claude_executors.fetch_statuses(), tool_client.fetch_statuses())
    principal = request.scope["state"].get(PRINCIPAL)
    sees_paths = principal is not None and principal.has_any_scope(*PATH_SCOPES)
    untrusted = list(dict.fromkeys((*claude_executors.list_problems(), *tool_client.list_problems())))
    windows = [status.windows for status in statuses.values() if status and status.windows]
    state = build_health(
        statuses,
        catalogue.default_model,
        draining=drain.is_draining,
        tools_statuses=tools_statuses,
        has_key=principal is not None,
        sees_paths=sees_paths,
        problems=[*storage_sync.problems, *(untrusted if sees_paths or not untrusted else [UNTRUSTED_SOCKET])],
    )
    if windows and principal:
        state = structs.replace(state, usage_windows=windows[0])
    return Response(state)


@get("/health/live", opt={ENDPOINT: Endpoint(Probe), PUBLIC: True})
async def get_live() -> Response[Probe]:
    """Report that the process is alive.

    For supervisors: restart the process if this does not answer.
    """
    return Response(Probe("live"))


@get("/health/ready", opt={ENDPOINT: Endpoint(Probe, errors=(503,)), PUBLIC: True})
async def get_ready(claude_executors: NamedDependency[ExecutorPool], drain: NamedDependency[Drain]) -> Response[Probe]:
    """Report whether the server can answer a chat now.

    For load balancers: send requests elsewhere while this is 503.
    """
    state = build_health(await claude_executors.fetch_statuses(), "", draining=drain.is_draining).status
    return (
        Response(Probe("ready"), status_code=200)
        if state in ("ok", "degraded")
        else Response(Probe(state), status_code=503)
    )


@get(["/", "/v1"], opt={ENDPOINT: Endpoint(About), PUBLIC: True})
async def get_root() -> Response[About]:
    """List the main addresses.

    For clients and people that look here first.
    """
    return Response(About())


router = Router("/", tags=["Health"], route_handlers=[get_root, get_health, get_live, get_ready])
