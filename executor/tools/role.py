"""The tools role: checks a job by the policy, runs it in the sandbox, and emits its output and result."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from msgspec import structs

from executor.admission import Admission, AdmissionRefused
from executor.sandbox.zygote.client import Zygote, ZygoteCrashed
from executor.tools import policy
from executor.tools.config import ToolConfig
from executor.tools.files import globs, search
from executor.tools.runner import LimitedOutput, ReaperCrashed, run_reaped, run_single
from executor.tools.task import JobRefused, Task
from executor.tools.worker.setup import SetupResult
from shared.errors import ErrorKind
from shared.events import Failed, Queued
from shared.tool_jobs import (
    CommandOutput,
    CommandResult,
    ConvertDocument,
    FindFiles,
    FolderEntry,
    FolderListing,
    JobDone,
    JobResult,
    ListFolder,
    RunCommand,
    SearchFiles,
    ToolJob,
    ToolsStatus,
)

NO_PATHS = "no path is allowed: set ALLOWED_PATHS to a folder that the tools may read"
LIMIT_EXCEEDED = "took more time or memory than is allowed"
ZYGOTE_ENDED = (
    "the tools executor lost the process that its jobs come from, and ends; start it again if nothing else does"
)

# Fits into a frame of the protocol.
MAX_RESULT_BYTES = 60 << 20

type Emit = Callable[[Queued | CommandOutput | JobDone | Failed], Awaitable[None]]

log = structlog.get_logger()
_outcome_decoder = msgspec.msgpack.Decoder[JobResult | Failed](JobResult | Failed)
_task_encoder = msgspec.msgpack.Encoder()


class ToolsRole:
    """Mutable: the admission, counts of jobs done and refused, and why nothing is served."""

    def __init__(self, config: ToolConfig, zygote: Zygote | None, admission: Admission, setup: SetupResult) -> None:
        """setup: why nothing is served, what the sandbox lacks, and why documents can't be converted."""
        self._config = config
        self._zygote = zygote
        self.admission = admission
        self._setup = setup
        self._problem = setup.problem
        self._jobs_done = 0
        self._refusals: Counter[str] = Counter()

    async def open(self) -> None:
        """Does nothing: the role is ready when it is created."""

    async def close(self) -> None:
        """Ends the zygote; jobs end with their connections."""
        if self._zygote:
            self._zygote.close()

    def status(self, *, draining: bool) -> ToolsStatus:
        """Returns the status of this executor."""
        return ToolsStatus(
            allowed_paths=tuple(root.path for root in self._config.roots),
            writable_paths=tuple(root.path for root in self._config.roots if root.writable),
            allowed_commands=tuple(sorted(self._config.commands)),
            max_concurrent=self.admission.capacity,
            running=self.admission.running,
            waiting=self.admission.waiting,
            draining=draining,
            problem=self._problem or self._no_paths_problem,
            missing=self._setup.missing,
            jobs_done=self._jobs_done,
            refusals=dict(self._refusals),
            command_timeout=self._config.timeout,
            max_queue=self.admission.max_queue,
        )

    async def run(self, job: ToolJob, emit: Emit, tenant: str = "") -> None:
        """Runs a job; the last message is JobDone or Failed."""

        async def ignore_queued(_ahead: int) -> None:
            """Emits nothing: before the end of a job, only a command's output is sent."""

        try:
            # The job contains its document, so it needs no allowed path.
            problem = self._setup.converter if isinstance(job, ConvertDocument) else self._no_paths_problem
            if self._zygote is None or self._problem or problem:
                raise JobRefused(ErrorKind.TOOLS_UNAVAILABLE, self._problem or problem)
            async with self.admission.acquire_slot(ignore_queued, tenant):
                result = await self._run_task(self._zygote, policy.build_task(self._config, job), emit)
            self._jobs_done += 1
            await emit(JobDone(result))
        except AdmissionRefused as refused:
            self._refusals[refused.kind] += 1
            await emit(Failed(refused.kind, retry_after=refused.retry_after))
        except JobRefused as refused:
            self._refusals[refused.kind] += 1
            log.info("refused", kind=str(refused.kind), job=type(job).__name__)
            await emit(Failed(refused.kind, refused.detail))
        except ReaperCrashed:
            log.warning("the process of a job was killed; another replaces it", job=type(job).__name__)
            await emit(Failed(ErrorKind.EXECUTOR_LOST))
        except ZygoteCrashed:
            self.mark_zygote_crashed()
            await emit(Failed(ErrorKind.TOOLS_UNAVAILABLE, ZYGOTE_ENDED))

    def mark_zygote_crashed(self) -> None:
        """Serves nothing from now on, since jobs come from the zygote."""
        if not self._problem:
            log.error(ZYGOTE_ENDED)
        self._problem = ZYGOTE_ENDED

    @property
    def _no_paths_problem(self) -> str:
        return "" if self._config.roots else NO_PATHS

    async def _run_task(self, zygote: Zygote, task: Task, emit: Emit) -> JobResult:
        match task.job:
            case RunCommand():
                return await self._run_command(zygote, task, task.job, emit)
            case ListFolder(path=None):
                return FolderListing(tuple(FolderEntry(root.path, "folder") for root in self._config.roots))
            case FindFiles() | SearchFiles():
                return await self._run_search(zygote, task, task.job)
            case _:
                output = await run_single(zygote, _task_encoder.encode(task), MAX_RESULT_BYTES)
                try:
                    outcome = _outcome_decoder.decode(output)
                except msgspec.DecodeError as cut:
                    what = "the conversion" if isinstance(task.job, ConvertDocument) else "it"
                    raise JobRefused(ErrorKind.TOO_LARGE, f"{what} {LIMIT_EXCEEDED}") from cut
                if isinstance(outcome, Failed):
                    raise JobRefused(outcome.kind, outcome.detail)
                return outcome

    async def _run_command(self, zygote: Zygote, task: Task, job: RunCommand, emit: Emit) -> JobResult:
        output = LimitedOutput(emit, self._config.output_limit)
        stdin = None if job.stdin is None else job.stdin.encode(errors="surrogatepass")
        # The input is sent separately, through a pipe.
        task = structs.replace(task, job=structs.replace(job, stdin=None))
        job_exit = await run_reaped(zygote, _task_encoder.encode(task), output, stdin=stdin, merged=job.merge_streams)
        if job_exit.exceeded_limit:
            notice = f"\nEnded: the command took more {job_exit.exceeded_limit} than is allowed.\n"
            await emit(CommandOutput("stderr", notice.encode()))
        return CommandResult(job_exit.returncode, job_exit.timed_out, output.truncated)

    async def _run_search(self, zygote: Zygote, task: Task, job: FindFiles | SearchFiles) -> JobResult:
        pattern = search.get_file_pattern(job)
        output, errors, cut = await self._collect_output(
            zygote, task, None if pattern is None else globs.build_ignore_rules(pattern)
        )
        kind_mark, output = output[:1], output[1:]
        if errors and not output:
            raise JobRefused(ErrorKind.BAD_JOB, search.build_error_message(job, errors))
        folder = search.find_base_folder(self._config.roots[task.root].path, task.path, kind_mark)
        # In a thread: the output may be long, and must not block other jobs.
        return await asyncio.to_thread(
            search.parse_output, job, output, folder, was_cut=cut, match_all=kind_mark == search.FILE_MARK
        )

    async def _collect_output(self, zygote: Zygote, task: Task, stdin: bytes | None) -> tuple[bytes, bytes, bool]:
        """Returns the output and the errors of a search, and whether they were cut: at 1.5 times the read limit."""
        written = {"stdout": bytearray(), "stderr": bytearray()}

        async def collect(part: CommandOutput) -> None:
            written[part.stream] += part.data

        output = LimitedOutput(collect, self._config.read_limit * 3 // 2, overrun_factor=1)
        job_exit = await run_reaped(zygote, _task_encoder.encode(task), output, stdin=stdin)
        cut = output.truncated or job_exit.timed_out or bool(job_exit.exceeded_limit)
        return bytes(written["stdout"]), bytes(written["stderr"]), cut
