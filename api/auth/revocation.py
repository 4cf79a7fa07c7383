"""Ends the jobs of a key that may no longer have them: disabled, expired, removed, rotated, or narrowed meanwhile.

Law: each time the keys are read, all running jobs are checked; a job that is ended says so as a failed job does.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from msgspec import Struct

from api.auth.middleware import ended
from api.core.caller import Asking
from api.core.keys import OWNER, Key, Keyring
from shared.errors import ErrorKind
from shared.events import Failed

type GiveUp = Callable[[Failed], None]
type Allows = Callable[[Key, str], bool]


class _Job(Struct, frozen=True):
    """models: what its key might use when it began."""

    asking: Asking
    model: str
    models: tuple[str, ...] | None
    give_up: GiveUp


class Revocation:
    """Mutable: the running jobs, and the sessions of each key. allows: whether a key may use a model."""

    def __init__(self, keyring: Keyring, allows: Allows) -> None:
        self._keyring = keyring
        self._allows = allows
        self._jobs: dict[int, _Job] = {}
        self._sessions: dict[str, tuple[Asking, Callable[[], None]]] = {}

    def holder(self, asking: Asking) -> Key | None:
        """The key that asks, as it is now; None for the owner. Raises Revoked."""
        if asking.holder == OWNER:
            return None
        key = self._keyring.of(asking.holder)
        if key is None or ended(key):
            raise Revoked(Failed(ErrorKind.KEY_REVOKED))
        if asking.digest not in {None, key.digest}:
            raise Revoked(Failed(ErrorKind.KEY_REVOKED, "Another key was put in its place."))
        if missing := [scope for scope in asking.scopes if scope not in key.scopes]:
            raise Revoked(Failed(ErrorKind.KEY_REVOKED, f"It no longer has the scope `{missing[0]}`."))
        return key

    @contextmanager
    def job(self, asking: Asking, model: str, give_up: GiveUp) -> Generator[None]:
        """A running job; `give_up` ends it. model: empty for a job without one."""
        if asking.holder == OWNER:
            yield
            return
        key = self._keyring.of(asking.holder)
        job = _Job(asking, model, key.models if key else None, give_up)
        self._jobs[id(job)] = job
        try:
            yield
        finally:
            del self._jobs[id(job)]

    def watch(self, asking: Asking, end: Callable[[], None]) -> None:
        """A key has sessions; `end` ends all of them. Once for each key."""
        if asking.holder != OWNER:
            self._sessions[asking.holder] = asking, end

    def check(self) -> None:
        """End what is no longer allowed."""
        for asking, end in tuple(self._sessions.values()):
            try:
                self.holder(asking)
            except Revoked:
                del self._sessions[asking.holder]
                end()
        for job in tuple(self._jobs.values()):
            try:
                key = self.holder(job.asking)
            except Revoked as revoked:
                job.give_up(revoked.failed)
                continue
            # What a name means changes with the executors; only a changed key ends a job.
            if key and job.model and key.models != job.models and not self._allows(key, job.model):
                job.give_up(Failed(ErrorKind.KEY_REVOKED, f"It may no longer use `{job.model}`."))


class Revoked(Exception):
    """The key may not have this job. failed: how the job ends."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.kind)
        self.failed = failed
