"""The pool of executors: the sockets that are in RUN_DIR and in the role's folder there.

Invariants: a socket is used only if root, this user or the owner of the role's folder must have created it. The only state
of an executor here is the number of its jobs from this process; a missing executor is skipped, a returned one is used.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import structlog
from msgspec import Struct

from shared import wire
from shared.claude_status import ClaudeStatus
from shared.errors import ErrorKind
from shared.events import Failed
from shared.process import peers
from shared.tool_jobs import ToolsStatus
from shared.wire import WireError

STATUS_TIMEOUT = 1.0
# An executor that accepts a connection and stays silent (a CLI starts faster) is restarting; systemd holds its socket.
FIRST_MESSAGE_TIMEOUT = 15.0

log = structlog.get_logger()


class ExecutorPool:
    """The executors of one role. Mutable: the jobs of each socket, the order among equals, and the last logged problem."""

    def __init__(self, run_dir: Path, role: str) -> None:
        self._run_dir = run_dir
        self._role = role
        self._jobs: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        self._logged_problem = ""

    def __repr__(self) -> str:
        loads = ", ".join(f"{path.stem}: {self._jobs[path.stem]}" for path in self.list_sockets())
        return f"<ExecutorPool [{loads or 'none'}]>"

    def list_sockets(self) -> list[Path]:
        """Returns the sockets in the order of their names, without those in untrusted folders."""
        sockets: dict[str, Path] = {}
        for folder in self._list_trusted_folders():
            try:
                # Runs for every job: globbing takes ten times as long.
                names = os.listdir(folder)  # noqa: PTH208
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            matching = (name for name in names if name.startswith(f"{self._role}-") and name.endswith(".sock"))
            sockets |= {name: folder / name for name in matching}
        return [sockets[name] for name in sorted(sockets)]

    def list_problems(self) -> list[str]:
        """Returns why sockets are not used, and the fix."""
        problems = [problem for _, problem in self._check_folders() if problem]
        for path in self.list_sockets():
            with contextlib.suppress(OSError):
                problems.append(peers.find_socket_problem(path))
        return [problem for problem in problems if problem]

    def _list_trusted_folders(self) -> Iterator[Path]:
        for folder, problem in self._check_folders():
            if not problem:
                yield folder
            elif problem != self._logged_problem:
                self._logged_problem = problem
                log.error("untrusted socket folder ignored", reason=problem)

    def _check_folders(self) -> Iterator[tuple[Path, str]]:
        """Yields each folder and why it can't be trusted; folders inside an untrusted folder are not checked."""
        problem = peers.find_folder_problem(self._run_dir)
        yield self._run_dir, problem
        role_folder = self._run_dir / self._role
        # Its creator could write to RUN_DIR, so any owner is accepted.
        if not problem and role_folder.is_dir():
            yield role_folder, peers.find_folder_problem(role_folder, any_owner=True)

    def list_by_load(self) -> list[Path]:
        """Returns the sockets, least loaded first."""
        return sorted(self.list_sockets(), key=lambda path: (self._jobs[path.stem], self._served[path.stem]))

    def list_candidates(self, refusal: Failed, find_preferred: Callable[[], str]) -> "ExecutorCandidates":
        """Returns the executors to try for a job. refusal: the job's outcome if there is none.

        find_preferred: returns the name of the executor to try first, where the job does not wait.
        """
        return ExecutorCandidates(self, refusal, find_preferred)

    @contextlib.contextmanager
    def count_job(self, path: Path) -> Generator[None]:
        """Counts a job against an executor, within the block."""
        self._jobs[path.stem] += 1
        self._served[path.stem] += 1
        try:
            yield
        finally:
            self._jobs[path.stem] -= 1

    async def fetch_statuses(self) -> dict[str, ClaudeStatus | None]:
        """Returns every executor's state by name; None for one that does not answer."""
        answers = await self.fetch_answers()
        return {name: answer if isinstance(answer, ClaudeStatus) else None for name, answer in answers.items()}

    async def fetch_answers(self) -> dict[str, ClaudeStatus | ToolsStatus | None]:
        """Returns the states of executors of either role."""
        paths = self.list_sockets()
        answers = await asyncio.gather(*(query_status(path) for path in paths))
        return {path.stem: answer for path, answer in zip(paths, answers, strict=True)}

    async def fetch_tools_statuses(self) -> dict[str, ToolsStatus | None]:
        """Returns the states of executors of the tools role."""
        answers = await self.fetch_answers()
        return {name: answer if isinstance(answer, ToolsStatus) else None for name, answer in answers.items()}


async def fetch_status(path: Path) -> ClaudeStatus | None:
    """Returns the state of an executor of the claude role; None if it does not answer in time."""
    answer = await query_status(path)
    return answer if isinstance(answer, ClaudeStatus) else None


class Candidate(Struct, frozen=True):
    """An executor to try. first_message_timeout: seconds to wait for its first message. may_queue: the job may wait there."""

    path: Path
    first_message_timeout: float | None
    may_queue: bool = True


class ExecutorCandidates:
    """The executors to try for a job, least loaded first. Mutable: refusal, why none of them accepted it."""

    def __init__(self, executors: ExecutorPool, refusal: Failed, find_preferred: Callable[[], str]) -> None:
        self._executors = executors
        self._find_preferred = find_preferred
        self.refusal = refusal

    def __iter__(self) -> Iterator[Candidate]:
        """Yields each executor; the preferred one also before the others.

        If the only obstacle is a draining executor, all are tried again: its successor may listen by then.
        """
        paths = self._executors.list_by_load()
        timeout = FIRST_MESSAGE_TIMEOUT if len(paths) > 1 else None
        if len(paths) > 1:
            preferred = self._find_preferred()
            yield from (Candidate(path, timeout, may_queue=False) for path in paths if path.stem == preferred)
        yield from (Candidate(path, timeout) for path in paths)
        if self.refusal.kind is ErrorKind.DRAINING:
            yield from (Candidate(path, None) for path in self._executors.list_by_load())


async def query_status(path: Path) -> ClaudeStatus | ToolsStatus | None:
    """Returns the state of an executor; None if it does not answer in time."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            answer = await wire.fetch_status(path)
    except (OSError, WireError, TimeoutError):
        return None
    return answer if isinstance(answer, ClaudeStatus | ToolsStatus) else None
