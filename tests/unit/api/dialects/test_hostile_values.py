"""Values that no honest caller sends: numbers beyond measure, formulas, names that look like the owner's, wrong keys."""

from typing import Any

import msgspec
import pytest

from api.admin.decode import build_key, parse_fields
from api.admin.encode import render_csv
from api.admin.models import UsageReport, UsageRow
from api.auth.failed_keys import MAX_FAILURES, FailedKeys, to_network
from api.conversation.fields import parse_whole_number
from api.conversation.parameters import Policy
from api.core.keys import Allowance
from api.core.problems import Problem
from api.dialects.anthropic.routes import build_model_page
from api.dialects.openai_responses.decode import decode as decode_responses
from api.dialects.openai_responses.store import ResponseStore, StoredResponse
from api.dialects.openai_responses.view import paginate_items
from api.http.request_context import add_no_store

HUGE = ("1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 5000, "1e400", "-1e308", "NaN")


def made(said: dict[str, Any]) -> Any:
    return build_key(parse_fields(msgspec.json.encode({"name": "x", "scopes": ["chat"], **said}), name=True), 1.7e9)


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("name", Allowance.__struct_fields__)
def test_a_limit_beyond_measure_is_a_400(name: str, value: str):
    """In every field, however it is written."""
    body = f'{{"name":"x","scopes":["chat"],"{name}":{value}}}'.encode()
    with pytest.raises(Problem) as caught:
        build_key(parse_fields(body, name=True), 1.7e9)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", Allowance.__struct_fields__)
def test_a_limit_within_reason_is_taken(name: str):
    """Up to the largest."""
    for value in (1, 2**53):
        assert getattr(made({name: value}).allowance, name) == value


@pytest.mark.parametrize("text", ["9" * 5000, "-1", "1.0", "", "²", "٣"])
def test_a_number_in_an_address_that_is_none_is_refused(text: str):
    """Also one with more digits than Python reads."""
    assert parse_whole_number(text) == -1
    for ask in (lambda: build_model_page([], text, None, None), lambda: paginate_items([], text, "asc", None)):
        with pytest.raises(Problem) as caught:
            ask()
        assert (caught.value.status, caught.value.param) == (400, "limit")


@pytest.mark.parametrize("name", ["owner", "Owner", "OWNER", "oWNER", "\uff2fwner", "owne\u0433"])
def test_no_key_is_called_as_the_owner_is(name: str):
    """In the ledger both would be one."""
    with pytest.raises(Problem) as caught:
        made({"name": name})
    assert caught.value.param == "name"
    assert made({"name": "owners"}).name == "owners"


FORMULAS = (
    "=1",
    "+1",
    "-1",
    "@x",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u200b=1",
)


@pytest.mark.parametrize("model", FORMULAS)
def test_a_name_that_a_spreadsheet_would_compute_is_marked(model: str):
    """In every form of the signs, and behind what programs skip; other names stay as they are."""
    for name, written in ((model, f"'{model}"), ("claude-opus-4-8", "claude-opus-4-8")):
        row = UsageRow(1, 0, 0, 0, 0, 0, 0, 0.0, 0.0, model=name)
        report = render_csv(UsageReport("a", "b", ["model"], [row], row))
        assert report.split("\r\n", 1)[1].lstrip('"').startswith(written)


def test_wrong_keys_are_refused_after_many_for_a_minute():
    """By address; for IPv6 by the network that a host has for itself."""
    now = 0.0
    failed = FailedKeys(clock=lambda: now)
    assert [failed.record_failure("192.0.2.1") for _ in range(MAX_FAILURES)] == [None] * MAX_FAILURES
    refusal = failed.record_failure("192.0.2.1")
    assert refusal
    assert (refusal.status, refusal.build_headers()["retry-after"]) == (429, "60")
    assert failed.record_failure("192.0.2.2") is None
    now = 60.0
    assert failed.record_failure("192.0.2.1") is None
    assert to_network("2001:db8::1") == to_network("2001:db8::2") != to_network("2001:db8:0:1::1")
    assert to_network("::ffff:192.0.2.1") == to_network("192.0.2.1")
    assert to_network("a socket") == "a socket"


def test_nothing_on_the_way_keeps_a_response():
    """What says more of caches says it still; only what is for everyone may be kept."""
    assert add_no_store([(b"a", b"b")]) == [(b"a", b"b"), (b"cache-control", b"no-store")]
    assert add_no_store([(b"cache-control", b"no-cache")]) == [(b"cache-control", b"no-cache, no-store")]
    for own in (b"no-store", b"public, max-age=60"):
        assert add_no_store([(b"cache-control", own)]) == [(b"cache-control", own)]


def kept(name: str) -> StoredResponse:
    return StoredResponse(name, b"x" * 10, (), (), ())


@pytest.mark.parametrize("limits", [(10, 10**6), (10**6, 100)], ids=["number", "bytes"])
def test_one_key_can_not_clear_what_another_stored(limits: tuple[int, int]):
    """It makes room itself, its oldest first; alone, it has everything."""
    store = ResponseStore(*limits, 60)
    for number_ in range(20):
        store.put("alone", kept(str(number_)))
    assert [each.id for each in store.list_all("alone")] == [str(number_) for number_ in range(19, 9, -1)]
    store = ResponseStore(*limits, 60)
    for number_ in range(4):
        store.put("victim", kept(f"victim {number_}"))
    for number_ in range(1000):
        store.put("greedy", kept(str(number_)))
    assert len(store.list_all("victim")) == 4
    assert [each.id for each in store.list_all("greedy")] == ["999", "998", "997", "996", "995", "994"]
    # Who has little gets room from who has most.
    store.put("third", kept("a"))
    store.put("third", kept("b"))
    assert (len(store.list_all("third")), len(store.list_all("victim"))) == (2, 4)


@pytest.mark.parametrize("kind", [[], {}, [[]], 1])
def test_a_choice_of_a_strange_type_is_refused(kind: object):
    """Values that can't be members of a set are looked at as any other."""
    tools = [{"type": "function", "name": "f", "parameters": {}}]
    for choice in (
        {"type": kind},
        {"type": "allowed_tools", "mode": kind, "tools": [{"type": "function", "name": "f"}]},
    ):
        body = msgspec.json.encode({"input": "hi", "tools": tools, "tool_choice": choice})
        with pytest.raises(Problem) as caught:
            decode_responses(body, Policy(), ResponseStore(1, 1, 1.0).for_key("k"))
        assert (caught.value.status, caught.value.param) == (400, "tool_choice")
