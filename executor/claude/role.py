"""What an executor of the claude role does: admit a turn, find it a CLI process, have the conversation, report events."""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import structlog

from executor.admission import Admission, Refused
from executor.claude.answer import Answer
from executor.claude.cli import Launch
from executor.claude.conversation import Step, control, initialize, not_available, set_model, steps
from executor.claude.parking import FIRST_PAUSE, LONGEST_PAUSE, Parking
from executor.claude.process import CliLost, CliProcess
from executor.claude.protocol import Answered, Asked, Complained, Ended, Garbage, Introduction, introduction
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued
from shared.turn import Turn
from shared.wire import Model, Status

SETUP_TIMEOUT = 30.0

type Emit = Callable[[Event], Awaitable[None]]

log = structlog.get_logger()


class TurnRefused(Exception):
    """The CLI would not set the conversation up."""

    def __init__(self, kind: ErrorKind) -> None:
        super().__init__(kind)
        self.kind = kind


class ClaudeRole:
    """Mutable: the places, the parked processes, and what the CLI said of itself at the start."""

    def __init__(
        self,
        launch: Launch | None,
        admission: Admission,
        parked: int,
        folder: Path,
        default_model: str,
        *,
        offline: bool,
    ) -> None:
        self.launch = launch
        self.admission = admission
        self.offline = offline
        self._default_model = default_model
        self._folder = folder
        self._parking = Parking(self._start, self._warm, parked)
        self._about: Introduction | None = None
        self._asking: asyncio.Task[None] | None = None
        self._problem = ""

    async def open(self) -> None:
        """Make the folder of the private folders anew, let a CLI introduce itself, then park; the latter goes on later."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        if self.launch is None:
            self._problem = "the Claude Code CLI was not found; run `make run` once, or set CLAUDE_CLI_PATH"
            log.error(self._problem)
            return
        self._problem = "starting"
        self._asking = asyncio.create_task(self._introduce())

    async def close(self) -> None:
        """End every process and remove every folder."""
        if self._asking:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking
        await self._parking.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def status(self, *, draining: bool) -> Status:
        """How this executor is."""
        models = self._about.models if self._about else []
        return Status(
            role="claude",
            mode="offline" if self.offline else "online",
            credential=self.launch.credential.kind if self.launch and not self.offline else "none",
            cli_found=self.launch is not None,
            cli_version=self._about.claude_code_version if self._about else "",
            max_concurrent=self.admission.places,
            max_queue=self.admission.queue,
            running=self.admission.running,
            waiting=self.admission.waiting,
            parked=self._parking.ready,
            draining=draining,
            problem=self._problem or self._parking.problem,
            models=tuple(
                Model(model.value, model.resolved_model or model.value, model.display_name, model.description)
                for model in models
            ),
        )

    async def run(self, turn: Turn, emit: Emit) -> None:
        """Do a turn; its last event is Done or Failed."""

        async def queued(ahead: int) -> None:
            await emit(Queued(ahead))

        try:
            async with self.admission.place(queued):
                process, parked = await self._parking.take()
                try:
                    await emit(Admitted(parked=parked, offline=self.offline))
                    await self._converse(process, turn, emit)
                finally:
                    self._parking.bury(process)
        except Refused as refused:
            await emit(Failed(refused.kind, retry_after=refused.retry_after))
        except TurnRefused as refused:
            await emit(Failed(refused.kind))
        except CliLost as lost:
            log.error("the CLI failed", reason=str(lost))
            await emit(Failed(ErrorKind.CLI_FAILED))

    async def _converse(self, process: CliProcess, turn: Turn, emit: Emit) -> None:
        for step in steps(turn):
            await process.write(step.lines)
            if step.then != "events":
                await self._complete(process, step)
        answer = Answer()
        while not answer.over:
            try:
                line = await process.read()
            except CliLost as lost:
                log.error("the CLI failed", reason=str(lost), last_words=_last_words(process))
                events = answer.end()
            else:
                if isinstance(line, Garbage):
                    log.error("the CLI wrote something else than its protocol", reason=line.reason)
                elif isinstance(line, Asked):
                    await process.write(not_available(line.request_id))
                events = answer.feed(line)
            if answer.over:
                # At once, since the CLI goes on after some answers: nothing it does from here on counts.
                process.kill()
            for event in events:
                await emit(event)

    async def _complete(self, process: CliProcess, step: Step) -> None:
        """Read until the CLI has taken `step` in. Raises CliLost, TurnRefused."""
        answers = step.answers
        with _in_time("the CLI did not answer in time"):
            async with asyncio.timeout(SETUP_TIMEOUT):
                while True:
                    match await process.read():
                        case Answered(request_id, error, _) if error is not None:
                            log.error("the CLI refused a control request", request=request_id, reason=error)
                            raise TurnRefused(
                                ErrorKind.MODEL_NOT_FOUND if request_id == "setup-1" else ErrorKind.CLI_FAILED
                            )
                        case Answered():
                            answers -= 1
                            if step.then == "answers" and answers == 0:
                                return
                        case Ended(is_error=True) | Complained():
                            raise TurnRefused(ErrorKind.CLI_FAILED)
                        case Ended() if step.then == "result":
                            return
                        case Garbage(reason):
                            raise CliLost(f"it wrote something else than its protocol: {reason}")
                        case Asked() as asked:
                            await process.write(not_available(asked.request_id))
                        case _:
                            pass

    async def _start(self) -> CliProcess:
        if self.launch is None:
            raise CliLost("the Claude Code CLI was not found")
        return await CliProcess.start(self.launch, self._folder)

    async def _warm(self, process: CliProcess) -> None:
        """Wait until a parked process is up: it has answered something that fixes nothing."""
        try:
            await process.write(control("warm", set_model(self._default_model)))
            await self._complete(process, Step(b"", "answers", answers=1))
        except (CliLost, TurnRefused) as error:
            raise CliLost(f"{error}; it said: {_last_words(process) or 'nothing'}") from error

    async def _introduce(self) -> None:
        """Ask one CLI process for its version and the models of this account, until it answers."""
        pause = FIRST_PAUSE
        while True:
            try:
                self._about = await self._asked()
                self._problem = ""
                self._parking.open()
                return
            except CliLost as lost:
                self._problem = f"the CLI does not start: {lost}"
                log.error(self._problem)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _asked(self) -> Introduction:
        process = await self._start()
        try:
            await process.write(control("hello", initialize(())))
            with _in_time("it did not answer in time"):
                async with asyncio.timeout(SETUP_TIMEOUT):
                    while True:
                        match await process.read():
                            case Answered(request_id="hello", error=None, response=response):
                                return introduction(response)
                            case Garbage(reason):
                                raise CliLost(f"it wrote something else than its protocol: {reason}")
                            case _:
                                pass
        except CliLost as lost:
            raise CliLost(f"{lost}; it said: {_last_words(process) or 'nothing'}") from lost
        finally:
            self._parking.bury(process)


@contextlib.contextmanager
def _in_time(reason: str) -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise CliLost(reason) from error


def _last_words(process: CliProcess) -> str:
    return b" ".join(process.last_words).decode(errors="replace").strip()
