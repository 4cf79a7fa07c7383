"""What is kept of responses is bounded in every way, and is its own key's only."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.problems import Problem
from api.dialects.openai_responses.store import ResponseStore, StoredResponse
from api.dialects.openai_responses.view import paginate_items, to_input_item


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stored(name: str, size: int = 10, item: str = "msg_1") -> StoredResponse:
    return StoredResponse(name, b"x" * size, (), (), (msgspec.Raw(msgspec.json.encode({"id": item})),))


def test_the_oldest_go_first():
    """When there are too many."""
    store = ResponseStore(2, 10**6, 60)
    for name in ("a", "b", "c"):
        store.put("k", stored(name))
    assert [each.id for each in store.list_all("k")] == ["c", "b"]


def test_too_many_bytes_are_not_kept():
    """One that alone has too many is not kept at all, and takes no other's place."""
    store = ResponseStore(100, 100, 60)
    store.put("k", stored("a", 60))
    store.put("k", stored("huge", 200))
    assert store.get("k", "a")
    store.put("k", stored("b", 60))
    assert [each.id for each in store.list_all("k")] == ["b"]


def test_what_is_old_is_gone():
    """By age, whether or not anything is added."""
    clock = Clock()
    store = ResponseStore(100, 10**6, 60, clock)
    store.put("k", stored("a"))
    clock.now = 60
    assert store.get("k", "a")
    clock.now = 61
    assert store.get("k", "a") is None
    assert not store.delete("k", "a")


def test_none_is_none():
    """0 keeps nothing."""
    store = ResponseStore(0, 10**6, 60)
    store.put("k", stored("a"))
    assert store.get("k", "a") is None


def test_another_key_finds_nothing():
    """Neither the response, nor its conversation, nor an item; and can't delete it."""
    store = ResponseStore(100, 10**6, 60)
    store.for_key("mine").put(stored("a"))
    other = store.for_key("other")
    assert (other.get_conversation("a"), other.get_items({"msg_1"})) == (None, {})
    for refused in (other.get, other.delete):
        with pytest.raises(Problem) as caught:
            refused("a")
        assert (caught.value.status, caught.value.code) == (404, "response_not_found")
    assert "msg_1" in store.for_key("mine").get_items({"msg_1"})


@given(st.lists(st.tuples(st.sampled_from("kl"), st.integers(0, 80), st.booleans()), max_size=30))
def test_the_limits_hold_whatever_comes(puts: list[tuple[str, int, bool]]):
    """After every step, and what is dropped makes room."""
    store = ResponseStore(4, 150, 60)
    for number, (key, size, drops) in enumerate(puts):
        store.put(key, stored(str(number), size))
        if drops:
            store.delete(key, str(number))
        everything = [*store.list_all("k"), *store.list_all("l")]
        assert len(everything) <= 4
        assert sum(each.size for each in everything) <= 150
        if not drops:
            assert store.get(key, str(number))


# --- Items as they are listed -----------------------------------------------------------------------------------------


def items(count: int) -> list[msgspec.Raw]:
    return [msgspec.Raw(msgspec.json.encode({"id": f"i{number}"})) for number in range(count)]


def test_an_item_is_shown_with_type_id_and_parts():
    """What it has of its own stays."""
    sent = msgspec.Raw(b'{"role":"user","content":"Hi"}')
    assert msgspec.json.decode(to_input_item(sent, "7")) == {
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
        "type": "message",
        "id": "msg_7",
        "status": "completed",
    }
    own = {"type": "function_call_output", "id": "own", "call_id": "c", "output": "x"}
    assert msgspec.json.decode(to_input_item(msgspec.Raw(msgspec.json.encode(own)), "7")) == own


def test_items_are_listed_by_pages():
    """The newest first unless asked otherwise, after a given one."""
    first = paginate_items(items(3), "2", "desc", None)
    assert (first.first_id, first.last_id, first.has_more) == ("i2", "i1", True)
    rest = paginate_items(items(3), "2", "desc", "i1")
    assert (rest.first_id, rest.last_id, rest.has_more) == ("i0", "i0", False)
    assert paginate_items(items(3), "1", "asc", None).first_id == "i0"
    assert paginate_items([], "1", "asc", None).first_id is None


@pytest.mark.parametrize(
    ("limit", "order", "after", "param"),
    [
        ("0", "asc", None, "limit"),
        ("101", "asc", None, "limit"),
        ("x", "asc", None, "limit"),
        ("1", "up", None, "order"),
        ("1", "asc", "i9", "after"),
    ],
)
def test_a_page_that_can_not_be_is_refused(limit: str, order: str, after: str | None, param: str):
    """By name."""
    with pytest.raises(Problem) as caught:
        paginate_items(items(1), limit, order, after)
    assert caught.value.param == param
