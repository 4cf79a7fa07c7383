"""What an executor of the claude role does: admit a turn, find it a CLI process, have the conversation, report events."""

import asyncio
import contextlib
import shutil
from pathlib import Path

import structlog

from executor.admission import Admission, AdmissionRefused
from executor.claude.cli.handshake import TurnRefused, fetch_cli_info, warm_up
from executor.claude.cli.launch import Launch
from executor.claude.cli.pool import INITIAL_RETRY_DELAY, MAX_RETRY_DELAY, ProcessPool
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.protocol import InitializeResponse
from executor.claude.output.validation import InvalidSchema
from executor.claude.request.body import ModelRequest, build_request
from executor.claude.request.model_rules import PERMISSIVE_RULES, find_rules
from executor.claude.session import CliSession, Emit
from executor.claude.tool_results import ToolResultRouter
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued, UsageWindows
from shared.turn import Turn
from shared.wire import ClaudeStatus, CliModel

# What a CLI says may hold paths of this host: it is for the log, not for whoever asks how we are.
CLI_START_FAILED = "the Claude Code CLI does not start; the executor's log says why"
POOL_START_FAILED = "no CLI process can be parked; the executor's log says why"

log = structlog.get_logger()


class ClaudeRole:
    """Mutable: the places, the parked processes, and what the CLI said of itself at the start."""

    def __init__(
        self,
        launch: Launch | None,
        admission: Admission,
        pool_size: int,
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
        self._pool = ProcessPool(self._start_process, self._warm_up, pool_size)
        self._cli_info: InitializeResponse | None = None
        self._cli_info_task: asyncio.Task[None] | None = None
        self._problem = ""
        self._start_count = 0
        self._windows: UsageWindows | None = None

    async def open(self) -> None:
        """Make the folder of the private folders anew, let a CLI introduce itself, then park; the latter goes on later."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        if self.launch is None:
            self._problem = "the Claude Code CLI was not found; run `make run` once, or set CLAUDE_CLI_PATH"
            log.error(self._problem)
            return
        self._problem = "starting"
        self._cli_info_task = asyncio.create_task(self._fetch_cli_info())

    async def close(self) -> None:
        """End every process and remove every folder."""
        if self._cli_info_task:
            self._cli_info_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._cli_info_task
        await self._pool.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def status(self, *, draining: bool) -> ClaudeStatus:
        """How this executor is."""
        models = self._cli_info.models if self._cli_info else []
        return ClaudeStatus(
            role="claude",
            mode="offline" if self.offline else "online",
            credential=self.launch.credential.kind if self.launch and not self.offline else "none",
            cli_found=self.launch is not None,
            cli_version=self._cli_info.claude_code_version if self._cli_info else "",
            max_concurrent=self.admission.capacity,
            max_queue=self.admission.max_queue,
            running=self.admission.running,
            waiting=self.admission.waiting,
            idle_processes=self._pool.idle,
            draining=draining,
            problem=self._problem or (POOL_START_FAILED if self._pool.problem else ""),
            missing=self._missing,
            models=tuple(
                CliModel(model.value, model.resolved_model or model.value, model.display_name, model.description)
                for model in models
            ),
            windows=self._windows,
            cli_starts=self._start_count,
            cli_ready=self._pool.started,
            cli_ready_seconds=self._pool.start_seconds,
        )

    async def run(self, turn: Turn, results: ToolResultRouter, emit: Emit, tenant: str = "") -> None:
        """Do a turn; its last event is Done or Failed. results: where those of its calls are brought, if it is held."""

        async def emit_queued(ahead: int) -> None:
            await emit(Queued(ahead))

        async def record_event(event: Event) -> None:
            if isinstance(event, UsageWindows):
                self._windows = event
            await emit(event)

        try:
            async with self.admission.acquire_slot(emit_queued, tenant):
                await self._run_session(turn, results, record_event)
        except AdmissionRefused as refused:
            await emit(Failed(refused.kind, retry_after=refused.retry_after))
        except InvalidSchema as invalid:
            await emit(Failed(ErrorKind.INVALID_REQUEST, f"The schema of the answer can't be compiled: {invalid}."))
        except TurnRefused as refused:
            await emit(Failed(refused.kind, refused.detail))
        except CliCrashed as lost:
            log.error("the CLI failed", reason=str(lost))
            await emit(Failed(ErrorKind.CLI_FAILED))

    async def _run_session(self, turn: Turn, results: ToolResultRouter, emit: Emit) -> None:
        used: list[CliProcess] = []

        async def take_process() -> CliProcess:
            process, _ = await self._pool.take()
            used.append(process)
            return process

        session = CliSession(self._build_request(turn), results, take_process)
        process, parked = await self._pool.take()
        used.append(process)
        try:
            await emit(Admitted(pooled=parked, offline=self.offline))
            try:
                await session.send_turn(process)
            except CliCrashed as lost:
                if not parked or process.process.returncode is None:
                    raise
                # It ended while it was parked, unnoticed: that is no fault of this turn.
                log.warning("a parked CLI process had ended", reason=str(lost))
                process = await self._start_process()
                used.append(process)
                await session.send_turn(process)
            await session.stream_events(process, emit)
        finally:
            for process in used:
                self._pool.discard(process)

    def _build_request(self, turn: Turn) -> ModelRequest:
        """The turn by the rules of its model, and with the cache's lifetime that the CLI takes for this credential."""
        models = self._cli_info.models if self._cli_info else []
        resolved = {model.value: model.resolved_model or model.value for model in models}
        rules = PERMISSIVE_RULES if self.offline else find_rules(resolved.get(turn.model, turn.model))
        subscribed = self.launch is not None and not self.launch.credential.bare
        within_plan = subscribed and not (self._windows and self._windows.overage)
        return build_request(turn, rules, "1h" if within_plan else "5m")

    async def _start_process(self) -> CliProcess:
        if self.launch is None:
            raise CliCrashed("the Claude Code CLI was not found")
        self._start_count += 1
        return await CliProcess.start(self.launch, self._folder)

    async def _warm_up(self, process: CliProcess) -> None:
        await warm_up(process, self._default_model)

    async def _fetch_cli_info(self) -> None:
        """Ask one CLI process for its version and the models of this account, until it answers."""
        pause = INITIAL_RETRY_DELAY
        while True:
            try:
                process = await self._start_process()
                try:
                    self._cli_info = await fetch_cli_info(process)
                finally:
                    self._pool.discard(process)
                self._problem = ""
                self._pool.open()
                return
            except CliCrashed as lost:
                self._problem = CLI_START_FAILED
                log.error("the CLI does not start", reason=str(lost))
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RETRY_DELAY)
