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

from shared.errors import ErrorKind
from shared.events import Failed
from shared.process import peers
from shared.tool_jobs import ToolsStatus
from shared.wire import AskStatus, Status, WireError, frame, read_to_api

STATUS_TIMEOUT = 1.0
# Who takes a connection and says nothing (a CLI starts in less) is being restarted, its socket kept by systemd.
FIRST_WORD_TIMEOUT = 15.0

log = structlog.get_logger()


class Executors:
    """Mutable: the jobs each socket has of ours, whose turn it is among equals, and the problem that the log has."""

    def __init__(self, run_dir: Path, role: str) -> None:
        self._run_dir = run_dir
        self._role = role
        self._jobs: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        self._told = ""

    def __repr__(self) -> str:
        loads = ", ".join(f"{path.stem}: {self._jobs[path.stem]}" for path in self.sockets())
        return f"<Executors [{loads or 'none'}]>"

    def sockets(self) -> list[Path]:
        """The sockets there are, in order of their names. Of a folder that can't be trusted there are none."""
        found: dict[str, Path] = {}
        for folder in self._trusted():
            try:
                # Asked for every job: globbing takes ten times as long.
                names = os.listdir(folder)  # noqa: PTH208
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            ours = (name for name in names if name.startswith(f"{self._role}-") and name.endswith(".sock"))
            found |= {name: folder / name for name in ours}
        return [found[name] for name in sorted(found)]

    def problems(self) -> list[str]:
        """Returns why sockets are not used, and the fix."""
        problems = [problem for _, problem in self._folders() if problem]
        for path in self.sockets():
            with contextlib.suppress(OSError):
                problems.append(peers.socket_problem(path))
        return [problem for problem in problems if problem]

    def _trusted(self) -> Iterator[Path]:
        for folder, problem in self._folders():
            if not problem:
                yield folder
            elif problem != self._told:
                self._told = problem
                log.error("a folder of sockets is not used", reason=problem)

    def _folders(self) -> Iterator[tuple[Path, str]]:
        """Yields each folder, and why it can't be trusted: what lies in one that can't be is not looked at."""
        problem = peers.folder_problem(self._run_dir)
        yield self._run_dir, problem
        own = self._run_dir / self._role
        # Whoever made it could have written in RUN_DIR, so its owner is who should be.
        if not problem and own.is_dir():
            yield own, peers.folder_problem(own, any_owner=True)

    def by_load(self) -> list[Path]:
        """The sockets, least loaded first."""
        return sorted(self.sockets(), key=lambda path: (self._jobs[path.stem], self._served[path.stem]))

    def trying(self, refusal: Failed) -> "Trying":
        """Where a job may be handed over. refusal: what it gets if there is no executor at all."""
        return Trying(self, refusal)

    @contextlib.contextmanager
    def job(self, path: Path) -> Generator[None]:
        """Count a job against an executor."""
        self._jobs[path.stem] += 1
        self._served[path.stem] += 1
        try:
            yield
        finally:
            self._jobs[path.stem] -= 1

    async def statuses(self) -> dict[str, Status | None]:
        """Every executor's state by name; None for one that does not answer."""
        answers = await self.answers()
        return {name: answer if isinstance(answer, Status) else None for name, answer in answers.items()}

    async def answers(self) -> dict[str, Status | ToolsStatus | None]:
        """As `statuses`, of whichever role."""
        paths = self.sockets()
        answers = await asyncio.gather(*(ask(path) for path in paths))
        return {path.stem: answer for path, answer in zip(paths, answers, strict=True)}

    async def tools_statuses(self) -> dict[str, ToolsStatus | None]:
        """The same of executors of the tools role."""
        paths = self.sockets()
        answers = await asyncio.gather(*(ask(path) for path in paths))
        told = [answer if isinstance(answer, ToolsStatus) else None for answer in answers]
        return {path.stem: answer for path, answer in zip(paths, told, strict=True)}


async def status(path: Path) -> Status | None:
    """Ask one executor of the claude role how it is; None when it does not answer in time."""
    answer = await ask(path)
    return answer if isinstance(answer, Status) else None


class Trying:
    """The executors to try for a job, least loaded first. Mutable: refusal, why none of them has taken it."""

    def __init__(self, executors: Executors, refusal: Failed) -> None:
        self._executors = executors
        self.refusal = refusal

    def __iter__(self) -> Iterator[tuple[Path, float | None]]:
        """Each one's socket, and how long to wait for its first word.

        Once again, where all that is wrong is that one drains: the next one of its name may listen by now.
        """
        paths = self._executors.by_load()
        yield from ((path, FIRST_WORD_TIMEOUT if len(paths) > 1 else None) for path in paths)
        if self.refusal.kind is ErrorKind.DRAINING:
            yield from ((path, None) for path in self._executors.by_load())


async def ask(path: Path) -> Status | ToolsStatus | None:
    """Ask one executor how it is; None when it does not answer in time."""
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            reader, writer = await peers.connect(path)
            try:
                writer.write(frame(AskStatus()))
                answer = await read_to_api(reader)
            finally:
                writer.close()
    except (OSError, WireError, TimeoutError):
        return None
    return answer if isinstance(answer, Status | ToolsStatus) else None
