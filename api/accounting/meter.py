"""The one place that every job passes, of turns and of tools alike: may this key have it, and what did it use.

Law: a job that is let in has one line in the ledger, however it ends, and gives back what it took. A request is let in
or refused as a whole: once one of its jobs is, the others count, but a minute's limit no longer stops them. A job of the
owner's is never limited.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager

from msgspec import Struct, structs

from api.accounting.job_usage import CHARACTERS, Account
from api.accounting.ledger import Ledger
from api.accounting.rate_limits import Counters, Left
from api.auth.revocation import GiveUp, Revocation, Revoked
from api.core.caller import Asking, Visit
from api.core.keys import Key, Keyring
from api.models.access import allows, next_day, next_month
from api.models.catalogue import Catalogue
from shared.errors import ErrorKind
from shared.events import Failed

BUSY_RETRY = 1.0
ANTHROPIC = "/v1/messages"


class Denied(Revoked):
    """The key may not have this job now."""


class _Seen(Struct):
    """What a key was last told. Mutable."""

    requests: Left | None = None
    tokens: Left | None = None


class Books:
    """Limits and ledger together. Mutable: what each key has left, as last counted, by the key's id."""

    def __init__(self, keyring: Keyring, counters: Counters, ledger: Ledger, catalogue: Catalogue) -> None:
        self._keyring = keyring
        self._counters = counters
        self._ledger = ledger
        self._catalogue = catalogue
        self._seen: dict[str, _Seen] = {}
        self.revocation = Revocation(keyring, lambda key, model: allows(key, model, catalogue.meanings))

    async def metered[M](
        self, messages: AsyncGenerator[M], asking: Asking, model: str = "", heard: int = 0
    ) -> AsyncGenerator[M | Failed]:
        """What a job says, let in and written down; a Failed alone if it is not let in. heard: its characters."""
        async with aclosing(messages):
            try:
                async with self.job(asking, model, heard) as account:
                    async for message in messages:
                        account.saw(message)
                        yield message
            except Denied as denied:
                yield denied.failed

    @asynccontextmanager
    async def request(self, asking: Asking) -> AsyncGenerator[None]:
        """A request, before any work is done for it; its jobs use the place that it takes. Raises Denied."""
        key, visit = self._holder(asking), asking.visit
        if key:
            self._within_budget(key)
            if (limit := key.allowance.concurrent_jobs) is not None:
                visit.place = await self._lease(key, limit)
        try:
            if key:
                await self._within_minute(key, asking, 0)
                visit.counted = True
            yield
        finally:
            visit.over = True
            await self._end_place(visit)

    async def check_model(self, asking: Asking, model: str) -> None:
        """Whether the key may use a model, before work is done for its request. Raises Denied."""
        if key := self._holder(asking):
            await self._may_name(key, model)

    def revocable(self, asking: Asking, model: str = "") -> Callable[[GiveUp], contextlib.AbstractContextManager[None]]:
        """What a running job is registered with, so that it ends when its key may no longer have it."""
        return lambda give_up: self.revocation.job(asking, model, give_up)

    @asynccontextmanager
    async def job(self, asking: Asking, model: str = "", heard: int = 0) -> AsyncGenerator[Account]:
        """A job; tell its account what happens. Raises Denied."""
        key = self._holder(asking)
        account = Account(model)
        async with contextlib.AsyncExitStack() as stack:
            if key:
                await self._may_name(key, model)
                self._within_budget(key)
                if not asking.within:
                    await self._take_place(key, asking.visit, stack)
                await self._within_minute(key, asking, heard // CHARACTERS)
            began = time.monotonic()
            line = self._ledger.begin(asking.key, asking.dialect, model)
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
                    usage=account.counted(heard),
                    cost_usd=account.cost_usd,
                    seconds=round(time.monotonic() - began, 3),
                    outcome=account.outcome,
                )
                self._ledger.end(line)
                if key:
                    stack.push_async_callback(self._charge, key, line.tokens - heard // CHARACTERS)

    def tenant(self, asking: Asking) -> str:
        """Who asks, to those who share places out; empty where nobody else has a key."""
        return asking.key if self._keyring.any else ""

    def used(self, key: Key) -> dict[str, float]:
        """What a key used today and this month, by the names of its limits."""
        return structs.asdict(self._ledger.used(key.name))

    async def left(self, key: Key) -> dict[str, Left]:
        """What a key has left of this minute, counted now."""
        allowance = key.allowance
        found: dict[str, Left] = {}
        for name, limit in (("requests", allowance.requests_per_minute), ("tokens", allowance.tokens_per_minute)):
            if limit is not None:
                found[name] = await self._counters.count(name, key.id, limit, 0)
        return found

    def headers(self, key: Key, path: str) -> Mapping[str, str]:
        """What a key has left, as the official SDKs read it, by what was counted last."""
        headers: dict[str, str] = {}
        for name, left in self._counted(key):
            if path.startswith(ANTHROPIC):
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(left.reset))
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": at}
                headers |= {f"anthropic-ratelimit-{name}-{what}": value for what, value in told.items()}
            else:
                reset = max(0.0, left.reset - time.time())
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": f"{reset:.3f}s"}
                headers |= {f"x-ratelimit-{what}-{name}": value for what, value in told.items()}
        return headers

    def _counted(self, key: Key) -> Iterator[tuple[str, Left]]:
        """What was counted last of the limits that the key has now; a minute that has ended since leaves all of them."""
        seen, allowance = self._seen.get(key.id, _Seen()), key.allowance
        for name, left, limit in (
            ("requests", seen.requests, allowance.requests_per_minute),
            ("tokens", seen.tokens, allowance.tokens_per_minute),
        ):
            if left is not None and left.limit == limit:
                yield name, left if left.reset > time.time() else structs.replace(left, remaining=left.limit)

    def _holder(self, asking: Asking) -> Key | None:
        """The key that asks, as it is now; None for the owner."""
        try:
            return self.revocation.holder(asking)
        except Revoked as revoked:
            raise Denied(revoked.failed) from None

    async def _may_name(self, key: Key, model: str) -> None:
        if not model or key.models is None:
            return
        # What a name means is known once an executor has told of its models.
        await self._catalogue.models()
        if allows(key, model, self._catalogue.meanings):
            return
        names = ", ".join(key.models)
        raise Denied(Failed(ErrorKind.MODEL_NOT_FOUND, f"This key may not use `{model}`; it may use: {names}."))

    def _within_budget(self, key: Key) -> None:
        if not key.allowance.budgeted:
            return
        for name, used in self.used(key).items():
            limit: float | None = getattr(key.allowance, name)
            if limit is not None and used >= limit:
                now = time.time()
                wait = (next_day(now) if name.endswith("day") else next_month(now)) - now
                detail = f"`{name}` of this key is {limit:.12g}, and {used:.12g} is used; GET /api/usage/me tells more."
                raise Denied(Failed(ErrorKind.KEY_BUDGET, detail, retry_after=wait))

    async def _take_place(self, key: Key, visit: Visit, stack: contextlib.AsyncExitStack) -> None:
        limit = key.allowance.concurrent_jobs
        if limit is None:
            return
        if visit.place and not visit.in_use:
            visit.in_use = True
            stack.push_async_callback(self._leave_place, visit)
        else:
            stack.push_async_callback(self._counters.give_back, await self._lease(key, limit))

    async def _lease(self, key: Key, limit: int) -> str:
        """A place among the key's jobs. Raises Denied."""
        lease = await self._counters.take(key.id, limit)
        if lease is None:
            detail = f"`concurrent_jobs` of this key is {limit}, and as many are under way."
            raise Denied(Failed(ErrorKind.KEY_LIMIT, detail, retry_after=BUSY_RETRY))
        return lease

    async def _leave_place(self, visit: Visit) -> None:
        visit.in_use = False
        if visit.over:
            await self._end_place(visit)

    async def _end_place(self, visit: Visit) -> None:
        """Give back a request's place, unless a job that outlives the request still uses it."""
        if visit.place and not visit.in_use:
            lease, visit.place = visit.place, None
            await self._counters.give_back(lease)

    async def _within_minute(self, key: Key, asking: Asking, tokens: int) -> None:
        allowance = key.allowance
        seen = self._seen.setdefault(key.id, _Seen())
        async with asking.visit.admission:
            free, counted = asking.visit.let_in, asking.visit.counted
            asking.visit.counted = False
            if (limit := allowance.tokens_per_minute) is not None and not free:
                seen.tokens = await self._counters.count("tokens", key.id, limit, 0)
                if not seen.tokens.remaining:
                    raise Denied(_over("tokens_per_minute", seen.tokens))
            if (limit := allowance.requests_per_minute) is not None:
                seen.requests = await self._counters.count("requests", key.id, limit, 0 if counted else 1)
                if not (seen.requests.within or free):
                    raise Denied(_over("requests_per_minute", seen.requests))
            asking.visit.let_in = True
        if (limit := allowance.tokens_per_minute) is not None and tokens:
            seen.tokens = await self._counters.count("tokens", key.id, limit, tokens)

    async def _charge(self, key: Key, tokens: int) -> None:
        """Count what a job used beyond what was counted when it came."""
        limit = key.allowance.tokens_per_minute
        if limit is not None and tokens > 0:
            seen = self._seen.setdefault(key.id, _Seen())
            seen.tokens = await self._counters.count("tokens", key.id, limit, tokens)


def _over(name: str, left: Left) -> Failed:
    wait = max(1.0, left.reset - time.time())
    return Failed(ErrorKind.KEY_LIMIT, f"`{name}` of this key is {left.limit}, and they are used.", retry_after=wait)
