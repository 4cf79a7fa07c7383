"""Ends the running jobs of a key that was disabled, expired, removed, rotated or restricted.

Invariants: each time the keys are read, all running jobs are checked; a job that is ended fails like any failed job.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from msgspec import Struct

from api.auth.middleware import find_key_problem
from api.core.caller import Caller
from api.core.keys import OWNER, Key, Keyring
from shared.errors import ErrorKind
from shared.events import Failed

type GiveUp = Callable[[Failed], None]
type Allows = Callable[[Key, str], bool]


class AdmissionDenied(Exception):
    """The key may not run this job now. failed: how the job ends."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.kind)
        self.failed = failed


class _RunningJob(Struct, frozen=True):
    """models: the models that the key allowed at the start."""

    caller: Caller
    model: str
    models: tuple[str, ...] | None
    give_up: GiveUp


class Revocation:
    """Mutable: the running jobs, and the resources of each key. allows: whether a key may use a model."""

    def __init__(self, keyring: Keyring, allows: Allows) -> None:
        self._keyring = keyring
        self._allows = allows
        self._jobs: dict[int, _RunningJob] = {}
        self._resources: dict[tuple[str, str | None, str], tuple[Caller, Callable[[], None]]] = {}

    def find_key(self, caller: Caller) -> Key | None:
        """Returns the caller's key as it is now; None for the owner. Raises AdmissionDenied."""
        if caller.key_id == OWNER:
            return None
        key = self._keyring.find_by_id(caller.key_id)
        if key is None or find_key_problem(key):
            raise AdmissionDenied(Failed(ErrorKind.KEY_REVOKED))
        if caller.key_digest not in {None, key.digest}:
            raise AdmissionDenied(Failed(ErrorKind.KEY_REVOKED, "Another key was put in its place."))
        if missing := [scope for scope in caller.required_scopes if scope not in key.scopes]:
            raise AdmissionDenied(Failed(ErrorKind.KEY_REVOKED, f"It no longer has the scope `{missing[0]}`."))
        return key

    @contextmanager
    def track_job(self, caller: Caller, model: str, give_up: GiveUp) -> Generator[None]:
        """Tracks a running job; `give_up` ends it. model: empty for a job without one."""
        if caller.key_id == OWNER:
            yield
            return
        key = self._keyring.find_by_id(caller.key_id)
        job = _RunningJob(caller, model, key.models if key else None, give_up)
        self._jobs[id(job)] = job
        try:
            yield
        finally:
            del self._jobs[id(job)]

    def track_resource(self, caller: Caller, name: str, end: Callable[[], None]) -> None:
        """Tracks what a key has between its jobs, such as sessions. name: what it is; `end` ends all of it."""
        if caller.key_id != OWNER:
            self._resources[caller.key_id, caller.key_digest, name] = caller, end

    def check(self) -> None:
        """Ends the jobs and resources that are no longer allowed."""
        for resource, (caller, end) in tuple(self._resources.items()):
            try:
                self.find_key(caller)
            except AdmissionDenied:
                del self._resources[resource]
                end()
        for job in tuple(self._jobs.values()):
            try:
                key = self.find_key(job.caller)
            except AdmissionDenied as denied:
                job.give_up(denied.failed)
                continue
            # The meaning of a model name changes with the executors; only a changed key ends a job.
            if key and job.model and key.models != job.models and not self._allows(key, job.model):
                job.give_up(Failed(ErrorKind.KEY_REVOKED, f"It may no longer use `{job.model}`."))
