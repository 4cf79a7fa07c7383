"""What an executor of the claude role does: admit a turn, find it a CLI process, have the conversation, report events."""

import asyncio
import contextlib
import shutil
from pathlib import Path

import structlog

from executor.admission import Admission, Refused
from executor.claude.cli.launch import Launch
from executor.claude.cli.pool import FIRST_PAUSE, LONGEST_PAUSE, Parking
from executor.claude.cli.process import CliLost, CliProcess
from executor.claude.cli.protocol import Introduction
from executor.claude.output.validation import SchemaInvalid
from executor.claude.request.body import Request, build_request
from executor.claude.request.model_rules import EVERYTHING, rules_for
from executor.claude.session import CliSession, Emit, TurnRefused, introduced, warm
from executor.claude.tool_results import ToolResults
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued, Windows
from shared.turn import Turn
from shared.wire import Model, Status

# What a CLI says may hold paths of this host: it is for the log, not for whoever asks how we are.
NOT_STARTED = "the Claude Code CLI does not start; the executor's log says why"
NOT_PARKED = "no CLI process can be parked; the executor's log says why"

log = structlog.get_logger()


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
        missing: tuple[str, ...] = (),
    ) -> None:
        """missing: what the CLI's sandbox lacks on this host."""
        self.launch = launch
        self.admission = admission
        self.offline = offline
        self._missing = missing
        self._default_model = default_model
        self._folder = folder
        self._parking = Parking(self._start, self._warm, parked)
        self._about: Introduction | None = None
        self._asking: asyncio.Task[None] | None = None
        self._problem = ""
        self._starts = 0
        self._windows: Windows | None = None

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
            problem=self._problem or (NOT_PARKED if self._parking.problem else ""),
            missing=self._missing,
            models=tuple(
                Model(model.value, model.resolved_model or model.value, model.display_name, model.description)
                for model in models
            ),
            windows=self._windows,
            cli_starts=self._starts,
            cli_ready=self._parking.made,
            cli_ready_seconds=self._parking.making_seconds,
        )

    async def run(self, turn: Turn, results: ToolResults, emit: Emit, tenant: str = "") -> None:
        """Do a turn; its last event is Done or Failed. results: where those of its calls are brought, if it is held."""

        async def queued(ahead: int) -> None:
            await emit(Queued(ahead))

        async def noted(event: Event) -> None:
            if isinstance(event, Windows):
                self._windows = event
            await emit(event)

        try:
            async with self.admission.place(queued, tenant):
                await self._talk(turn, results, noted)
        except Refused as refused:
            await emit(Failed(refused.kind, retry_after=refused.retry_after))
        except SchemaInvalid as invalid:
            await emit(Failed(ErrorKind.INVALID_REQUEST, f"The schema of the answer can't be compiled: {invalid}."))
        except TurnRefused as refused:
            await emit(Failed(refused.kind, refused.detail))
        except CliLost as lost:
            log.error("the CLI failed", reason=str(lost))
            await emit(Failed(ErrorKind.CLI_FAILED))

    async def _talk(self, turn: Turn, results: ToolResults, emit: Emit) -> None:
        used: list[CliProcess] = []

        async def start() -> CliProcess:
            process, _ = await self._parking.take()
            used.append(process)
            return process

        session = CliSession(self._request(turn), results, start)
        process, parked = await self._parking.take()
        used.append(process)
        try:
            await emit(Admitted(parked=parked, offline=self.offline))
            try:
                await session.send_turn(process)
            except CliLost as lost:
                if not parked or process.process.returncode is None:
                    raise
                # It ended while it was parked, unnoticed: that is no fault of this turn.
                log.warning("a parked CLI process had ended", reason=str(lost))
                process = await self._start()
                used.append(process)
                await session.send_turn(process)
            await session.stream_events(process, emit)
        finally:
            for process in used:
                self._parking.bury(process)

    def _request(self, turn: Turn) -> Request:
        """The turn by the rules of its model, and with the cache's lifetime that the CLI takes for this credential."""
        models = self._about.models if self._about else []
        resolved = {model.value: model.resolved_model or model.value for model in models}
        rules = EVERYTHING if self.offline else rules_for(resolved.get(turn.model, turn.model))
        subscribed = self.launch is not None and not self.launch.credential.bare
        within_plan = subscribed and not (self._windows and self._windows.overage)
        return build_request(turn, rules, "1h" if within_plan else "5m")

    async def _start(self) -> CliProcess:
        if self.launch is None:
            raise CliLost("the Claude Code CLI was not found")
        self._starts += 1
        return await CliProcess.start(self.launch, self._folder)

    async def _warm(self, process: CliProcess) -> None:
        await warm(process, self._default_model)

    async def _introduce(self) -> None:
        """Ask one CLI process for its version and the models of this account, until it answers."""
        pause = FIRST_PAUSE
        while True:
            try:
                process = await self._start()
                try:
                    self._about = await introduced(process)
                finally:
                    self._parking.bury(process)
                self._problem = ""
                self._parking.open()
                return
            except CliLost as lost:
                self._problem = NOT_STARTED
                log.error("the CLI does not start", reason=str(lost))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
