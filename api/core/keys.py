"""Named keys: what one is, how it is made, and how it is known again. Pure, but for the time.

Law: a key is 256 random bits and is told once; what is kept is its HMAC-SHA256 under a pepper that is not beside it.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable

from msgspec import Struct

from api.core.scopes import SCOPES, KeyScope

KEY_PREFIX = "sk-cas-"
OWNER = "owner"


class Allowance(Struct, frozen=True):
    """How much a key may use; None is no limit. Days and months are UTC's."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_jobs: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None

    @property
    def has_budget(self) -> bool:
        """Whether what it used before matters."""
        return not (self.usd_per_day is self.usd_per_month is self.tokens_per_day is self.tokens_per_month is None)


class Key(Struct, frozen=True):
    """A key as it is kept. models: None allows every one. created, expires: seconds since 1970."""

    id: str
    name: str
    digest: str
    scopes: tuple[KeyScope, ...]
    models: tuple[str, ...] | None = None
    created: float = 0
    expires: float | None = None
    disabled: bool = False
    allowance: Allowance = Allowance()

    def __repr__(self) -> str:
        return f"<Key {self.name}>"

    @property
    def is_expired(self) -> bool:
        return self.expires is not None and self.expires <= time.time()


class Principal(Struct, frozen=True):
    """Who asks. key: None for the owner, who may do everything."""

    key: Key | None = None

    @property
    def name(self) -> str:
        return self.key.name if self.key else OWNER

    @property
    def id(self) -> str:
        return self.key.id if self.key else OWNER

    @property
    def scopes(self) -> tuple[KeyScope, ...]:
        return self.key.scopes if self.key else SCOPES

    def has_any_scope(self, *scopes: str) -> bool:
        """Whether it has one of the scopes."""
        return not set(scopes).isdisjoint(self.scopes)


def generate_key() -> str:
    """A new key, as its holder sends it."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str, pepper: bytes) -> str:
    """What is kept of a key."""
    return hmac.new(pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def hash_pepper(pepper: bytes) -> str:
    """By which a pepper is known again, and not found."""
    return hash_key("check", pepper)


class Keyring:
    """The keys that are known here. Mutable: replaced as a whole whenever they changed; asking it is no I/O.

    loaded: whether they were ever read. Until then nobody can be told that a key is wrong.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        self.pepper = b""
        self._by_digest: dict[str, Key] = {}
        self._by_id: dict[str, Key] = {}

    @property
    def has_keys(self) -> bool:
        """Whether there is one."""
        return bool(self._by_id)

    def replace(self, keys: Iterable[Key]) -> None:
        """These are all the keys now."""
        self._by_digest = {key.digest: key for key in keys}
        self._by_id = {key.id: key for key in self._by_digest.values()}
        self.is_loaded = True

    def find(self, key: str) -> Key | None:
        """The key that was sent, if it is one."""
        return self._by_digest.get(hash_key(key, self.pepper)) if self.pepper else None

    def find_by_id(self, holder: str) -> Key | None:
        """The key of this id, as it is now."""
        return self._by_id.get(holder)

    def list_names_with_budget(self) -> list[str]:
        """The names of the keys whose use before matters."""
        return [key.name for key in self._by_id.values() if key.allowance.has_budget]
