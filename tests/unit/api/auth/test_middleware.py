"""Who may ask: the key, where it may stand, and how it is compared."""

import hmac
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.types import Receive, Scope, Send

import api.auth.middleware
from api.auth.middleware import MAX_CREDENTIALS, PUBLIC, AuthMiddleware
from api.core.keys import KEY_PREFIX, Key, Keyring, hash_key
from api.core.problems import Problem
from api.core.request_state import PRINCIPAL
from api.core.scopes import REQUIRED_SCOPE

KEY = "sk-local-0f1e2d3c4b5a6978"
PEPPER = b"pepper"
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
        await AuthMiddleware(application, key)(scope, NOT_USED, NOT_USED)
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


def api_key(value: str) -> Header:
    """The header that Azure's clients send."""
    return (b"api-key", value.encode("latin-1"))


@pytest.mark.parametrize(
    "header",
    [
        bearer(KEY),
        x_api_key(KEY),
        api_key(KEY),
        (b"authorization", f"bearer {KEY}".encode()),
        (b"authorization", f"BEARER   {KEY} ".encode()),
    ],
)
async def test_the_key_opens(header: Header) -> None:
    """As a bearer token, its scheme in any case (RFC 9110 §11.1), as x-api-key, or as Azure's api-key."""
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
        [(b"cookie", f"key={KEY}".encode())],
        [(b"x-goog-api-key", KEY.encode())],
        [bearer("wrong"), x_api_key("wrong"), api_key("wrong"), api_key(KEY[1:])],
        [(b"authorization", f"Basic {KEY}".encode()), bearer(""), x_api_key(" ")],
    ],
)
async def test_anything_else_is_refused(headers: list[Header]) -> None:
    """Missing, wrong, nearly right, in the wrong place; however many there are."""
    assert not await passes(*headers)


FOREIGN = [
    bearer("sk-ant-oat01-x"),
    bearer(""),
    (b"authorization", b"Bearer"),
    (b"authorization", b"Basic dXNlcjpwYXNz"),
    (b"authorization", b""),
    x_api_key("sk-ant-api03-x"),
    x_api_key(""),
    api_key("0123456789abcdef"),
    bearer("\xff\xfe"),
]


@pytest.mark.parametrize(
    "header",
    [
        bearer(f"sk-ant-oat01-x, Bearer {KEY}"),
        bearer(f"{KEY}, Bearer sk-ant-oat01-x"),
        (b"authorization", f"Basic dXNlcjpwYXNz, bearer {KEY}".encode()),
        x_api_key(f"x,{KEY}"),
        api_key(f"{KEY} , x"),
    ],
)
async def test_a_key_in_a_header_that_a_proxy_made_of_two_opens(header: Header) -> None:
    """Many fold what is repeated into one value, with commas (RFC 9110 §5.3)."""
    assert await passes(header)


async def test_a_key_may_have_a_comma() -> None:
    """It is tried whole, too."""
    assert await passes(x_api_key("a,b,c"), key="a,b,c")
    assert await passes(bearer("a, b"), key="a, b")
    assert not await passes(x_api_key("a"), key="a,b,c")


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("right", [bearer(KEY), x_api_key(KEY), api_key(KEY)])
async def test_a_key_beside_credentials_of_others_opens(foreign: Header, right: Header) -> None:
    """Clients send what they have, and proxies add their own; in either order, and in the same header again."""
    assert await passes(foreign, right)
    assert await passes(right, foreign)
    assert not await passes(foreign)


def named(name: str, **fields: Any) -> tuple[str, Key]:
    """A named key, as its holder sends it and as it is kept."""
    secret = KEY_PREFIX + name
    return secret, Key(name, name, hash_key(secret, PEPPER), ("chat",), **fields)


async def identified(*headers: Header, keys: Sequence[Key] = (), loaded: bool = True, public: bool = False) -> str:
    """Whose key counts; or the code of the refusal."""
    keyring = Keyring()
    keyring.pepper = PEPPER
    if loaded:
        keyring.replace(keys)
    scope = cast("Any", {"type": "http", "headers": list(headers), "state": {}})
    scope["route_handler"] = SimpleNamespace(opt={REQUIRED_SCOPE: "chat", PUBLIC: public})

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    try:
        await AuthMiddleware(application, KEY, keyring=keyring)(scope, NOT_USED, NOT_USED)
    except Problem as problem:
        return problem.code
    principal = scope["state"][PRINCIPAL]
    return principal.name if principal else ""


async def test_of_two_valid_keys_the_first_in_the_documented_order_counts() -> None:
    """Bearer tokens, then x-api-key, then api-key, wherever in the head they stand."""
    (one, kept_one), (two, kept_two) = named("one"), named("two")
    for headers, counts in (
        ((x_api_key(two), bearer(one)), "one"),
        ((api_key(one), x_api_key(two)), "two"),
        ((api_key(KEY), bearer(one), x_api_key(two)), "one"),
        ((bearer(two), bearer(one)), "two"),
        ((bearer("wrong"), bearer(KEY), bearer(one)), "owner"),
    ):
        assert await identified(*headers, keys=(kept_one, kept_two)) == counts


async def test_a_key_that_has_ended_is_told_only_where_no_other_is_valid() -> None:
    """So is that the keys can't be read."""
    (good, kept_good), (off, kept_off) = named("good"), named("off", disabled=True)
    keys = (kept_good, kept_off)
    assert await identified(bearer(off), x_api_key(good), keys=keys) == "good"
    assert await identified(bearer(off), x_api_key(KEY), keys=keys) == "owner"
    assert await identified(bearer("wrong"), x_api_key(off), keys=keys) == "key_disabled"
    assert await identified(bearer(good), x_api_key(KEY), loaded=False) == "owner"
    assert await identified(bearer("wrong"), x_api_key(good), loaded=False) == "database_unavailable"


async def test_what_is_public_knows_a_key_all_the_same() -> None:
    """/health tells more to who has one; one that has ended is as none."""
    off, kept_off = named("off", disabled=True)
    assert await identified(bearer("wrong"), api_key(KEY), public=True) == "owner"
    assert await identified(bearer(off), x_api_key("wrong"), keys=(kept_off,), public=True) == ""


async def test_only_so_many_credentials_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has room for thousands; one that comes again is no other."""
    hashed: list[str] = []
    digest_of = api.auth.middleware._hash_token  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(api.auth.middleware, "_hash_token", lambda key: hashed.append(key) or digest_of(key))
    assert not await passes(*[bearer(f"wrong {number}") for number in range(1000)], x_api_key(KEY))
    assert len(hashed) <= 1 + MAX_CREDENTIALS
    assert await passes(*[bearer("wrong")] * 1000, x_api_key(KEY))


async def test_a_missing_and_a_wrong_key_get_the_same_answer() -> None:
    """It says how to send a key and where its owner finds it, not what was wrong, nor any key."""
    answers: list[tuple[str, dict[str, str]]] = []
    wrong = "wrong-key-of-a-client"
    for headers in ([], [bearer(wrong)], [x_api_key(wrong)], [bearer(wrong), x_api_key(wrong), api_key(wrong + "2")]):
        scope = cast("Any", {"type": "http", "headers": headers, "route_handler": SimpleNamespace(opt={})})
        with pytest.raises(Problem) as problem:
            await AuthMiddleware(NOT_USED, KEY)(scope, NOT_USED, NOT_USED)
        answers.append((problem.value.message, problem.value.build_headers()))
    assert all(answer == answers[0] for answer in answers)
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

    monkeypatch.setattr(api.auth.middleware, "hmac", SimpleNamespace(compare_digest=recorded))
    for headers in ([bearer(given_key)], [x_api_key(given_key)], []):
        await passes(*headers)
    assert len(compared) == 3
    assert {len(digest) for pair in compared for digest in pair} == {32}
    assert KEY.encode() not in b"".join(digest for pair in compared for digest in pair)


async def test_the_key_itself_is_not_kept() -> None:
    """Its digest is enough to compare with."""
    assert KEY not in str(vars(AuthMiddleware(NOT_USED, KEY)))
