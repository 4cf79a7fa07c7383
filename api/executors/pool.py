"""The executors known: whatever sockets are in RUN_DIR now, and in its folder of their role.

Law: no socket is used that anybody could have put there but root, this user, or the owner of the role's folder. Nothing is remembered of an executor but how many of our jobs it has; one that is gone is skipped, one that is back
is used.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import structlog

from shared import wire
from shared.errors import ErrorKind
from shared.events import Failed
from shared.process import peers
from shared.tool_jobs import ToolsStatus
from shared.wire import ClaudeStatus, WireError

STATUS_TIMEOUT = 1.0
# Who takes a connection and says nothing (a CLI starts in less) is being restarted, its socket kept by systemd.
FIRST_MESSAGE_TIMEOUT = 15.0

log = structlog.get_logger()


class ExecutorPool:
    """Mutable: the jobs each socket has of ours, whose turn it is among equals, and the problem that the log has."""

    def __init__(self, run_dir: Path, role: str) -> None:
        self._run_dir = run_dir
        self._role = role
        self._jobs: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        self._logged_problem = ""

    def __repr__(self) -> str:
        loads = ", ".join(f"{path.stem}: {self._jobs[path.stem]}" for path in self.list_sockets())
        return f"<Executors [{loads or 'none'}]>"

    def list_sockets(self) -> list[Path]:
        """The sockets there are, in order of their names. Of a folder that can't be trusted there are none."""
        found: dict[str, Path] = {}
        for folder in self._list_trusted_folders():
            try:
                # Asked for every job: globbing takes ten times as long.
                names = os.listdir(folder)  # noqa: PTH208
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            ours = (name for name in names if name.startswith(f"{self._role}-") and name.endswith(".sock"))
            found |= {name: folder / name for name in ours}
        return [found[name] for name in sorted(found)]

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
                log.error("a folder of sockets is not used", reason=problem)

    def _check_folders(self) -> Iterator[tuple[Path, str]]:
        """Yields each folder, and why it can't be trusted: what lies in one that can't be is not looked at."""
        problem = peers.find_folder_problem(self._run_dir)
        yield self._run_dir, problem
        own = self._run_dir / self._role
        # Whoever made it could have written in RUN_DIR, so its owner is who should be.
        if not problem and own.is_dir():
            yield own, peers.find_folder_problem(own, any_owner=True)

    def list_by_load(self) -> list[Path]:
        """The sockets, least loaded first."""
        return sorted(self.list_sockets(), key=lambda path: (self._jobs[path.stem], self._served[path.stem]))

    def list_candidates(self, refusal: Failed) -> "ExecutorCandidates":
        """Where a job may be handed over. refusal: what it gets if there is no executor at all."""
        return ExecutorCandidates(self, refusal)

    @contextlib.contextmanager
    def count_job(self, path: Path) -> Generator[None]:
        """Count a job against an executor."""
        self._jobs[path.stem] += 1
        self._served[path.stem] += 1
        try:
            yield
        finally:
            self._jobs[path.stem] -= 1

    async def fetch_statuses(self) -> dict[str, ClaudeStatus | None]:
        """Every executor's state by name; None for one that does not answer."""
        answers = await self.fetch_answers()
        return {name: answer if isinstance(answer, ClaudeStatus) else None for name, answer in answers.items()}

    async def fetch_answers(self) -> dict[str, ClaudeStatus | ToolsStatus | None]:
        """As `statuses`, of whichever role."""
        paths = self.list_sockets()
        answers = await asyncio.gather(*(query_status(path) for path in paths))
        return {path.stem: answer for path, answer in zip(paths, answers, strict=True)}

    async def fetch_tools_statuses(self) -> dict[str, ToolsStatus | None]:
        """The same of executors of the tools role."""
        paths = self.list_sockets()
        answers = await asyncio.gather(*(query_status(path) for path in paths))
        told = [answer if isinstance(answer, ToolsStatus) else None for answer in answers]
        return {path.stem: answer for path, answer in zip(paths, told, strict=True)}


async def fetch_status(path: Path) -> ClaudeStatus | None:
    """Ask one executor of the claude role how it is; None when it does not answer in time."""
    answer = await query_status(path)
    return answer if isinstance(answer, ClaudeStatus) else None


class ExecutorCandidates:
    """The executors to try for a job, least loaded first. Mutable: refusal, why none of them has taken it."""

    def __init__(self, executors: ExecutorPool, refusal: Failed) -> None:
        self._executors = executors
        self.refusal = refusal

    def __iter__(self) -> Iterator[tuple[Path, float | None]]:
        """Each one's socket, and how long to wait for its first word.

        Once again, where all that is wrong is that one drains: the next one of its name may listen by now.
        """
        paths = self._executors.list_by_load()
        yield from ((path, FIRST_MESSAGE_TIMEOUT if len(paths) > 1 else None) for path in paths)
        if self.refusal.kind is ErrorKind.DRAINING:
            yield from ((path, None) for path in self._executors.list_by_load())


async def query_status(path: Path) -> ClaudeStatus | ToolsStatus | None:
    """Ask one executor how it is; None when it does not answer in time."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            answer = await wire.fetch_status(path)
    except (OSError, WireError, TimeoutError):
        return None
    return answer if isinstance(answer, ClaudeStatus | ToolsStatus) else None
