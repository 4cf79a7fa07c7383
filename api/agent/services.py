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
from api.agent.answer_builder import Saying
from api.agent.answers import (
    BashAnswer,
    ChatAnswer,
    CodeAnswer,
    FileAnswer,
    Finished,
    ModelEntries,
    ModelEntry,
    Step,
    Wrote,
)
from api.agent.loop import Ground, work
from api.agent.requests import AnalyzeAsk, BashAsk, ChatAsk, CodeAsk, FileReadAsk
from api.agent.tool_definitions import NAMES, guide, possible, tool
from api.agent.tool_results import blocks
from api.conversation.fields import budget
from api.core.caller import Asking
from api.core.keys import Key
from api.core.problems import Problem, of_failure
from api.executors.tool_client import Hands
from api.executors.turn_client import Dispatch
from api.models.access import nameable
from api.models.catalogue import Catalogue, choices, listing
from shared.errors import ErrorKind
from shared.events import Done, Failed
from shared.tool_jobs import CommandEnded, FileRead, JobDone, Output, ReadFile, RunCommand
from shared.turn import Block, Message, Text, Turn


class Workshop(Struct, frozen=True):
    """What the work is done with."""

    dispatch: Dispatch
    hands: Hands
    catalogue: Catalogue
    limits: checks.Limits


async def chat(shop: Workshop, ask: ChatAsk, asking: Asking) -> AsyncGenerator[Step]:
    """Answer a prompt. Raises Problem."""
    turn = await _turn(shop, ask)
    return _chat(shop, turn, asking)


async def code(shop: Workshop, ask: CodeAsk, asking: Asking) -> AsyncGenerator[Step]:
    """Let a model work on files and with commands. Raises Problem."""
    checks.narrowed(ask.allowed_tools, NAMES, NAMES)
    turn = await _turn(shop, ask)
    status = await shop.hands.serving()
    if status is None:
        raise of_failure(await shop.hands.why_not())
    offered = checks.narrowed(ask.allowed_tools, NAMES, possible(status))
    ground = Ground(shop.dispatch, shop.hands, status, offered, shop.limits.max_turns)
    held = Turn(
        model=turn.model,
        messages=turn.messages,
        system=(guide(status), *turn.system),
        tools=tuple(tool(name, status) for name in offered),
        max_budget_usd=turn.max_budget_usd,
    )
    return work(ground, held, asking)


async def analyze(shop: Workshop, ask: AnalyzeAsk, asking: Asking) -> AsyncGenerator[Step]:
    """Answer a prompt about files. Raises Problem."""
    paths = checks.files(ask.context_files)
    turn = await _turn(shop, ask)
    return _analyze(shop, turn, paths, asking)


async def file_read(shop: Workshop, ask: FileReadAsk, asking: Asking) -> AsyncGenerator[Step]:
    """Read a file. Raises Problem."""
    path = checks.said(ask.path, "path")
    job = ReadFile(path, checks.at_least_one(ask.offset, "offset"), checks.at_least_one(ask.limit, "limit"))
    return _file_read(shop, job, asking)


async def bash(shop: Workshop, ask: BashAsk, asking: Asking) -> AsyncGenerator[Step]:
    """Run commands. Raises Problem."""
    cwd = None if ask.cwd is None else checks.said(ask.cwd, "cwd")
    job = RunCommand(checks.said(ask.command, "command"), cwd, checks.seconds(ask.timeout), ask.stdin)
    return _bash(shop, job, asking)


async def list_models(shop: Workshop, key: Key | None) -> ModelEntries:
    """Every name for a model that a key may use, and what each means. key: None is the owner."""
    models = await shop.catalogue.models()
    listed = nameable(key, listing(models, shop.catalogue.aliases), shop.catalogue.meanings)
    resolved = {model.value: model.resolved for model in choices(models)}
    entries = [
        ModelEntry(model.id, resolved.get(model.means, model.means), default=model.id == shop.catalogue.default)
        for model in listed
    ]
    return ModelEntries(entries)


async def finished(steps: AsyncGenerator[Step]) -> Finished:
    """The answer, for those who do not watch. Raises Problem when there is none."""
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Failed):
                raise of_failure(step)
            if isinstance(step, ChatAnswer | CodeAnswer | FileAnswer | BashAnswer):
                return step
    raise of_failure(Failed(ErrorKind.INTERNAL))


async def _turn(shop: Workshop, ask: ChatAsk | CodeAsk | AnalyzeAsk) -> Turn:
    text = checks.prompt(ask.prompt, shop.limits)
    dollars = budget(ask.max_budget_usd)
    model = await shop.catalogue.resolve(ask.model)
    system = (ask.system_prompt,) if ask.system_prompt and ask.system_prompt.strip() else ()
    return Turn(model, (Message("user", (Text(text),)),), system=system, max_budget_usd=dollars)


async def _chat(shop: Workshop, turn: Turn, asking: Asking) -> AsyncGenerator[Step]:
    saying = Saying(turn.model)
    async with aclosing(shop.dispatch.run(turn, asking)) as events:
        async for event in events:
            saying.hear(event)
            yield event
            if isinstance(event, Done):
                yield saying.chat()


async def _analyze(shop: Workshop, turn: Turn, paths: tuple[str, ...], asking: Asking) -> AsyncGenerator[Step]:
    files: list[Block] = []
    for number, path in enumerate(paths):
        place = f"context_files[{number}]"
        came = await shop.hands.result(ReadFile(path, as_text=True), asking)
        if isinstance(came, FileRead) and not came.truncated:
            try:
                files += blocks(came, path)
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
        _chat(shop, Turn(turn.model, (about,), turn.system, max_budget_usd=turn.max_budget_usd), asking)
    ) as steps:
        async for step in steps:
            yield step


async def _file_read(shop: Workshop, job: ReadFile, asking: Asking) -> AsyncGenerator[Step]:
    came = await shop.hands.result(job, asking)
    match came:
        case FileRead(text=str(text)):
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
        case FileRead():
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


async def _bash(shop: Workshop, job: RunCommand, asking: Asking) -> AsyncGenerator[Step]:
    words = {stream: getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")}
    written = {"stdout": "", "stderr": ""}
    async with aclosing(shop.hands.do(job, asking)) as messages:
        async for said in messages:
            match said:
                case Output(stream, data):
                    text = words[stream].decode(data)
                    written[stream] += text
                    if text:
                        yield Wrote(stream, text)
                case JobDone(CommandEnded(returncode, timed_out, truncated)):
                    # A letter that was never whole.
                    for stream in ("stdout", "stderr"):
                        if text := words[stream].decode(b"", final=True):
                            written[stream] += text
                            yield Wrote(stream, text)
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
