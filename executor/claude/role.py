"""The claude role of an executor: admits a turn, runs it on a CLI process, and emits its events."""

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
from executor.claude.held.holder import HELD, ConversationHolder
from executor.claude.held.limits import NOTHING_HELD, HeldLimits
from executor.claude.held.store import HeldProcesses
from executor.claude.request.body import ModelRequest, build_request
from executor.claude.request.model_rules import PERMISSIVE_RULES, find_rules
from executor.claude.session import CliSession, Emit
from executor.claude.tool_results import ToolResultRouter
from shared.claude_status import ClaudeStatus, CliModel
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued, UsageWindows
from shared.json_schema.validator import InvalidSchema
from shared.turn import Turn
from shared.wire import Submit

# Messages of the CLI may contain paths of this host: they go to the log, not into the status.
CLI_START_FAILED = "the Claude Code CLI does not start; see the executor's log"
POOL_START_FAILED = "no CLI process can be pooled; see the executor's log"

log = structlog.get_logger()


class ClaudeRole:
    """Mutable: the slots, the pool, and what the CLI reported about itself at the start."""

    def __init__(
        self,
        launch: Launch | None,
        admission: Admission,
        pool_size: int,
        folder: Path,
        default_model: str,
        *,
        offline: bool,
        held_limits: HeldLimits = NOTHING_HELD,
        missing: tuple[str, ...] = (),
    ) -> None:
        """missing: defences of the CLI's sandbox that this host lacks."""
        self.launch = launch
        self.admission = admission
        self.offline = offline
        self._missing = missing
        self._default_model = default_model
        self._folder = folder
        self._pool = ProcessPool(self._start_process, self._warm_up, pool_size)
        self.held = HeldProcesses(held_limits, self._pool.discard)
        self._cli_info: InitializeResponse | None = None
        self._cli_info_task: asyncio.Task[None] | None = None
        self._problem = ""
        self._start_count = 0
        self._windows: UsageWindows | None = None

    async def open(self) -> None:
        """Empties the folder of the private folders, and starts to ask the CLI about itself and to fill the pool."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        if self.launch is None:
            self._problem = "the Claude Code CLI was not found; run `make run` once, or set CLAUDE_CLI_PATH"
            log.error(self._problem)
            return
        self._problem = "starting"
        self._cli_info_task = asyncio.create_task(self._fetch_cli_info())

    async def close(self) -> None:
        """Ends every process and removes every folder."""
        if self._cli_info_task:
            self._cli_info_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._cli_info_task
        self.held.close()
        await self._pool.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def status(self, *, draining: bool) -> ClaudeStatus:
        """Returns the status of this executor."""
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
            conversations=self.held.build_status(),
        )

    async def run(self, submit: Submit, results: ToolResultRouter, emit: Emit) -> None:
        """Runs a turn; its last event is Done or Failed. results: receives the results of an interactive turn's calls."""

        async def emit_queued(ahead: int) -> None:
            await emit(Queued(ahead))

        async def record_event(event: Event) -> None:
            if isinstance(event, UsageWindows):
                self._windows = event
            await emit(event)

        try:
            async with self.admission.acquire_slot(emit_queued, submit.tenant, may_queue=submit.may_queue):
                await self._run_session(submit, results, record_event)
        except AdmissionRefused as refused:
            await emit(Failed(refused.kind, retry_after=refused.retry_after))
        except InvalidSchema as invalid:
            await emit(Failed(ErrorKind.INVALID_REQUEST, f"The schema of the answer can't be compiled: {invalid}."))
        except TurnRefused as refused:
            await emit(Failed(refused.kind, refused.detail))
        except CliCrashed as lost:
            log.error("the CLI failed", reason=str(lost))
            await emit(Failed(ErrorKind.CLI_FAILED))

    async def _run_session(self, submit: Submit, results: ToolResultRouter, emit: Emit) -> None:
        request, used = self._build_request(submit.turn), list[CliProcess]()
        holding = ConversationHolder(self.held, submit)

        async def take_process() -> CliProcess:
            process, _ = await self._take_process()
            used.append(process)
            return process

        session = CliSession(request, results, take_process, holding.keep_process if holding.can_keep else None)
        try:
            process = await self._continue_held(session, holding, used)
            if process is None:
                process, is_pooled = await self._take_process()
                used.append(process)
                await emit(Admitted(pooled=is_pooled, offline=self.offline, conversation=holding.reason))
                process = await self._send_turn(session, process, used, is_pooled=is_pooled)
            else:
                await emit(Admitted(pooled=True, offline=self.offline, conversation=HELD))
            await session.stream_events(process, emit)
        except BaseException:
            holding.forget_process()
            raise
        finally:
            for process in used:
                if process is not holding.kept_process:
                    self._pool.discard(process)

    async def _continue_held(
        self, session: CliSession, holding: ConversationHolder, used: list[CliProcess]
    ) -> CliProcess | None:
        """Sends the turn to the process that holds its conversation; returns None if there is none that takes it."""
        held = holding.take()
        if held is None:
            return None
        used.append(held.process)
        try:
            await session.continue_turn(held.process, held.cost_usd)
        except (CliCrashed, TurnRefused) as lost:
            log.warning("a held CLI process failed", reason=str(lost))
            holding.replay("process_ended")
            return None
        return held.process

    async def _send_turn(
        self, session: CliSession, process: CliProcess, used: list[CliProcess], *, is_pooled: bool
    ) -> CliProcess:
        """Sends the turn to a process; returns that process, or the one that replaced it. Raises CliCrashed, TurnRefused."""
        try:
            await session.send_turn(process)
        except CliCrashed as lost:
            if not is_pooled or process.process.returncode is None:
                raise
            # The process ended while it was idle; the turn did not cause that.
            log.warning("an idle CLI process had ended", reason=str(lost))
            process = await self._start_process()
            used.append(process)
            await session.send_turn(process)
        return process

    async def _take_process(self) -> tuple[CliProcess, bool]:
        """Returns a process, and whether it was idle. If none can be started, a held one makes room. Raises CliCrashed."""
        try:
            return await self._pool.take()
        except CliCrashed:
            ended = self.held.end_least_valuable("process_needed")
            if ended is None:
                raise
        # Only when the kernel has freed what it used is there room.
        await asyncio.shield(ended.exited)
        return await self._pool.take()

    def _build_request(self, turn: Turn) -> ModelRequest:
        """Builds the request by the rules of its model, with the cache lifetime that the CLI uses for this credential."""
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
        """Asks CLI processes for the version and the models of this account, until one answers; then fills the pool."""
        delay = INITIAL_RETRY_DELAY
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
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_RETRY_DELAY)
