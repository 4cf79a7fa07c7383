"""Everything that may be asked, as functions that each door calls.

Law: what is wrong with the asking itself is raised as a Problem before anything begins; what happens after that comes
as steps, which end in exactly one answer or Failed. Closing the steps ends the work.
"""

import base64
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import UNSET, Struct

from api.agent import checks
from api.agent.answer_builder import AnswerBuilder
from api.agent.answers import (
    BashAnswer,
    ChatAnswer,
    CodeAnswer,
    FileAnswer,
    FinalAnswer,
    ModelEntries,
    ModelEntry,
    OutputChunk,
    Step,
)
from api.agent.loop import AgentEnvironment, run_agent
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.agent.tool_definitions import TOOL_NAMES, build_system_prompt, build_tool, list_available_tools
from api.agent.tool_results import to_blocks
from api.conversation.fields import check_budget
from api.core.caller import Caller
from api.core.keys import Key
from api.core.model_names import exclude_default
from api.core.problems import Problem, problem_from_failure
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.models.access import list_allowed_models
from api.models.catalogue import Catalogue, build_model_list
from shared.errors import ErrorKind
from shared.events import Done, Failed
from shared.tool_jobs import CommandOutput, CommandResult, FileContent, JobDone, ReadFile, RunCommand
from shared.turn import Block, Message, Text, Turn


class AgentServices(Struct, frozen=True):
    """What the work is done with."""

    turn_client: TurnClient
    tool_client: ToolClient
    catalogue: Catalogue
    limits: checks.AgentLimits


async def chat(agent_services: AgentServices, request: ChatRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Answer a prompt. Raises Problem."""
    turn = await _build_turn(agent_services, request)
    return _run_chat(agent_services, turn, caller)


async def code(agent_services: AgentServices, request: CodeRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Let a model work on files and with commands. Raises Problem."""
    checks.check_allowed_tools(request.allowed_tools, TOOL_NAMES, TOOL_NAMES)
    turn = await _build_turn(agent_services, request)
    status = await agent_services.tool_client.find_available()
    if status is None:
        raise problem_from_failure(await agent_services.tool_client.explain_unavailable())
    offered = checks.check_allowed_tools(request.allowed_tools, TOOL_NAMES, list_available_tools(status))
    ground = AgentEnvironment(
        agent_services.turn_client, agent_services.tool_client, status, offered, agent_services.limits.max_turns
    )
    held = Turn(
        model=turn.model,
        messages=turn.messages,
        system=(build_system_prompt(status), *turn.system),
        tools=tuple(build_tool(name, status) for name in offered),
        max_budget_usd=turn.max_budget_usd,
    )
    return run_agent(ground, held, caller)


async def analyze(agent_services: AgentServices, request: AnalyzeRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Answer a prompt about files. Raises Problem."""
    paths = checks.check_context_files(request.context_files)
    turn = await _build_turn(agent_services, request)
    return _run_analyze(agent_services, turn, paths, caller)


async def read_file(agent_services: AgentServices, request: FileReadRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Read a file. Raises Problem."""
    path = checks.check_not_empty(request.path, "path")
    job = ReadFile(
        path, checks.check_line_count(request.offset, "offset"), checks.check_line_count(request.limit, "limit")
    )
    return _run_file_read(agent_services, job, caller)


async def run_command(agent_services: AgentServices, request: BashRequest, caller: Caller) -> AsyncGenerator[Step]:
    """Run commands. Raises Problem."""
    cwd = None if request.cwd is None else checks.check_not_empty(request.cwd, "cwd")
    job = RunCommand(
        checks.check_not_empty(request.command, "command"), cwd, checks.check_timeout(request.timeout), request.stdin
    )
    return _run_command(agent_services, job, caller)


async def list_models(agent_services: AgentServices, key: Key | None) -> ModelEntries:
    """Every name for a model that a key may use, and what each means. key: None is the owner."""
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


async def get_final_answer(steps: AsyncGenerator[Step]) -> FinalAnswer:
    """The answer, for those who do not watch. Raises Problem when there is none."""
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Failed):
                raise problem_from_failure(step)
            if isinstance(step, ChatAnswer | CodeAnswer | FileAnswer | BashAnswer):
                return step
    raise problem_from_failure(Failed(ErrorKind.INTERNAL))


async def _build_turn(agent_services: AgentServices, request: ChatRequest | CodeRequest | AnalyzeRequest) -> Turn:
    text = checks.check_prompt(request.prompt, agent_services.limits)
    dollars = check_budget(request.max_budget_usd)
    model = await agent_services.catalogue.resolve(request.model)
    system = (request.system_prompt,) if request.system_prompt and request.system_prompt.strip() else ()
    return Turn(model, (Message("user", (Text(text),)),), system=system, max_budget_usd=dollars)


async def _run_chat(agent_services: AgentServices, turn: Turn, caller: Caller) -> AsyncGenerator[Step]:
    saying = AnswerBuilder(turn.model)
    async with aclosing(agent_services.turn_client.run(turn, caller)) as events:
        async for event in events:
            saying.add_event(event)
            yield event
            if isinstance(event, Done):
                yield saying.build_chat_answer()


async def _run_analyze(
    agent_services: AgentServices, turn: Turn, paths: tuple[str, ...], caller: Caller
) -> AsyncGenerator[Step]:
    files: list[Block] = []
    for number, path in enumerate(paths):
        place = f"context_files[{number}]"
        came = await agent_services.tool_client.get_result(ReadFile(path, as_text=True), caller)
        if isinstance(came, FileContent) and not came.truncated:
            try:
                files += to_blocks(came, path)
            except Problem as problem:
                yield Failed(ErrorKind.BAD_JOB, f"`{place}`: {problem.message}")
                return
            continue
        if isinstance(came, Failed):
            yield Failed(came.kind, f"`{place}`: {came.detail}" if came.detail else f"See `{place}`.", came.retry_after)
        else:
            yield Failed(ErrorKind.TOO_LARGE, f"`{place}` is larger than what is read of a file at once.")
        return
    [message] = turn.messages
    about = Message("user", (*files, *message.content))
    async with aclosing(
        _run_chat(agent_services, Turn(turn.model, (about,), turn.system, max_budget_usd=turn.max_budget_usd), caller)
    ) as steps:
        async for step in steps:
            yield step


async def _run_file_read(agent_services: AgentServices, job: ReadFile, caller: Caller) -> AsyncGenerator[Step]:
    came = await agent_services.tool_client.get_result(job, caller)
    match came:
        case FileContent(text=str(text)):
            yield FileAnswer(
                path=came.path,
                content=text,
                size=came.size,
                encoding="utf-8",
                media_type=came.media_type,
                first_line=came.first_line,
                lines=UNSET if came.lines is None else came.lines,
                truncated=came.truncated,
            )
        case FileContent():
            yield FileAnswer(
                path=came.path,
                content=base64.b64encode(came.data or b"").decode(),
                size=came.size,
                encoding="base64",
                media_type=came.media_type,
                truncated=came.truncated,
            )
        case Failed():
            yield came
        case _:
            yield Failed(ErrorKind.EXECUTOR_LOST)


async def _run_command(agent_services: AgentServices, job: RunCommand, caller: Caller) -> AsyncGenerator[Step]:
    words = {stream: getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")}
    written = {"stdout": "", "stderr": ""}
    async with aclosing(agent_services.tool_client.run(job, caller)) as messages:
        async for said in messages:
            match said:
                case CommandOutput(stream, data):
                    text = words[stream].decode(data)
                    written[stream] += text
                    if text:
                        yield OutputChunk(stream, text)
                case JobDone(CommandResult(returncode, timed_out, truncated)):
                    # A letter that was never whole.
                    for stream in ("stdout", "stderr"):
                        if text := words[stream].decode(b"", final=True):
                            written[stream] += text
                            yield OutputChunk(stream, text)
                    yield BashAnswer(
                        stdout=written["stdout"],
                        stderr=written["stderr"],
                        returncode=returncode,
                        timed_out=timed_out,
                        truncated=truncated,
                    )
                case JobDone():
                    yield Failed(ErrorKind.EXECUTOR_LOST)
                case Failed():
                    yield said
