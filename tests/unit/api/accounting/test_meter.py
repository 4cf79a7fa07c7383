"""What a key may have: limits, budgets, models, and what is left, as each vendor's clients read it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.auth.revocation import AdmissionDenied
from api.core.caller import Caller, RequestAdmission
from api.core.keys import Allowance, Key, Keyring
from api.executors.pool import ExecutorPool
from api.models.catalogue import Catalogue
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, TextDelta, Usage
from shared.tool_jobs import CommandResult, JobDone
from tests.support.meter import meter_messages


class Desk:
    """A meter with one key. Mutable: the key, and all lines that were ended."""

    def __init__(self, folder: Path, **allowance: Any) -> None:
        self.key = Key("k1", "notes", "d", ("chat",), allowance=Allowance(**allowance))
        self.keyring = Keyring()
        self.ledger = Ledger(folder)
        self.keyring.replace([self.key])
        catalogue = Catalogue(ExecutorPool(folder, "claude").fetch_statuses, "sonnet", {"mine": "haiku"})
        self.meter = Meter(self.keyring, RateLimiter(None), self.ledger, catalogue)

    def change(self, **changes: Any) -> None:
        self.key = msgspec.structs.replace(self.key, **changes)
        self.keyring.replace([self.key])

    def caller(self, **more: Any) -> Caller:
        return Caller("r", "notes", "chat", key_id="k1", **more)

    async def run(self, *events: Any, caller: Caller | None = None, model: str = "opus", heard: int = 0) -> list[Any]:
        async def job() -> AsyncGenerator[Any]:
            for event in events:
                yield event

        return [event async for event in meter_messages(self.meter, job(), caller or self.caller(), model, heard)]

    def lines(self) -> list[tuple[str, str, int, int, str]]:
        return [
            (line.key, line.model, line.usage.input_tokens, line.usage.output_tokens, line.outcome)
            for line in self.ledger._pending
        ]


DONE: tuple[Event, ...] = (Started("claude-opus-4-8"), TextDelta("Hello."), Done("end_turn", Usage(30, 12), 0.5))


async def test_a_job_has_its_line_however_it_ends(tmp_path: Path) -> None:
    """Done, failed, a tool's, left by its client, cut by a fault."""
    desk = Desk(tmp_path)
    assert await desk.run(*DONE) == list(DONE)
    await desk.run(Failed(ErrorKind.OVERLOADED))
    await desk.run(JobDone(CommandResult(0, timed_out=False, truncated=False)), model="")

    async def endless() -> AsyncGenerator[Event]:
        yield TextDelta("x" * 40)
        await asyncio.Event().wait()

    left = meter_messages(desk.meter, endless(), desk.caller(), "opus", 400)
    await anext(left)
    await left.aclose()

    async def faulty() -> AsyncGenerator[Event]:
        yield TextDelta("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        [_ async for _ in meter_messages(desk.meter, faulty(), desk.caller(), "opus")]
    assert desk.lines() == [
        ("notes", "claude-opus-4-8", 30, 12, "succeeded"),
        ("notes", "opus", 0, 0, "overloaded"),
        ("notes", "", 0, 0, "succeeded"),
        ("notes", "opus", 100, 10, "client_disconnected"),
        ("notes", "opus", 0, 0, "internal"),
    ]
    assert desk.ledger.running == {}


async def test_a_minute_s_requests_are_refused_beyond_the_limit(tmp_path: Path) -> None:
    """Nothing of a refused one is done or written down."""
    desk = Desk(tmp_path, requests_per_minute=2)
    for _ in range(2):
        assert await desk.run(*DONE) == list(DONE)
    (refused,) = await desk.run(*DONE)
    assert refused.kind is ErrorKind.KEY_LIMIT
    assert "`requests_per_minute` of this key is 2" in refused.detail
    assert 1 <= refused.retry_after <= 60
    assert len(desk.lines()) == 2


async def test_a_request_is_let_in_or_refused_as_a_whole(tmp_path: Path) -> None:
    """Its other jobs count, and are not stopped half-way."""
    desk = Desk(tmp_path, requests_per_minute=2)
    visit = RequestAdmission()
    together = [desk.run(*DONE, caller=desk.caller(admission=visit)) for _ in range(3)]
    assert await asyncio.gather(*together) == [list(DONE)] * 3
    (refused,) = await desk.run(*DONE)
    assert refused.kind is ErrorKind.KEY_LIMIT


async def test_tokens_of_a_minute_are_counted_by_what_was_used(tmp_path: Path) -> None:
    """What is read is counted when it comes, the rest at the end."""
    desk = Desk(tmp_path, tokens_per_minute=50)
    await desk.run(*DONE, heard=80)
    assert desk.meter.build_rate_limit_headers(desk.key, "/v1/chat/completions")["x-ratelimit-remaining-tokens"] == "8"
    await desk.run(*DONE)
    (refused,) = await desk.run(*DONE)
    assert "tokens_per_minute" in refused.detail


async def test_jobs_at_once_are_limited_and_places_come_back(tmp_path: Path) -> None:
    """A job that a job under way asks for has its place already."""
    desk = Desk(tmp_path, concurrent_jobs=1)
    async with desk.meter.meter_job(desk.caller()):
        with pytest.raises(AdmissionDenied) as denied:
            async with desk.meter.meter_job(desk.caller()):
                pass
        assert "`concurrent_jobs` of this key is 1" in denied.value.failed.detail
        async with desk.meter.meter_job(desk.caller(is_nested=True)):
            pass
    assert await desk.run(*DONE) == list(DONE)


@pytest.mark.parametrize("name", ["usd_per_day", "usd_per_month", "tokens_per_day", "tokens_per_month"])
async def test_a_budget_that_is_used_up_ends_it(tmp_path: Path, name: str) -> None:
    """A retry is worth nothing before the day or the month is over."""
    desk = Desk(tmp_path, **{name: 1})
    for _ in range(2):
        await desk.run(Done("end_turn", Usage(1, 0), 0.5) if "usd" in name else Done("end_turn", Usage(1, 0)))
        if "tokens" in name:
            break
    (refused,) = await desk.run(*DONE)
    assert refused.kind is ErrorKind.KEY_BUDGET
    assert f"`{name}` of this key is 1, and 1 is used" in refused.detail
    assert 0 < refused.retry_after <= (1 if name.endswith("day") else 31) * 86400


async def test_a_budget_of_nothing_refuses_all(tmp_path: Path) -> None:
    """0 is a limit, and null is none."""
    (refused,) = await Desk(tmp_path, usd_per_day=0).run(*DONE)
    assert refused.kind is ErrorKind.KEY_BUDGET


async def test_a_key_may_name_its_models_by_any_name(tmp_path: Path) -> None:
    """And no others; a job without a model is none of theirs."""
    desk = Desk(tmp_path)
    desk.change(models=("mine",))
    assert await desk.run(*DONE, model="haiku") == list(DONE)
    assert await desk.run(JobDone(CommandResult(0, timed_out=False, truncated=False)), model="")
    (refused,) = await desk.run(*DONE, model="opus")
    assert refused.kind is ErrorKind.MODEL_NOT_FOUND
    assert "it may use: mine" in refused.detail


@pytest.mark.parametrize("change", [{"disabled": True}, {"expires": 1.0}, {"id": "another"}])
async def test_a_key_that_ended_gets_no_more_jobs(tmp_path: Path, change: dict[str, Any]) -> None:
    """Also while its work is under way; a key of the same name is another one."""
    desk = Desk(tmp_path)
    desk.change(**change)
    (refused,) = await desk.run(*DONE)
    assert refused.kind is ErrorKind.KEY_REVOKED


async def test_the_owner_is_never_limited_and_has_lines_too(tmp_path: Path) -> None:
    """By the name that no key can have."""
    desk = Desk(tmp_path, requests_per_minute=1)
    for _ in range(3):
        assert await desk.run(*DONE, caller=Caller("r")) == list(DONE)
    assert [line[0] for line in desk.lines()] == ["owner"] * 3


async def test_what_is_left_is_told_of_the_limits_that_the_key_has_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of those that were changed or taken away; a minute that is over leaves all of them."""
    desk = Desk(tmp_path, requests_per_minute=5, tokens_per_minute=100)
    await desk.run(*DONE)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    told = desk.meter.build_rate_limit_headers(desk.key, "/v1/chat/completions")
    assert (told["x-ratelimit-remaining-requests"], told["x-ratelimit-reset-requests"]) == ("5", "0.000s")
    assert told["x-ratelimit-remaining-tokens"] == "100"
    desk.change(allowance=Allowance(tokens_per_minute=50))
    assert desk.meter.build_rate_limit_headers(desk.key, "/v1/chat/completions") == {}


async def test_what_is_left_is_told_as_each_vendor_s_clients_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://platform.openai.com/docs/guides/rate-limits, https://docs.claude.com/en/api/rate-limits."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    desk = Desk(tmp_path, requests_per_minute=5, tokens_per_minute=100)
    assert desk.meter.build_rate_limit_headers(desk.key, "/v1/chat/completions") == {}
    await desk.run(*DONE)
    told = dict(desk.meter.build_rate_limit_headers(desk.key, "/v1/chat/completions"))
    assert told.pop("x-ratelimit-reset-requests").endswith("s")
    assert float(told.pop("x-ratelimit-reset-tokens").removesuffix("s")) <= 60
    assert told == {
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "4",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "58",
    }
    told = dict(desk.meter.build_rate_limit_headers(desk.key, "/v1/messages"))
    for what in ("requests", "tokens"):
        at = time.strptime(told.pop(f"anthropic-ratelimit-{what}-reset"), "%Y-%m-%dT%H:%M:%SZ")
        assert at >= time.gmtime(now)
    assert told == {
        "anthropic-ratelimit-requests-limit": "5",
        "anthropic-ratelimit-requests-remaining": "4",
        "anthropic-ratelimit-tokens-limit": "100",
        "anthropic-ratelimit-tokens-remaining": "58",
    }
