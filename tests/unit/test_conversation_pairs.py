"""Calls and their results belong together, and pictures are fetched before anything is asked of the model."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversation import Draft, DraftBlock, DraftResult, messages, paired, says_something
from api.fetch import Fetcher
from api.media import Remote
from api.problems import Problem
from shared.turn import Image, Message, RedactedThinking, Role, Text, Thinking, ToolResult, ToolUse
from tests.bound import BOUND


def draft(role: Role, *content: DraftBlock, number: int = 0) -> Draft:
    return Draft(role, content, f"messages[{number}]")


def numbered(*drafts: Draft) -> list[Draft]:
    return [Draft(one.role, one.content, f"messages[{number}]") for number, one in enumerate(drafts)]


def called(*ids: str) -> Draft:
    return draft("assistant", *(ToolUse(call, "f", "{}") for call in ids))


def brought(*ids: str) -> Draft:
    return draft("user", *(DraftResult(call, ()) for call in ids))


def said(text: str = "a", role: Role = "user") -> Draft:
    return draft(role, Text(text))


def problem(*drafts: Draft) -> Problem:
    with pytest.raises(Problem) as caught:
        paired(numbered(*drafts))
    assert (caught.value.status, caught.value.code) == (400, "invalid_tool_results")
    return caught.value


@pytest.mark.wire(6)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=4), st.randoms())
def test_results_may_come_in_any_order_and_any_grouping(rounds: list[list[int]], random: object):
    """Together or a message each; ids may be used again once they are answered."""
    drafts = [said()]
    for ids in rounds:
        names = [f"call_{number}" for number in ids]
        shuffled = sorted(names, key=lambda _: random.random())  # type: ignore[attr-defined]
        half = len(ids) // 2
        drafts += [called(*names), brought(*shuffled[:half]), brought(*shuffled[half:]), said(role="assistant")]
    paired(numbered(*drafts))


@pytest.mark.wire(6)
def test_an_unknown_result_is_refused_with_its_id():
    """It answers nothing the assistant asked."""
    refused = problem(said(), called("a"), brought("a"), said(role="assistant"), brought("zzz"))
    assert refused.param == "messages[4]"
    assert "`zzz`" in refused.message


@pytest.mark.wire(6)
def test_a_second_result_of_one_call_is_refused_with_its_id():
    """In another message or in the same."""
    assert "`a`" in problem(said(), called("a"), brought("a"), brought("a")).message
    assert "`a`" in problem(said(), called("a"), brought("a", "a")).message


@pytest.mark.wire(6)
def test_a_result_long_after_its_call_is_refused():
    """It answers a call of the message before it, not of an earlier one."""
    assert "`a`" in problem(said(), called("a"), said("b"), brought("a")).message


@pytest.mark.wire(6)
@pytest.mark.parametrize("after", [(), (said(),), (said(role="assistant"),), (called("c"), brought("c"))])
def test_missing_results_are_refused_with_their_ids_at_the_call(after: tuple[Draft, ...]):
    """Whatever comes instead of them, or nothing."""
    refused = problem(said(), called("a", "b", "d"), brought("b"), *after)
    assert refused.param == "messages[1]"
    assert "`a`, `d`" in refused.message
    assert "send one for each" in refused.message


@pytest.mark.wire(6)
def test_calls_of_one_message_that_share_an_id_are_refused():
    """Their results could not be told apart."""
    refused = problem(said(), called("a", "b", "a"), brought("a", "b"))
    assert (refused.param, "`a`" in refused.message, "`b`" in refused.message) == ("messages[1]", True, False)


@pytest.mark.wire(6, 8)
def test_words_beside_results_are_legal():
    """Anthropic's form has both in one message."""
    paired(numbered(said(), called("a"), draft("user", DraftResult("a", ()), Text("and now?"))))


def test_a_conversation_of_blanks_says_nothing():
    """There is nothing for the model to answer; a picture or a result is something."""
    assert not says_something([])
    assert not says_something([said(" \n"), said("\u2003", "assistant"), draft("user")])
    assert not says_something([draft("assistant", Thinking("Hm.", "c2ln"), RedactedThinking("eA=="))])
    assert says_something([said(" "), said("a", "assistant")])
    assert says_something([brought("a")])
    assert says_something([draft("user", Image("image/png", ""))])


class Slow(Fetcher):
    """Fetches nothing: each picture is its address, but for those that fail. Mutable: what was asked for."""

    def __init__(self, failing: str = "") -> None:
        super().__init__(enabled=False)
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.all_asked = asyncio.Event()
        self._failing = failing

    async def image(self, remote: Remote) -> Image:
        self.asked.append(remote.url)
        if len(self.asked) == 3:
            self.all_asked.set()
        async with asyncio.timeout(BOUND):
            await self.all_asked.wait()
        if remote.url == self._failing:
            raise Problem(400, "image_fetch_failed", f"`{remote.where}`: no.", param=remote.where)
        if self._failing:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(remote.url)
                raise
        return Image("image/png", remote.url)


PICTURED = (
    Draft("user", (Text("1"), Remote("x", "a"), Text("2"), Remote("y", "b")), "messages[0]"),
    Draft("assistant", (ToolUse("c", "f", "{}"),), "messages[1]"),
    Draft("user", (DraftResult("c", (Text("3"), Remote("x", "d")), is_error=True),), "messages[2]"),
)


async def test_every_picture_is_fetched_at_once_and_put_in_its_place():
    """Also those inside results; everything else is as it was."""
    fetcher = Slow()
    assert await messages(PICTURED, fetcher) == (
        Message("user", (Text("1"), Image("image/png", "x"), Text("2"), Image("image/png", "y"))),
        Message("assistant", (ToolUse("c", "f", "{}"),)),
        Message("user", (ToolResult("c", (Text("3"), Image("image/png", "x")), is_error=True),)),
    )
    assert sorted(fetcher.asked) == ["x", "x", "y"]


async def test_a_picture_that_does_not_come_refuses_the_request_and_ends_the_others():
    """Its own problem, not a group of them."""
    fetcher = Slow(failing="y")
    with pytest.raises(Problem) as caught:
        await messages(PICTURED, fetcher)
    assert caught.value.param == "b"
    assert sorted(fetcher.cancelled) == ["x", "x"]


async def test_with_fetching_turned_off_an_address_is_refused_and_says_what_to_do():
    """The owner's choice; data URLs go on working."""
    with pytest.raises(Problem) as caught:
        await messages(PICTURED[:1], Fetcher(enabled=False))
    assert (caught.value.status, caught.value.code) == (400, "image_fetch_refused")
    assert "data URL" in caught.value.message
    assert await messages((said(),), Fetcher(enabled=False)) == (Message("user", (Text("a"),)),)
