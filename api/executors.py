"""The executors known: whatever sockets are in RUN_DIR now.

Law: nothing is remembered of an executor but how many of our jobs it has; one that is gone is skipped, one that is back
is used.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

from shared.errors import ErrorKind
from shared.events import Failed
from shared.jobs import ToolsStatus
from shared.wire import AskStatus, Status, WireError, frame, read_to_api

STATUS_TIMEOUT = 1.0
# Who takes a connection and says nothing (a CLI starts in less) is being restarted, its socket kept by systemd.
FIRST_WORD_TIMEOUT = 15.0


class Executors:
    """Mutable: the jobs each socket has of ours, and whose turn it is among equals."""

    def __init__(self, run_dir: Path, role: str) -> None:
        self._run_dir = run_dir
        self._role = role
        self._jobs: Counter[str] = Counter()
        self._served: Counter[str] = Counter()

    def __repr__(self) -> str:
        loads = ", ".join(f"{path.stem}: {self._jobs[path.stem]}" for path in self.sockets())
        return f"<Executors [{loads or 'none'}]>"

    def sockets(self) -> list[Path]:
        """The sockets there are, in order of their names."""
        try:
            # Asked for every job: globbing takes ten times as long.
            names = os.listdir(self._run_dir)  # noqa: PTH208
        except FileNotFoundError:
            return []
        ours = (name for name in names if name.startswith(f"{self._role}-") and name.endswith(".sock"))
        return [self._run_dir / name for name in sorted(ours)]

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
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(frame(AskStatus()))
                answer = await read_to_api(reader)
            finally:
                writer.close()
    except (OSError, WireError, TimeoutError):
        return None
    return answer if isinstance(answer, Status | ToolsStatus) else None
