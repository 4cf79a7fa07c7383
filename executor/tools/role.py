"""What an executor of the tools role does: ask the policy, have the job done in the sandbox, report."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from msgspec import structs

from executor.admission import Admission
from executor.admission import Refused as NoPlace
from executor.sandbox.zygote.client import Zygote, ZygoteLost
from executor.sandbox.zygote.reaper import Ended
from executor.tools import policy
from executor.tools.config import Ground
from executor.tools.files import globs, search
from executor.tools.refusal import Refused
from executor.tools.runner import Bounded, Enough, KeeperLost, Stream, command_ended, ran, ran_alone
from executor.tools.task import Task
from shared.errors import ErrorKind
from shared.events import Failed, Queued
from shared.tool_jobs import (
    ConvertDocument,
    Entry,
    FindFiles,
    FolderListed,
    JobDone,
    JobResult,
    ListFolder,
    Output,
    RunCommand,
    SearchFiles,
    ToolJob,
    ToolsStatus,
)

NO_PATHS = "no path is allowed: set ALLOWED_PATHS to a folder that the tools may read"
OVER = "took more time or memory than is allowed"
NOTHING_LEFT = (
    "the tools executor lost the process that its jobs come from, and ends; start it again if nothing else does"
)

# A frame of the protocol holds it.
MOST_OF_FILE = 60 << 20

type Emit = Callable[[Queued | Output | JobDone | Failed], Awaitable[None]]

log = structlog.get_logger()
_outcome = msgspec.msgpack.Decoder[JobResult | Failed](JobResult | Failed)
_failed = msgspec.msgpack.Decoder(Failed)
_encoder = msgspec.msgpack.Encoder()


class ToolsRole:
    """Mutable: the places, what was done and refused, and whether something is wrong."""

    def __init__(
        self,
        ground: Ground,
        zygote: Zygote | None,
        admission: Admission,
        *,
        problem: str,
        missing: tuple[str, ...],
        converter: str = "",
    ) -> None:
        """problem: why nothing is served; converter: why documents can't be converted."""
        self._ground = ground
        self._zygote = zygote
        self.admission = admission
        self._problem = problem
        self._missing = missing
        self._converter = converter
        self._done = 0
        self._refusals: Counter[str] = Counter()

    async def open(self) -> None:
        """Everything was made ready before."""

    async def close(self) -> None:
        """End the zygote; jobs end with their connections."""
        if self._zygote:
            self._zygote.close()

    def status(self, *, draining: bool) -> ToolsStatus:
        """How this executor is."""
        return ToolsStatus(
            allowed_paths=tuple(root.path for root in self._ground.roots),
            writable_paths=tuple(root.path for root in self._ground.roots if root.writable),
            allowed_commands=tuple(sorted(self._ground.commands)),
            max_concurrent=self.admission.places,
            running=self.admission.running,
            waiting=self.admission.waiting,
            draining=draining,
            problem=self._problem or self._no_paths,
            missing=self._missing,
            jobs_done=self._done,
            refusals=dict(self._refusals),
            command_timeout=self._ground.timeout,
            max_queue=self.admission.queue,
        )

    async def run(self, job: ToolJob, emit: Emit, tenant: str = "") -> None:
        """Do a job; the last message is JobDone or Failed."""

        async def queued(_ahead: int) -> None:
            """Only what a command writes comes before the end of a job."""

        try:
            # A document comes with the job, so that no path has to be allowed for it.
            lack = self._converter if isinstance(job, ConvertDocument) else self._no_paths
            if self._zygote is None or self._problem or lack:
                raise Refused(ErrorKind.TOOLS_UNAVAILABLE, self._problem or lack)
            async with self.admission.place(queued, tenant):
                result = await self._result(self._zygote, policy.granted(self._ground, job), emit)
            self._done += 1
            await emit(JobDone(result))
        except NoPlace as none:
            self._refusals[none.kind] += 1
            await emit(Failed(none.kind, retry_after=none.retry_after))
        except Refused as refused:
            self._refusals[refused.kind] += 1
            log.info("refused", kind=str(refused.kind), job=type(job).__name__)
            await emit(Failed(refused.kind, refused.detail))
        except KeeperLost:
            log.warning("a process that keeps jobs was killed; another takes its place", job=type(job).__name__)
            await emit(Failed(ErrorKind.EXECUTOR_LOST))
        except ZygoteLost:
            self.lose_zygote()
            await emit(Failed(ErrorKind.TOOLS_UNAVAILABLE, NOTHING_LEFT))

    def lose_zygote(self) -> None:
        """Serve nothing from now on: what jobs come from has ended."""
        if not self._problem:
            log.error(NOTHING_LEFT)
        self._problem = NOTHING_LEFT

    @property
    def _no_paths(self) -> str:
        return "" if self._ground.roots else NO_PATHS

    async def _result(self, zygote: Zygote, task: Task, emit: Emit) -> JobResult:
        match task.job:
            case RunCommand():
                return await self._command(zygote, task, task.job, emit)
            case ListFolder(path=None):
                return FolderListed(tuple(Entry(root.path, "folder") for root in self._ground.roots))
            case FindFiles() | SearchFiles():
                return await self._search(zygote, task, task.job)
            case _:
                output = await ran_alone(zygote, _encoder.encode(task), MOST_OF_FILE)
                try:
                    outcome = _outcome.decode(output)
                except msgspec.DecodeError as cut:
                    what = "the conversion" if isinstance(task.job, ConvertDocument) else "it"
                    raise Refused(ErrorKind.TOO_LARGE, f"{what} {OVER}") from cut
                if isinstance(outcome, Failed):
                    raise Refused(outcome.kind, outcome.detail)
                return outcome

    async def _command(self, zygote: Zygote, task: Task, job: RunCommand, emit: Emit) -> JobResult:
        bounded = Bounded(emit, self._ground.output)
        stdin = None if job.stdin is None else job.stdin.encode(errors="surrogatepass")
        # Its input has a way of its own.
        asked = structs.replace(task, job=structs.replace(job, stdin=None))
        ended = await ran(zygote, _encoder.encode(asked), bounded, stdin=stdin, merged=job.merged)
        _heed(ended)
        if ended.over:
            said = f"\nEnded: the command took more {ended.over} than is allowed.\n"
            await emit(Output("stderr", said.encode()))
        return command_ended(ended, truncated=bounded.truncated)

    async def _search(self, zygote: Zygote, task: Task, job: FindFiles | SearchFiles) -> JobResult:
        pattern = search.pattern(job)
        output, errors, cut = await self._all(zygote, task, None if pattern is None else globs.rules(pattern))
        told, output = output[:1], output[1:]
        if errors and not output:
            raise Refused(ErrorKind.BAD_JOB, search.mistaken(job, errors))
        folder = search.folder(self._ground.roots[task.root].path, task.path, told)
        # It may be much, and others wait.
        return await asyncio.to_thread(search.found, job, output, folder, cut=cut, all_fit=told == search.OF_FILE)

    async def _all(self, zygote: Zygote, task: Task, stdin: bytes | None) -> tuple[bytes, bytes, bool]:
        """All that a search writes, in memory: what is found is not much larger than what may be read."""
        written: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        most = self._ground.read + self._ground.read // 2
        cut = False

        async def take(stream: Stream, data: bytes) -> None:
            nonlocal cut
            written[stream] += data
            if len(written[stream]) > most:
                cut = True
                raise Enough

        ended = await ran(zygote, _encoder.encode(task), take, stdin=stdin)
        _heed(ended)
        return bytes(written["stdout"]), bytes(written["stderr"]), cut or ended.timed_out or bool(ended.over)


def _heed(ended: Ended) -> None:
    """Raises Refused, if that is what the job's process told its keeper."""
    if ended.said:
        failed = _failed.decode(ended.said)
        raise Refused(failed.kind, failed.detail)
