"""Who may ask: the key, where it may stand, and how it is compared."""

import hmac
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.types import Receive, Scope, Send

import api.auth
from api.auth import RequireKey
from api.problems import Problem

KEY = "sk-local-0f1e2d3c4b5a6978"
NOT_USED = cast("Any", None)

type Header = tuple[bytes, bytes]


async def passes(*headers: Header, public: bool = False, key: str = KEY) -> bool:
    """Whether a request with these headers gets past, to the application; any other answer is the refusal."""
    reached: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    handler = SimpleNamespace(opt={"public": True} if public else {})
    scope = cast("Any", {"type": "http", "headers": list(headers), "route_handler": handler})
    refusals: list[Problem] = []
    try:
        await RequireKey(application, key)(scope, NOT_USED, NOT_USED)
    except Problem as problem:
        refusals.append(problem)
    assert [(problem.status, problem.code) for problem in refusals] in ([], [(401, "invalid_api_key")])
    assert reached == ([] if refusals else [scope])
    return not refusals


def bearer(value: str) -> Header:
    """The usual header."""
    return (b"authorization", f"Bearer {value}".encode("latin-1"))


def x_api_key(value: str) -> Header:
    """The header that Anthropic's clients send."""
    return (b"x-api-key", value.encode("latin-1"))


@pytest.mark.parametrize(
    "header",
    [
        bearer(KEY),
        x_api_key(KEY),
        (b"authorization", f"bearer {KEY}".encode()),
        (b"authorization", f"BEARER   {KEY} ".encode()),
    ],
)
async def test_the_key_opens(header: Header) -> None:
    """As a bearer token, its scheme in any case (RFC 9110 §11.1), or as x-api-key."""
    assert await passes(header)
    assert await passes((b"host", b"x"), header, (b"x-request-id", b"1"))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [bearer("")],
        [(b"authorization", b"Bearer")],
        [bearer("wrong")],
        [bearer(KEY[:-1])],
        [bearer(KEY + "x")],
        [bearer(KEY.upper())],
        [(b"authorization", KEY.encode())],
        [(b"authorization", f"Basic {KEY}".encode())],
        [(b"authorization", f"Bearer{KEY}".encode())],
        [x_api_key("")],
        [x_api_key("wrong")],
        [x_api_key(f"Bearer {KEY}")],
        [bearer("\xff\xfe")],
        [bearer("wrong"), x_api_key(KEY)],
        [(b"cookie", f"key={KEY}".encode())],
        [(b"api-key", KEY.encode())],
    ],
)
async def test_anything_else_is_refused(headers: list[Header]) -> None:
    """Missing, wrong, nearly right, in the wrong place; a bearer token that is given is the one that counts."""
    assert not await passes(*headers)


async def test_a_key_beside_credentials_of_another_scheme_opens() -> None:
    """A proxy's own Basic credentials do not get in the way."""
    assert await passes((b"authorization", b"Basic dXNlcjpwYXNz"), x_api_key(KEY))


async def test_a_missing_and_a_wrong_key_get_the_same_answer() -> None:
    """It says how to send a key and where its owner finds it, not what was wrong, nor any key."""
    answers: list[tuple[str, dict[str, str]]] = []
    for headers in ([], [bearer("wrong-key-of-a-client")], [x_api_key("wrong-key-of-a-client")]):
        scope = cast("Any", {"type": "http", "headers": headers, "route_handler": SimpleNamespace(opt={})})
        with pytest.raises(Problem) as problem:
            await RequireKey(NOT_USED, KEY)(scope, NOT_USED, NOT_USED)
        answers.append((problem.value.message, problem.value.headers()))
    assert answers[0] == answers[1] == answers[2]
    message, sent = answers[0]
    assert "Authorization: Bearer KEY" in message
    assert "API_SECRET_TOKEN" in message
    assert "wrong-key" not in message
    assert KEY not in message
    assert sent == {"x-should-retry": "false", "www-authenticate": "Bearer"}


async def test_what_is_public_needs_no_key() -> None:
    """And does not mind a wrong one."""
    assert await passes(public=True)
    assert await passes(bearer("wrong"), public=True)


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60))
async def test_no_other_text_opens(text: str) -> None:
    """Whatever bytes a header carries: only the key is the key, and nothing raises."""
    if text.strip() != KEY:
        assert not await passes(bearer(text))
        assert not await passes(x_api_key(text))


@pytest.mark.parametrize("given_key", ["", "x", KEY, "x" * 10_000])
async def test_keys_are_compared_as_digests_of_one_length_in_constant_time(
    given_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long a comparison takes tells neither how long the key is nor how much of a guess is right."""
    compared: list[tuple[bytes, bytes]] = []

    def recorded(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(api.auth, "hmac", SimpleNamespace(compare_digest=recorded))
    for headers in ([bearer(given_key)], [x_api_key(given_key)], []):
        await passes(*headers)
    assert len(compared) == 3
    assert {len(digest) for pair in compared for digest in pair} == {32}
    assert KEY.encode() not in b"".join(digest for pair in compared for digest in pair)


async def test_the_key_itself_is_not_kept() -> None:
    """Its digest is enough to compare with."""
    assert KEY not in str(vars(RequireKey(NOT_USED, KEY)))
