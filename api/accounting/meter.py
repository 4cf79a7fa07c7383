"""Admission control and metering: checks a key's limits before a job starts, and records its usage when it ends.

The checks are of permissions, rate limits and budget.

Invariants: an admitted job has one record in the ledger, however it ends, and releases its lease. A request is admitted
or denied as a whole: after its first job is admitted, the others count, but rate limits no longer deny them. The owner's
jobs are never limited.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from msgspec import structs

from api.accounting.calendar import find_reset
from api.accounting.job_usage import CHARACTERS_PER_TOKEN, JobUsage
from api.accounting.ledger import Ledger
from api.accounting.rate_limits import RateLimiter, RateLimitStatus
from api.auth.revocation import AdmissionDenied, GiveUp, Revocation
from api.core.caller import Caller, RequestAdmission
from api.core.keys import Key, Keyring
from api.models.catalogue import Catalogue, is_model_allowed
from shared.errors import ErrorKind
from shared.events import Failed

CONCURRENCY_RETRY_AFTER = 1.0
ANTHROPIC_PATH = "/v1/messages"


class Meter:
    """Mutable: the last counts of each limit, by the key's id and the limit's name."""

    def __init__(self, keyring: Keyring, limiter: RateLimiter, ledger: Ledger, catalogue: Catalogue) -> None:
        self._keyring = keyring
        self._limiter = limiter
        self._ledger = ledger
        self._catalogue = catalogue
        self._last_counts: dict[tuple[str, str], RateLimitStatus] = {}
        self.revocation = Revocation(keyring, lambda key, model: is_model_allowed(key, model, catalogue.list_names))

    @asynccontextmanager
    async def admit_request(self, caller: Caller) -> AsyncGenerator[None]:
        """Admits a request before any work is done for it; its jobs use its lease. Raises AdmissionDenied."""
        key, admission = self.revocation.find_key(caller), caller.admission
        if key:
            self._check_budget(key)
            if (limit := key.allowance.concurrent_jobs) is not None:
                admission.job_lease = await self._acquire_lease(key, limit)
        try:
            if key:
                await self._check_rate_limits(key, caller, 0)
                admission.is_counted = True
            yield
        finally:
            admission.is_finished = True
            await self._release_lease(admission)

    async def check_model(self, caller: Caller, model: str) -> None:
        """Raises AdmissionDenied if the key may not use the model."""
        if key := self.revocation.find_key(caller):
            await self._check_model_allowed(key, model)

    def bind_revocation(
        self, caller: Caller, model: str = ""
    ) -> Callable[[GiveUp], contextlib.AbstractContextManager[None]]:
        """Returns the function that registers a running job, so that it ends when its key is revoked."""
        return lambda give_up: self.revocation.track_job(caller, model, give_up)

    @asynccontextmanager
    async def meter_job(self, caller: Caller, model: str = "", input_characters: int = 0) -> AsyncGenerator[JobUsage]:
        """Admits a job and yields the usage that its messages are recorded in. Raises AdmissionDenied."""
        key = self.revocation.find_key(caller)
        usage = JobUsage(model)
        async with contextlib.AsyncExitStack() as stack:
            if key:
                await self._check_model_allowed(key, model)
                self._check_budget(key)
                if not caller.is_nested:
                    await self._acquire_job_slot(key, caller.admission, stack)
                await self._check_rate_limits(key, caller, input_characters // CHARACTERS_PER_TOKEN)
            started_at = time.monotonic()
            record = self._ledger.begin(caller.key_name, caller.dialect, model)
            try:
                yield usage
            except BaseException as error:
                if isinstance(error, Exception):
                    usage.outcome = ErrorKind.INTERNAL.value
                raise
            finally:
                record = structs.replace(
                    record,
                    model=usage.model,
                    usage=usage.compute_usage(input_characters),
                    cost_usd=usage.cost_usd,
                    seconds=round(time.monotonic() - started_at, 3),
                    outcome=usage.outcome,
                )
                self._ledger.end(record)
                if key:
                    stack.push_async_callback(
                        self._count_tokens, key, record.tokens - input_characters // CHARACTERS_PER_TOKEN
                    )

    def get_tenant(self, caller: Caller) -> str:
        """Returns the name by which executors share their capacity fairly; empty if there are no named keys."""
        return caller.key_name if self._keyring.has_keys else ""

    def get_expiry(self, caller: Caller) -> float | None:
        """Returns when the caller's key expires, in seconds since 1970; None if it does not."""
        key = self._keyring.find_by_id(caller.key_id)
        return key.expires if key else None

    def get_usage(self, key: Key) -> dict[str, float]:
        """Returns a key's usage of today and this month, by the names of its limits."""
        return structs.asdict(self._ledger.get_spending(key.name))

    async def get_remaining(self, key: Key) -> dict[str, RateLimitStatus]:
        """Returns what a key has left of this minute."""
        return {name: await self._count(name, key, limit, 0) for name, limit in _list_limits(key)}

    def build_rate_limit_headers(self, key: Key, path: str) -> Mapping[str, str]:
        """Returns the headers with a key's last counts, in the form that the vendors' SDKs read."""
        headers: dict[str, str] = {}
        for name, left in self._list_last_counts(key):
            values = {"limit": str(left.limit), "remaining": str(left.remaining)}
            if path.startswith(ANTHROPIC_PATH):
                values["reset"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(left.reset))
                headers |= {f"anthropic-ratelimit-{name}-{what}": value for what, value in values.items()}
            else:
                values["reset"] = f"{max(0.0, left.reset - time.time()):.3f}s"
                headers |= {f"x-ratelimit-{what}-{name}": value for what, value in values.items()}
        return headers

    def _list_last_counts(self, key: Key) -> Iterator[tuple[str, RateLimitStatus]]:
        """Yields the last counts of the key's current limits; when their minute has ended, the whole limit remains."""
        for name, limit in _list_limits(key):
            left = self._last_counts.get((key.id, name))
            if left is not None and left.limit == limit:
                yield name, left if left.reset > time.time() else structs.replace(left, remaining=left.limit)

    async def _check_model_allowed(self, key: Key, model: str) -> None:
        if not model or key.models is None:
            return
        # The meaning of a name is known once an executor has reported its models.
        await self._catalogue.fetch_models()
        if is_model_allowed(key, model, self._catalogue.list_names):
            return
        names = ", ".join(key.models)
        raise AdmissionDenied(
            Failed(ErrorKind.MODEL_NOT_FOUND, f"This key may not use `{model}`; it may use: {names}.")
        )

    def _check_budget(self, key: Key) -> None:
        if not key.allowance.has_budget:
            return
        for name, used in self.get_usage(key).items():
            limit: float | None = getattr(key.allowance, name)
            if limit is not None and used >= limit:
                now = time.time()
                wait = find_reset(name, now) - now
                detail = f"`{name}` of this key is {limit:.12g}, and {used:.12g} is used; GET /api/usage/me tells more."
                raise AdmissionDenied(Failed(ErrorKind.KEY_BUDGET, detail, retry_after=wait))

    async def _acquire_job_slot(self, key: Key, admission: RequestAdmission, stack: contextlib.AsyncExitStack) -> None:
        limit = key.allowance.concurrent_jobs
        if limit is None:
            return
        if admission.job_lease and not admission.lease_in_use:
            admission.lease_in_use = True
            stack.push_async_callback(self._release_job_slot, admission)
        else:
            stack.push_async_callback(self._limiter.release_job, await self._acquire_lease(key, limit))

    async def _acquire_lease(self, key: Key, limit: int) -> str:
        """Returns a lease among the key's concurrent jobs. Raises AdmissionDenied."""
        lease = await self._limiter.acquire_job(key.id, limit)
        if lease is None:
            detail = f"`concurrent_jobs` of this key is {limit}, and as many are in progress."
            raise AdmissionDenied(Failed(ErrorKind.KEY_LIMIT, detail, retry_after=CONCURRENCY_RETRY_AFTER))
        return lease

    async def _release_job_slot(self, admission: RequestAdmission) -> None:
        admission.lease_in_use = False
        if admission.is_finished:
            await self._release_lease(admission)

    async def _release_lease(self, admission: RequestAdmission) -> None:
        """Release a request's lease, unless a job that outlives the request still uses it."""
        if admission.job_lease and not admission.lease_in_use:
            lease, admission.job_lease = admission.job_lease, None
            await self._limiter.release_job(lease)

    async def _check_rate_limits(self, key: Key, caller: Caller, tokens: int) -> None:
        allowance, admission = key.allowance, caller.admission
        async with admission.lock:
            admitted, counted = admission.is_admitted, admission.is_counted
            admission.is_counted = False
            if (limit := allowance.tokens_per_minute) is not None and not admitted:
                left = await self._count("tokens", key, limit, 0)
                if not left.remaining:
                    raise AdmissionDenied(_build_limit_failure("tokens_per_minute", left))
            if (limit := allowance.requests_per_minute) is not None:
                left = await self._count("requests", key, limit, 0 if counted else 1)
                if not (left.is_within or admitted):
                    raise AdmissionDenied(_build_limit_failure("requests_per_minute", left))
            admission.is_admitted = True
        await self._count_tokens(key, tokens)

    async def _count_tokens(self, key: Key, tokens: int) -> None:
        limit = key.allowance.tokens_per_minute
        if limit is not None and tokens > 0:
            await self._count("tokens", key, limit, tokens)

    async def _count(self, name: str, key: Key, limit: int, cost: int) -> RateLimitStatus:
        left = self._last_counts[key.id, name] = await self._limiter.count(name, key.id, limit, cost)
        return left


def _list_limits(key: Key) -> list[tuple[str, int]]:
    """Returns the key's limits of a minute, by the names of what they count."""
    limits = {"requests": key.allowance.requests_per_minute, "tokens": key.allowance.tokens_per_minute}
    return [(name, limit) for name, limit in limits.items() if limit is not None]


def _build_limit_failure(name: str, left: RateLimitStatus) -> Failed:
    wait = max(1.0, left.reset - time.time())
    return Failed(ErrorKind.KEY_LIMIT, f"`{name}` of this key is {left.limit}, and they are used.", retry_after=wait)
