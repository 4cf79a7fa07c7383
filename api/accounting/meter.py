"""The one place that every job passes, of turns and of tools alike: may this key have it, and what did it use.

Law: a job that is let in has one line in the ledger, however it ends, and gives back what it took. A request is let in
or refused as a whole: once one of its jobs is, the others count, but a minute's limit no longer stops them. A job of the
owner's is never limited.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct, structs

from api.accounting.calendar import next_day, next_month
from api.accounting.job_usage import CHARACTERS_PER_TOKEN, JobUsage
from api.accounting.ledger import Ledger
from api.accounting.rate_limits import RateLimiter, RateLimitStatus
from api.auth.revocation import GiveUp, KeyRevoked, Revocation
from api.core.caller import Caller, RequestAdmission
from api.core.keys import Key, Keyring
from api.models.access import is_model_allowed
from api.models.catalogue import Catalogue
from shared.errors import ErrorKind
from shared.events import Failed

CONCURRENCY_RETRY_AFTER = 1.0
ANTHROPIC_PATH = "/v1/messages"


class AdmissionDenied(KeyRevoked):
    """The key may not have this job now."""


class _LastCounts(Struct):
    """What a key was last told. Mutable."""

    requests: RateLimitStatus | None = None
    tokens: RateLimitStatus | None = None


class Meter:
    """Limits and ledger together. Mutable: what each key has left, as last counted, by the key's id."""

    def __init__(self, keyring: Keyring, counters: RateLimiter, ledger: Ledger, catalogue: Catalogue) -> None:
        self._keyring = keyring
        self._counters = counters
        self._ledger = ledger
        self._catalogue = catalogue
        self._last_counts: dict[str, _LastCounts] = {}
        self.revocation = Revocation(keyring, lambda key, model: is_model_allowed(key, model, catalogue.list_names))

    @asynccontextmanager
    async def admit_request(self, caller: Caller) -> AsyncGenerator[None]:
        """A request, before any work is done for it; its jobs use the place that it takes. Raises Denied."""
        key, visit = self._find_key(caller), caller.admission
        if key:
            self._check_budget(key)
            if (limit := key.allowance.concurrent_jobs) is not None:
                visit.job_lease = await self._acquire_lease(key, limit)
        try:
            if key:
                await self._check_rate_limits(key, caller, 0)
                visit.is_counted = True
            yield
        finally:
            visit.is_finished = True
            await self._release_lease(visit)

    async def check_model(self, caller: Caller, model: str) -> None:
        """Whether the key may use a model, before work is done for its request. Raises Denied."""
        if key := self._find_key(caller):
            await self._check_model_allowed(key, model)

    def bind_revocation(
        self, caller: Caller, model: str = ""
    ) -> Callable[[GiveUp], contextlib.AbstractContextManager[None]]:
        """What a running job is registered with, so that it ends when its key may no longer have it."""
        return lambda give_up: self.revocation.track_job(caller, model, give_up)

    @asynccontextmanager
    async def meter_job(self, caller: Caller, model: str = "", input_characters: int = 0) -> AsyncGenerator[JobUsage]:
        """A job; tell its account what happens. Raises Denied."""
        key = self._find_key(caller)
        account = JobUsage(model)
        async with contextlib.AsyncExitStack() as stack:
            if key:
                await self._check_model_allowed(key, model)
                self._check_budget(key)
                if not caller.is_nested:
                    await self._acquire_job_slot(key, caller.admission, stack)
                await self._check_rate_limits(key, caller, input_characters // CHARACTERS_PER_TOKEN)
            began = time.monotonic()
            line = self._ledger.begin(caller.key_name, caller.dialect, model)
            try:
                yield account
            except BaseException as error:
                if isinstance(error, Exception):
                    account.outcome = ErrorKind.INTERNAL.value
                raise
            finally:
                line = structs.replace(
                    line,
                    model=account.model,
                    usage=account.compute_usage(input_characters),
                    cost_usd=account.cost_usd,
                    seconds=round(time.monotonic() - began, 3),
                    outcome=account.outcome,
                )
                self._ledger.end(line)
                if key:
                    stack.push_async_callback(
                        self._count_tokens, key, line.tokens - input_characters // CHARACTERS_PER_TOKEN
                    )

    def get_tenant(self, caller: Caller) -> str:
        """Who asks, to those who share places out; empty where nobody else has a key."""
        return caller.key_name if self._keyring.has_keys else ""

    def get_usage(self, key: Key) -> dict[str, float]:
        """What a key used today and this month, by the names of its limits."""
        return structs.asdict(self._ledger.get_spending(key.name))

    async def get_remaining(self, key: Key) -> dict[str, RateLimitStatus]:
        """What a key has left of this minute, counted now."""
        allowance = key.allowance
        found: dict[str, RateLimitStatus] = {}
        for name, limit in (("requests", allowance.requests_per_minute), ("tokens", allowance.tokens_per_minute)):
            if limit is not None:
                found[name] = await self._counters.count(name, key.id, limit, 0)
        return found

    def build_rate_limit_headers(self, key: Key, path: str) -> Mapping[str, str]:
        """What a key has left, as the official SDKs read it, by what was counted last."""
        headers: dict[str, str] = {}
        for name, left in self._list_last_counts(key):
            if path.startswith(ANTHROPIC_PATH):
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(left.reset))
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": at}
                headers |= {f"anthropic-ratelimit-{name}-{what}": value for what, value in told.items()}
            else:
                reset = max(0.0, left.reset - time.time())
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": f"{reset:.3f}s"}
                headers |= {f"x-ratelimit-{what}-{name}": value for what, value in told.items()}
        return headers

    def _list_last_counts(self, key: Key) -> Iterator[tuple[str, RateLimitStatus]]:
        """What was counted last of the limits that the key has now; a minute that has ended since leaves all of them."""
        seen, allowance = self._last_counts.get(key.id, _LastCounts()), key.allowance
        for name, left, limit in (
            ("requests", seen.requests, allowance.requests_per_minute),
            ("tokens", seen.tokens, allowance.tokens_per_minute),
        ):
            if left is not None and left.limit == limit:
                yield name, left if left.reset > time.time() else structs.replace(left, remaining=left.limit)

    def _find_key(self, caller: Caller) -> Key | None:
        """The key that asks, as it is now; None for the owner."""
        try:
            return self.revocation.find_key(caller)
        except KeyRevoked as revoked:
            raise AdmissionDenied(revoked.failed) from None

    async def _check_model_allowed(self, key: Key, model: str) -> None:
        if not model or key.models is None:
            return
        # What a name means is known once an executor has told of its models.
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
                wait = (next_day(now) if name.endswith("day") else next_month(now)) - now
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
            stack.push_async_callback(self._counters.release_job, await self._acquire_lease(key, limit))

    async def _acquire_lease(self, key: Key, limit: int) -> str:
        """A place among the key's jobs. Raises Denied."""
        lease = await self._counters.acquire_job(key.id, limit)
        if lease is None:
            detail = f"`concurrent_jobs` of this key is {limit}, and as many are under way."
            raise AdmissionDenied(Failed(ErrorKind.KEY_LIMIT, detail, retry_after=CONCURRENCY_RETRY_AFTER))
        return lease

    async def _release_job_slot(self, admission: RequestAdmission) -> None:
        admission.lease_in_use = False
        if admission.is_finished:
            await self._release_lease(admission)

    async def _release_lease(self, admission: RequestAdmission) -> None:
        """Give back a request's place, unless a job that outlives the request still uses it."""
        if admission.job_lease and not admission.lease_in_use:
            lease, admission.job_lease = admission.job_lease, None
            await self._counters.release_job(lease)

    async def _check_rate_limits(self, key: Key, caller: Caller, tokens: int) -> None:
        allowance = key.allowance
        seen = self._last_counts.setdefault(key.id, _LastCounts())
        async with caller.admission.lock:
            free, counted = caller.admission.is_admitted, caller.admission.is_counted
            caller.admission.is_counted = False
            if (limit := allowance.tokens_per_minute) is not None and not free:
                seen.tokens = await self._counters.count("tokens", key.id, limit, 0)
                if not seen.tokens.remaining:
                    raise AdmissionDenied(_build_limit_failure("tokens_per_minute", seen.tokens))
            if (limit := allowance.requests_per_minute) is not None:
                seen.requests = await self._counters.count("requests", key.id, limit, 0 if counted else 1)
                if not (seen.requests.is_within or free):
                    raise AdmissionDenied(_build_limit_failure("requests_per_minute", seen.requests))
            caller.admission.is_admitted = True
        if (limit := allowance.tokens_per_minute) is not None and tokens:
            seen.tokens = await self._counters.count("tokens", key.id, limit, tokens)

    async def _count_tokens(self, key: Key, tokens: int) -> None:
        """Count what a job used beyond what was counted when it came."""
        limit = key.allowance.tokens_per_minute
        if limit is not None and tokens > 0:
            seen = self._last_counts.setdefault(key.id, _LastCounts())
            seen.tokens = await self._counters.count("tokens", key.id, limit, tokens)


def _build_limit_failure(name: str, left: RateLimitStatus) -> Failed:
    wait = max(1.0, left.reset - time.time())
    return Failed(ErrorKind.KEY_LIMIT, f"`{name}` of this key is {left.limit}, and they are used.", retry_after=wait)
