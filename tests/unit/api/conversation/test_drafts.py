"""Calls and their results belong together, and pictures are fetched before anything is asked of the model."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversation.drafts import Draft, DraftBlock, DraftResult, has_content, order_drafts
from api.conversation.messages import build_messages
from api.core.problems import Problem
from api.media.blocks import RemoteMedia
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from shared.turn import Image, Message, RedactedThinking, Role, Text, Thinking, ToolResult, ToolUse
from tests.support.timeouts import TEST_TIMEOUT


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


def ids_of(drafts: Sequence[Draft]) -> list[tuple[Role, tuple[DraftBlock, ...]]]:
    """Roles and blocks of the messages that have some, without the places they come from."""
    return [(draft.role, draft.content) for draft in drafts if draft.content]


def problem(*drafts: Draft) -> Problem:
    with pytest.raises(Problem) as caught:
        order_drafts(numbered(*drafts))
    assert (caught.value.status, caught.value.code) == (400, "invalid_tool_results")
    return caught.value


@pytest.mark.wire(6)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=4), st.randoms())
def test_results_may_come_in_any_order_and_any_grouping(rounds: list[list[int]], random: object):
    """Together or a message each; ids may be used again once they are answered."""
    drafts = [said()]
    tidy = [said()]
    for ids in rounds:
        names = [f"call_{number}" for number in ids]
        shuffled = sorted(names, key=lambda _: random.random())  # type: ignore[attr-defined]
        half = len(ids) // 2
        drafts += [called(*names), brought(*shuffled[:half]), brought(*shuffled[half:]), said(role="assistant")]
        tidy += [called(*names), brought(*shuffled), said(role="assistant")]
    assert ids_of(order_drafts(numbered(*drafts))) == ids_of(tidy)


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


def use(call: str, number: int = 0) -> ToolUse:
    return ToolUse(call, "f", f'{{"n":{number}}}')


def result(call: str, text: str = "") -> DraftResult:
    return DraftResult(call, (Text(text),) if text else ())


SENT_AND_PUT: dict[str, tuple[list[Draft], list[Draft]]] = {
    "after a user's text": ([called("a"), said("b"), brought("a")], [called("a"), brought("a"), said("b")]),
    "after texts, split over messages": (
        [called("a", "b"), said("1"), brought("b"), said("2"), brought("a"), said("3")],
        [called("a", "b"), brought("b", "a"), said("1"), said("2"), said("3")],
    ),
    "text before the result in one message": (
        [called("a"), draft("user", Text("and now?"), result("a"))],
        [called("a"), draft("user", result("a"), Text("and now?"))],
    ),
    "texts in both messages of a split": (
        [called("a", "b"), draft("user", Text("1"), result("b")), draft("user", result("a"), Text("2"))],
        [called("a", "b"), draft("user", result("b"), result("a"), Text("1")), said("2")],
    ),
    "a message for each call": (
        [called("a"), called("b"), brought("b"), brought("a")],
        [called("a", "b"), brought("b", "a")],
    ),
    "words after the call in a message of their own": (
        [called("a"), said("Let me see.", "assistant"), brought("a")],
        [draft("assistant", *called("a").content, Text("Let me see.")), brought("a")],
    ),
    "a call made while another waits": (
        [called("a"), said("1"), called("b"), brought("b"), brought("a"), said("2")],
        [called("a"), brought("a"), said("1"), called("b"), brought("b"), said("2")],
    ),
    "a system message between": (
        [called("a"), said("Be brief.", "system"), brought("a"), said("1")],
        [called("a"), brought("a"), said("Be brief.", "system"), said("1")],
    ),
    "a result of an earlier turn, with later turns behind it": (
        [called("a"), said("1"), said("2", "assistant"), brought("a"), said("3")],
        [called("a"), brought("a"), said("1"), said("2", "assistant"), said("3")],
    ),
    "nothing to put in order": (
        [said("1", "system"), called("a"), brought("a"), said("2", "assistant"), said("3", "assistant")],
        [said("1", "system"), called("a"), brought("a"), said("2", "assistant"), said("3", "assistant")],
    ),
}


@pytest.mark.wire(6)
@pytest.mark.parametrize(("sent", "put"), SENT_AND_PUT.values(), ids=SENT_AND_PUT)
def test_a_result_is_put_directly_behind_the_message_that_calls_it(sent: list[Draft], put: list[Draft]):
    """Everything else keeps its order, and words sent in one message with results stay in it."""
    assert ids_of(order_drafts(numbered(*sent))) == ids_of(put)


@pytest.mark.wire(6)
def test_an_id_that_comes_again_in_a_later_turn_has_the_result_of_its_own_turn():
    """Many local clients count calls from 0 in each turn."""
    drafts = [
        *(said("1"), draft("assistant", use("call_0", 1)), draft("user", result("call_0", "r1"))),
        *(said("ok", "assistant"), said("2"), draft("assistant", use("call_0", 2)), said("3")),
        draft("user", result("call_0", "r2")),
    ]
    put = ids_of(order_drafts(numbered(*drafts)))
    assert put[1:3] == ids_of(drafts[1:3])
    assert put[5:] == ids_of([drafts[5], drafts[7], drafts[6]])


@pytest.mark.wire(6)
def test_an_id_that_comes_again_before_its_call_has_a_result_is_refused():
    """Whose result came could not be told."""
    for between in ([], [said()]):
        refused = problem(called("a"), *between, called("a"), brought("a"), brought("a"))
        assert "`a`" in refused.message
        assert "no result yet" in refused.message


@pytest.mark.wire(6)
def test_a_result_that_would_leave_the_assistant_the_last_to_speak_is_refused():
    """The model would go on from its own words and not from the result."""
    refused = problem(called("a"), said("b"), said("c", "assistant"), brought("a"))
    assert (refused.param, "`a`" in refused.message) == ("messages[3]", True)


@pytest.mark.wire(6)
def test_a_result_before_its_call_is_refused():
    """It may answer another call that is missing."""
    assert "`a`" in problem(brought("a"), called("a")).message


@pytest.mark.wire(6)
def test_a_refusal_says_which_orders_are_taken():
    """So that a client's author can choose one."""
    assert "in any order, in one message or in several" in problem(called("a")).message


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


def test_a_conversation_of_blanks_says_nothing():
    """There is nothing for the model to answer; a picture or a result is something."""
    assert not has_content([])
    assert not has_content([said(" \n"), said("\u2003", "assistant"), draft("user")])
    assert not has_content([draft("assistant", Thinking("Hm.", "c2ln"), RedactedThinking("eA=="))])
    assert has_content([said(" "), said("a", "assistant")])
    assert has_content([brought("a")])
    assert has_content([draft("user", Image("image/png", ""))])


class Slow:
    """Fetches nothing: each picture is its address, but for those that fail. Mutable: what was asked for."""

    def __init__(self, failing: str = "") -> None:
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.all_asked = asyncio.Event()
        self._failing = failing

    async def fetch_part(self, remote: RemoteMedia) -> Image:
        self.asked.append(remote.url)
        if len(self.asked) == 3:
            self.all_asked.set()
        async with asyncio.timeout(TEST_TIMEOUT):
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
    Draft("user", (Text("1"), RemoteMedia("x", "a"), Text("2"), RemoteMedia("y", "b")), "messages[0]"),
    Draft("assistant", (ToolUse("c", "f", "{}"),), "messages[1]"),
    Draft("user", (DraftResult("c", (Text("3"), RemoteMedia("x", "d")), is_error=True),), "messages[2]"),
)


async def test_every_picture_is_fetched_at_once_and_put_in_its_place():
    """Also those inside results; everything else is as it was."""
    fetcher = Slow()
    assert await build_messages(PICTURED, fetcher) == (
        Message("user", (Text("1"), Image("image/png", "x"), Text("2"), Image("image/png", "y"))),
        Message("assistant", (ToolUse("c", "f", "{}"),)),
        Message("user", (ToolResult("c", (Text("3"), Image("image/png", "x")), is_error=True),)),
    )
    assert sorted(fetcher.asked) == ["x", "x", "y"]


async def test_a_picture_that_does_not_come_refuses_the_request_and_ends_the_others():
    """Its own problem, not a group of them."""
    fetcher = Slow(failing="y")
    with pytest.raises(Problem) as caught:
        await build_messages(PICTURED, fetcher)
    assert caught.value.param == "b"
    assert sorted(fetcher.cancelled) == ["x", "x"]


async def test_with_fetching_turned_off_an_address_is_refused_and_says_what_to_do():
    """The owner's choice; data URLs go on working."""
    with pytest.raises(Problem) as caught:
        await build_messages(PICTURED[:1], RequestFetches(Fetcher(enabled=False), "k"))
    assert (caught.value.status, caught.value.code) == (400, "image_fetch_refused")
    assert "data URL" in caught.value.message
    assert await build_messages((said(),), RequestFetches(Fetcher(enabled=False), "k")) == (
        Message("user", (Text("a"),)),
    )
