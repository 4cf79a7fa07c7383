"""The one place that every job passes, of turns and of tools alike: may this key have it, and what did it use.

Law: a job that is let in has one line in the ledger, however it ends, and gives back what it took. A job of the owner's
is never limited.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager

from msgspec import Struct, structs

from api.asking import Asking
from api.keys import Key, Keyring
from api.ledger import Ledger, days
from api.limits import Counters, Left
from api.line import DAY
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, TextDelta, ThinkingDelta, ToolArguments, Usage

# What a token is, roughly, where the service did not count.
CHARACTERS = 4
BUSY_RETRY = 1.0
ANTHROPIC = "/v1/messages"

type Meanings = Callable[[str], Collection[str]]


class Denied(Exception):
    """The key may not have this job now. failed: how the job ends."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.kind)
        self.failed = failed


class Account:
    """What one job uses. Mutable: what was seen of it so far; whoever does the job tells it."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.outcome = "hung_up"
        self.written = 0

    def saw(self, event: Event) -> None:
        """Note an event of the job."""
        match event:
            case Started(model):
                self.model = model or self.model
            case TextDelta(text) | ThinkingDelta(text) | ToolArguments(text):
                self.written += len(text)
            case Done(_, usage, cost):
                self.usage, self.cost_usd, self.outcome = usage, cost, "ok"
            case Failed(kind):
                self.outcome = kind.value
            case _:
                pass

    def ended(self, outcome: str = "ok") -> None:
        """It ended so: for jobs that have no events."""
        self.outcome = outcome

    def counted(self, heard: int) -> Usage:
        """What the service counted; roughly, by their length, what a client that hung up was sent."""
        if self.usage is None and self.outcome == "hung_up" and self.written:
            return Usage(heard // CHARACTERS, -(-self.written // CHARACTERS))
        return self.usage or Usage()


class _Seen(Struct):
    """What a key was last told. Mutable."""

    requests: Left | None = None
    tokens: Left | None = None


class Books:
    """Limits and ledger together. Mutable: what each key has left, as last counted."""

    def __init__(self, keyring: Keyring, counters: Counters, ledger: Ledger, meanings: Meanings) -> None:
        self._keyring = keyring
        self._counters = counters
        self._ledger = ledger
        self._meanings = meanings
        self._seen: dict[str, _Seen] = {}

    async def metered(
        self, events: AsyncGenerator[Event], asking: Asking, model: str, heard: int
    ) -> AsyncGenerator[Event]:
        """The events of a job, let in and written down; a Failed alone if it is not let in. heard: its characters."""
        async with aclosing(events):
            try:
                async with self.job(asking, model, heard) as account:
                    async for event in events:
                        account.saw(event)
                        yield event
            except Denied as denied:
                yield denied.failed

    @asynccontextmanager
    async def job(self, asking: Asking, model: str = "", heard: int = 0) -> AsyncGenerator[Account]:
        """A job; tell its account what happens. Raises Denied."""
        key = self._keyring.named(asking.key)
        account = Account(model)
        async with contextlib.AsyncExitStack() as stack:
            if key:
                self._may_name(key, model)
                self._within_budget(key)
                await self._take_place(key, stack)
                await self._within_minute(key, heard // CHARACTERS)
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

    def used(self, key: Key) -> dict[str, float]:
        """What a key used today and this month, by the names of its limits."""
        spent = self._ledger.used(key.name)
        return {
            "usd_per_day": spent.usd_day,
            "usd_per_month": spent.usd_month,
            "tokens_per_day": spent.tokens_day,
            "tokens_per_month": spent.tokens_month,
        }

    async def left(self, key: Key) -> dict[str, Left]:
        """What a key has left of this minute, counted now."""
        allowance = key.allowance
        found: dict[str, Left] = {}
        for name, limit in (("requests", allowance.requests_per_minute), ("tokens", allowance.tokens_per_minute)):
            if limit is not None:
                found[name] = await self._counters.count(name, key.name, limit, 0)
        return found

    def headers(self, key: Key, path: str) -> Mapping[str, str]:
        """What a key has left, as the official SDKs read it, by what was counted last."""
        seen, headers = self._seen.get(key.name), dict[str, str]()
        for name, left in (("requests", seen.requests), ("tokens", seen.tokens)) if seen else ():
            if left is None:
                continue
            reset = max(0.0, left.reset - time.time())
            if path.startswith(ANTHROPIC):
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(left.reset))
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": at}
                headers |= {f"anthropic-ratelimit-{name}-{what}": value for what, value in told.items()}
            else:
                told = {"limit": str(left.limit), "remaining": str(left.remaining), "reset": f"{reset:.3f}s"}
                headers |= {f"x-ratelimit-{what}-{name}": value for what, value in told.items()}
        return headers

    def _may_name(self, key: Key, model: str) -> None:
        if not model or allows(key, model, self._meanings):
            return
        names = ", ".join(key.models or ()) or "none"
        raise Denied(Failed(ErrorKind.MODEL_NOT_FOUND, f"This key may not use `{model}`; it may use: {names}."))

    def _within_budget(self, key: Key) -> None:
        if not key.allowance.budgeted:
            return
        now = time.time()
        used = self.used(key)
        for name in used:
            limit: float | None = getattr(key.allowance, name)
            if limit is not None and used[name] >= limit:
                wait = (int(now // DAY) + 1) * DAY - now if name.endswith("day") else next_month(now) - now
                detail = f"`{name}` of this key is {limit:g}, and {used[name]:g} is used; GET /api/usage/me tells more."
                raise Denied(Failed(ErrorKind.KEY_BUDGET, detail, retry_after=wait))

    async def _take_place(self, key: Key, stack: contextlib.AsyncExitStack) -> None:
        limit = key.allowance.concurrent_jobs
        if limit is None:
            return
        lease = await self._counters.take(key.name, limit)
        if lease is None:
            detail = f"`concurrent_jobs` of this key is {limit}, and as many are under way."
            raise Denied(Failed(ErrorKind.KEY_LIMIT, detail, retry_after=BUSY_RETRY))
        stack.push_async_callback(self._counters.give_back, lease)

    async def _within_minute(self, key: Key, tokens: int) -> None:
        allowance = key.allowance
        seen = self._seen.setdefault(key.name, _Seen())
        if (limit := allowance.tokens_per_minute) is not None:
            seen.tokens = await self._counters.count("tokens", key.name, limit, 0)
            if not seen.tokens.remaining:
                raise Denied(_over("tokens_per_minute", seen.tokens))
        if (limit := allowance.requests_per_minute) is not None:
            seen.requests = await self._counters.count("requests", key.name, limit, 1)
            if not seen.requests.within:
                raise Denied(_over("requests_per_minute", seen.requests))
        if (limit := allowance.tokens_per_minute) is not None and tokens:
            seen.tokens = await self._counters.count("tokens", key.name, limit, tokens)

    async def _charge(self, key: Key, tokens: int) -> None:
        """Count what a job used beyond what was counted when it came."""
        limit = key.allowance.tokens_per_minute
        if limit is not None and tokens > 0:
            seen = self._seen.setdefault(key.name, _Seen())
            seen.tokens = await self._counters.count("tokens", key.name, limit, tokens)


def allows(key: Key, model: str, meanings: Meanings) -> bool:
    """Whether a key may use a model, by any of its names."""
    if key.models is None:
        return True
    wanted = set(meanings(model))
    return any(not wanted.isdisjoint(meanings(name)) for name in key.models)


def next_month(now: float) -> float:
    """When the next month begins, in UTC."""
    _, first = days(now)
    _, following = days((first + 31) * DAY)
    return following * DAY


def _over(name: str, left: Left) -> Failed:
    wait = max(1.0, left.reset - time.time())
    return Failed(ErrorKind.KEY_LIMIT, f"`{name}` of this key is {left.limit}, and they are used.", retry_after=wait)
