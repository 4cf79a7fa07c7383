"""What one request fetches: each address once, within the memory for bodies and its key's share of connections."""

import asyncio

import pytest

from api.conversation.drafts import Draft
from api.conversation.messages import build_messages
from api.core.problems import Problem
from api.http.body_limits import BodyDeadline
from api.http.inflight_bodies import MAX_BODY_BYTES, BodyReservation, InflightBodies
from api.media.blocks import RemoteDocument, RemoteMedia
from api.media.fetcher import MAX_FETCHES_PER_KEY, MAX_FETCHES_PER_REQUEST
from api.media.request_fetches import RequestFetches
from shared.turn import Image
from tests.support.stack import wait_until
from tests.unit.api.media.test_blocks import png
from tests.unit.api.media.test_fetcher import NAME, WHERE, Answer, answer, fetching, serving

MIB = 1024 * 1024


async def test_the_same_address_is_fetched_once():
    """However often it is named; documents keep what is said of each."""
    answers: dict[str, Answer] = {"/a": answer(png()), "/b": answer(b"words")}
    async with serving(answers) as site, fetching() as fetcher:
        fetches = RequestFetches(fetcher, "k")
        url = f"http://{NAME}:{site.port}"
        pictures = [RemoteMedia(f"{url}/a", f"at[{number}]") for number in range(30)]
        [message] = await build_messages([Draft("user", tuple(pictures), "messages[0]")], fetches)
        first = message.content[0]
        assert isinstance(first, Image)
        assert all(part is first for part in message.content)
        one, two = [await fetches.fetch_part(RemoteDocument(f"{url}/b", WHERE, title)) for title in ("one", "two")]
        assert (getattr(one, "title", ""), getattr(two, "title", "")) == ("one", "two")
        assert site.connections == 2


async def test_more_pictures_than_are_fetched_are_refused_before_any_is():
    """As many as are fetched are no fault."""
    answers: dict[str, Answer] = {"/a": answer(png())}
    async with serving(answers) as site, fetching() as fetcher:
        many = tuple(
            RemoteMedia(f"http://{NAME}:{site.port}/a", f"at[{number}]")
            for number in range(MAX_FETCHES_PER_REQUEST + 1)
        )
        with pytest.raises(Problem) as caught:
            await build_messages([Draft("user", many, "messages[0]")], RequestFetches(fetcher, "k"))
        assert (caught.value.status, caught.value.param) == (400, f"at[{MAX_FETCHES_PER_REQUEST}]")
        assert site.connections == 0
        [message] = await build_messages([Draft("user", many[:-1], "messages[0]")], RequestFetches(fetcher, "k"))
        assert len(message.content) == MAX_FETCHES_PER_REQUEST


async def test_what_is_fetched_takes_room_as_a_body_does():
    """All of it is given back with the request; one that brings more than a body may have is refused."""
    large = answer(png() + bytes(4 * MIB))
    answers: dict[str, Answer] = {f"/{number}": large for number in range(8)}
    async with serving(answers) as site, fetching() as fetcher:
        remotes = [RemoteMedia(f"http://{NAME}:{site.port}/{number}", WHERE) for number in range(8)]
        small = InflightBodies(3 * MIB)
        share = BodyReservation(small)
        with pytest.raises(Problem) as caught:
            await RequestFetches(fetcher, "k", share).fetch_part(remotes[0])
        assert (caught.value.status, caught.value.code) == (503, "server_overloaded")
        share.release()
        small.reserve(3 * MIB)
        with pytest.raises(Problem) as caught:
            await build_messages(
                [Draft("user", tuple(remotes), "m")],
                RequestFetches(fetcher, "k", BodyReservation(InflightBodies(2 * MAX_BODY_BYTES))),
            )
        assert (caught.value.status, caught.value.code) == (413, "request_too_large")


async def test_a_key_fetches_only_so_many_at_a_time():
    """Another key's fetch does not wait for them."""
    under_way, most, gate = 0, 0, asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        writer.write(answer(png()))

    answers: dict[str, Answer] = {**{f"/{number}": slow for number in range(20)}, "/other": answer(png())}
    async with serving(answers) as site, fetching() as fetcher:
        url = f"http://{NAME}:{site.port}"
        greedy = RequestFetches(fetcher, "greedy")
        tasks = [asyncio.create_task(greedy.fetch_part(RemoteMedia(f"{url}/{number}", WHERE))) for number in range(20)]
        await wait_until(lambda: under_way == MAX_FETCHES_PER_KEY)
        assert isinstance(await RequestFetches(fetcher, "other").fetch_part(RemoteMedia(f"{url}/other", WHERE)), Image)
        gate.set()
        await asyncio.gather(*tasks)
        assert most == MAX_FETCHES_PER_KEY


def test_a_body_that_stops_ends_soon_whatever_came_before():
    """What came fast pays for no silence, and what comes slowly but steadily ends too."""
    pace = BodyDeadline(0, 30)
    pace.extend(1, 32 * MIB)
    assert pace.deadline == 31
    pace = BodyDeadline(0, 30)
    now = 0.0
    while now <= pace.deadline and now < 10_000:
        now += 1
        pace.extend(now, 4096)
    assert 300 <= now <= 302


def test_a_key_leaves_room_for_others():
    """Two keys too; small bodies fit beside all of them, also their own."""
    room = InflightBodies(8 * MAX_BODY_BYTES)
    for number, key in enumerate("ab"):
        for _ in range(3 - number):
            room.reserve(MAX_BODY_BYTES, key)
        with pytest.raises(Problem) as caught:
            room.reserve(MAX_BODY_BYTES, key)
        assert caught.value.code == "server_overloaded"
        assert "This key's requests" in caught.value.message
    room.reserve(MAX_BODY_BYTES, "c")
    for _ in range(100):
        room.reserve(10_000, "a")
    with pytest.raises(Problem):
        room.reserve(MAX_BODY_BYTES, "a")
    room.release(MAX_BODY_BYTES, "b")
    room.reserve(MAX_BODY_BYTES, "d")


def test_a_body_that_grows_is_counted_once():
    """Also over the size at which it is small no longer."""
    room = InflightBodies(2 * MAX_BODY_BYTES)
    share = BodyReservation(room, lambda: "a")
    for _ in range(64):
        share.reserve(MAX_BODY_BYTES // 64)
    share.release()
    other = BodyReservation(room, lambda: "a")
    other.reserve(MAX_BODY_BYTES)
    other.release()
    assert repr(room) == f"<InflightBodies 0 of {2 * MAX_BODY_BYTES}>"
