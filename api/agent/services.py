"""The services of the agent, as functions that each dialect calls.

Invariants: an invalid request raises a Problem before any work starts. All later outcomes are steps, which end in exactly
one answer or Failed. Closing the steps ends the work.
"""

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from msgspec import UNSET, Struct, structs

from api.agent import checks
from api.agent.answer_builder import AnswerBuilder
from api.agent.answers import (
    BashAnswer,
    FileAnswer,
    ModelEntries,
    ModelEntry,
    OutputChunk,
    Step,
)
from api.agent.command_text import OutputDecoder, StreamName
from api.agent.loop import AgentEnvironment, run_agent
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest, PromptRequest
from api.agent.tool_definitions import TOOL_NAMES, build_system_prompt, build_tool, list_available_tools
from api.agent.tool_results import to_blocks
from api.core.caller import Caller
from api.core.keys import Key
from api.core.model_names import exclude_default
from api.core.problems import Problem, invalid_problem, problem_from_failure
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.models.catalogue import Catalogue, build_model_list, list_allowed_models
from shared.errors import ErrorKind
from shared.events import Done, Failed
from shared.tool_jobs import CommandOutput, CommandResult, FileContent, JobDone, JobResult, ReadFile, RunCommand
from shared.turn import Block, Message, Text, Turn


class AgentServices(Struct, frozen=True):
    """The clients and limits that the services use."""

    turn_client: TurnClient
    tool_client: ToolClient
    catalogue: Catalogue
    limits: checks.AgentLimits


async def chat(agent_services: AgentServices, request: ChatRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Yields the answer to a prompt. Raises Problem."""
    return _run_chat(agent_services, await _build_turn(agent_services, request), caller)


async def code(agent_services: AgentServices, request: CodeRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Runs a model with the tools for files and commands. Raises Problem."""
    checks.check_allowed_tools(request.allowed_tools, TOOL_NAMES, TOOL_NAMES)
    turn = await _build_turn(agent_services, request)
    status = await agent_services.tool_client.find_available()
    if status is None:
        raise problem_from_failure(await agent_services.tool_client.explain_unavailable())
    tool_names = checks.check_allowed_tools(request.allowed_tools, TOOL_NAMES, list_available_tools(status))
    environment = AgentEnvironment(
        agent_services.turn_client, agent_services.tool_client, status, tool_names, agent_services.limits.max_turns
    )
    with_tools = structs.replace(
        turn,
        system=(build_system_prompt(status), *turn.system),
        tools=tuple(build_tool(name, status) for name in tool_names),
    )
    return run_agent(environment, with_tools, caller)


async def analyze(agent_services: AgentServices, request: AnalyzeRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Yields the answer to a prompt about files. Raises Problem."""
    paths = request.context_files or ()
    for number, path in enumerate(paths):
        if not path.strip():
            raise invalid_problem(f"`context_files[{number}]` is empty.", f"context_files[{number}]")
    return _run_analyze(agent_services, await _build_turn(agent_services, request), paths, caller)


async def read_file(agent_services: AgentServices, request: FileReadRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Reads a file. Raises Problem."""
    job = ReadFile(request.path, request.offset, request.limit)
    return _run_file_read(agent_services, job, caller)


async def run_command(agent_services: AgentServices, request: BashRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Runs a command. Raises Problem."""
    job = RunCommand(request.command, request.cwd, request.timeout, request.stdin)
    return _run_command(agent_services, job, caller)


async def list_models(agent_services: AgentServices, key: Key | None) -> ModelEntries:
    """Returns every model name that a key may use, and the model behind it. key: None is the owner."""
    models = await agent_services.catalogue.fetch_models()
    listed = list_allowed_models(
        key, build_model_list(models, agent_services.catalogue.aliases), agent_services.catalogue.list_names
    )
    resolved = {model.value: model.resolved for model in exclude_default(models)}
    entries = [
        ModelEntry(
            model.id,
            resolved.get(model.cli_model, model.cli_model),
            default=model.id == agent_services.catalogue.default_model,
        )
        for model in listed
    ]
    return ModelEntries(entries)


async def _build_turn(agent_services: AgentServices, request: PromptRequest) -> Turn:
    text = checks.check_prompt(request.prompt, agent_services.limits)
    model = await agent_services.catalogue.resolve(request.model)
    system = (request.system_prompt,) if request.system_prompt and request.system_prompt.strip() else ()
    return Turn(model, (Message("user", (Text(text),)),), system=system, max_budget_usd=request.max_budget_usd)


async def _run_chat(agent_services: AgentServices, turn: Turn, caller: Caller) -> AsyncGenerator[Step]:
    builder = AnswerBuilder(turn.model)
    async with aclosing(agent_services.turn_client.run(turn, caller)) as events:
        async for event in events:
            builder.add_event(event)
            yield event
            if isinstance(event, Done):
                yield builder.build_chat_answer()


async def _run_analyze(
    agent_services: AgentServices, turn: Turn, paths: Sequence[str], caller: Caller
) -> AsyncGenerator[Step]:
    files: list[Block] = []
    for number, path in enumerate(paths):
        outcome = await agent_services.tool_client.get_result(ReadFile(path, as_text=True), caller)
        blocks = _to_context_blocks(outcome, path, f"context_files[{number}]")
        if isinstance(blocks, Failed):
            yield blocks
            return
        files += blocks
    [message] = turn.messages
    with_files = structs.replace(turn, messages=(Message("user", (*files, *message.content)),))
    async with aclosing(_run_chat(agent_services, with_files, caller)) as steps:
        async for step in steps:
            yield step


def _to_context_blocks(outcome: JobResult | Failed, path: str, place: str) -> Sequence[Block] | Failed:
    """Returns the blocks of a file that was read. place: its path in the request."""
    match outcome:
        case FileContent(truncated=False):
            try:
                return to_blocks(outcome, path)
            except Problem as problem:
                return Failed(ErrorKind.BAD_JOB, f"`{place}`: {problem.message}")
        case Failed(kind, detail):
            return Failed(kind, f"`{place}`: {detail}" if detail else f"See `{place}`.", outcome.retry_after)
        case _:
            return Failed(ErrorKind.TOO_LARGE, f"`{place}` is larger than the size limit for one read.")


async def _run_file_read(agent_services: AgentServices, job: ReadFile, caller: Caller) -> AsyncGenerator[Step]:
    outcome = await agent_services.tool_client.get_result(job, caller)
    match outcome:
        case FileContent(text=text):
            yield FileAnswer(
                path=outcome.path,
                content=base64.b64encode(outcome.data or b"").decode() if text is None else text,
                size=outcome.size,
                encoding="base64" if text is None else "utf-8",
                media_type=outcome.media_type,
                first_line=UNSET if text is None else outcome.first_line,
                lines=UNSET if text is None or outcome.lines is None else outcome.lines,
                truncated=outcome.truncated,
            )
        case Failed():
            yield outcome
        case _:
            yield Failed(ErrorKind.EXECUTOR_LOST)


async def _run_command(agent_services: AgentServices, job: RunCommand, caller: Caller) -> AsyncGenerator[Step]:
    decoder = OutputDecoder()
    texts: dict[StreamName, str] = {"stdout": "", "stderr": ""}
    async with aclosing(agent_services.tool_client.run(job, caller)) as messages:
        async for message in messages:
            if isinstance(message, Failed):
                yield message
                continue
            for stream, text in decoder.decode(message) if isinstance(message, CommandOutput) else decoder.flush():
                texts[stream] += text
                yield OutputChunk(stream, text)
            match message:
                case JobDone(CommandResult(returncode, timed_out, truncated)):
                    yield BashAnswer(**texts, returncode=returncode, timed_out=timed_out, truncated=truncated)
                case JobDone():
                    yield Failed(ErrorKind.EXECUTOR_LOST)
                case CommandOutput():
                    pass


# The service of each request. Raises Problem before any work starts.
SERVICES: dict[type[Struct], Callable[[AgentServices, Any, Caller], Awaitable[AsyncGenerator[Step]]]] = {
    ChatRequest: chat,
    CodeRequest: code,
    AnalyzeRequest: analyze,
    FileReadRequest: read_file,
    BashRequest: run_command,
}
