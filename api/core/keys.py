"""Named keys: their records, their generation and their lookup. Pure, except for the time.

Invariants: a key is 256 random bits and is shown once; only its HMAC-SHA256 is stored, with a pepper that is stored
elsewhere.
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
    """The limits of a key; None means no limit. Days and months are in UTC."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_jobs: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None

    @property
    def has_budget(self) -> bool:
        """Whether the key has a limit of a day or a month, so that its earlier usage counts."""
        return not (self.usd_per_day is self.usd_per_month is self.tokens_per_day is self.tokens_per_month is None)


class Key(Struct, frozen=True):
    """A stored key. models: None allows every model. created, expires: seconds since 1970."""

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
    """The authenticated caller. key: None for the owner, who may do everything."""

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
        """Whether the principal has one of the scopes."""
        return not set(scopes).isdisjoint(self.scopes)


def generate_key() -> str:
    """Returns a new key, as its holder sends it."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str, pepper: bytes) -> str:
    """Returns the stored digest of a key."""
    return hmac.new(pepper, key.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def hash_pepper(pepper: bytes) -> str:
    """Returns a digest that identifies a pepper without revealing it."""
    return hash_key("check", pepper)


class Keyring:
    """The keys in memory, so that a lookup needs no I/O. Mutable: all keys are replaced when one of them changes.

    is_loaded: whether the keys were ever read. Until then no key can be called wrong.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        self.pepper = b""
        self._by_digest: dict[str, Key] = {}
        self._by_id: dict[str, Key] = {}

    @property
    def has_keys(self) -> bool:
        """Whether there are named keys."""
        return bool(self._by_id)

    def replace(self, keys: Iterable[Key]) -> None:
        """Replace all keys."""
        self._by_digest = {key.digest: key for key in keys}
        self._by_id = {key.id: key for key in self._by_digest.values()}
        self.is_loaded = True

    def find(self, key: str) -> Key | None:
        """Returns the record of a key that a client sent; None if there is none."""
        return self._by_digest.get(hash_key(key, self.pepper)) if self.pepper else None

    def find_by_id(self, key_id: str) -> Key | None:
        """Returns the current record of the key with this id."""
        return self._by_id.get(key_id)

    def list_names_with_budget(self) -> list[str]:
        """Returns the names of the keys that have a budget."""
        return [key.name for key in self._by_id.values() if key.allowance.has_budget]
