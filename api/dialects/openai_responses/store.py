"""Responses that are kept for a while, in memory, so that later requests can go on from them.

Law: bounded in number, bytes and age, whatever is sent. A key that has more than its share, which is the same for all
keys that have something here, makes room itself, its oldest first; otherwise who has most makes room. What one key
stored, another can't find. Bodies are read in threads, so these are too: everything is done under a lock.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock

import msgspec
from msgspec import Struct

from api.core.problems import Problem


class Stored(Struct, frozen=True):
    """A response. before: the items of the conversation before it. items: its input. output: its own, thoughts included.

    events: what its stream said, if it was to be answered in the background.
    """

    id: str
    body: bytes
    before: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]
    output: tuple[msgspec.Raw, ...]
    background: bool = False
    events: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Its bytes, with the conversation before it, which it keeps alive."""
        parts = (*self.before, *self.items, *self.output, *self.events)
        return len(self.body) + sum(len(bytes(part)) for part in parts)


class _Kept(Struct, frozen=True):
    """A response with its size, and the time since which it is kept."""

    since: float
    size: int
    stored: Stored


class _Holding:
    """What one key has here. Mutable: its responses, the oldest first, and their bytes."""

    def __init__(self) -> None:
        self.responses: OrderedDict[str, _Kept] = OrderedDict()
        self.bytes = 0


class Store:
    """All keys' responses. Mutable: those that are kept."""

    def __init__(self, most: int, most_bytes: int, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._age = age
        self._clock = clock
        self._lock = Lock()
        self._keys: dict[str, _Holding] = {}
        self._count = 0
        self._bytes = 0

    def shelf(self, key: str) -> "Shelf":
        """What one key may see."""
        return Shelf(self, key)

    def put(self, key: str, stored: Stored) -> None:
        """Keep a response, as far as the limits allow."""
        size = stored.size
        with self._lock:
            self._expire()
            if not self._most or size > self._most_bytes:
                return
            self._drop(key, stored.id)
            self._keys.setdefault(key, _Holding()).responses[stored.id] = _Kept(self._clock(), size, stored)
            self._change(key, 1, size)
            while self._count > self._most or self._bytes > self._most_bytes:
                giver = self._giver(key)
                self._drop(giver, next(iter(self._keys[giver].responses)))

    def get(self, key: str, response_id: str) -> Stored | None:
        """A response of this key's."""
        with self._lock:
            self._expire()
            holding = self._keys.get(key)
            found = holding.responses.get(response_id) if holding else None
            return found.stored if found else None

    def all(self, key: str) -> Sequence[Stored]:
        """Every response of this key's, the newest first."""
        with self._lock:
            self._expire()
            holding = self._keys.get(key)
            return [kept.stored for kept in reversed(holding.responses.values())] if holding else []

    def drop(self, key: str, response_id: str) -> bool:
        """Keep a response no longer; whether there was one."""
        with self._lock:
            self._expire()
            return self._drop(key, response_id)

    def _giver(self, key: str) -> str:
        """Whose oldest response makes room for one of this key's."""
        if self._count > self._most:
            amounts, most = {name: len(holding.responses) for name, holding in self._keys.items()}, self._most
        else:
            amounts, most = {name: holding.bytes for name, holding in self._keys.items()}, self._most_bytes
        if len(self._keys[key].responses) == 1:
            del amounts[key]  # the new one stays
        elif amounts[key] * len(amounts) > most:
            return key
        return max(amounts, key=lambda name: amounts[name])

    def _expire(self) -> None:
        oldest = self._clock() - self._age
        for key, holding in tuple(self._keys.items()):
            while holding.responses and next(iter(holding.responses.values())).since < oldest:
                self._drop(key, next(iter(holding.responses)))

    def _drop(self, key: str, response_id: str) -> bool:
        holding = self._keys.get(key)
        kept = holding.responses.pop(response_id, None) if holding else None
        if kept is None:
            return False
        self._change(key, -1, -kept.size)
        return True

    def _change(self, key: str, count: int, size: int) -> None:
        self._count += count
        self._bytes += size
        self._keys[key].bytes += size
        if not self._keys[key].responses:
            del self._keys[key]


class Shelf:
    """The responses of one key."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def put(self, stored: Stored) -> None:
        """Keep a response, as far as the limits allow."""
        self._store.put(self._key, stored)

    def get(self, response_id: str) -> Stored:
        """A response. Raises Problem (404)."""
        found = self._store.get(self._key, response_id)
        if not found:
            raise _missing(response_id)
        return found

    def drop(self, response_id: str) -> None:
        """Keep a response no longer. Raises Problem (404)."""
        if not self._store.drop(self._key, response_id):
            raise _missing(response_id)

    def conversation(self, response_id: str) -> Sequence[msgspec.Raw] | None:
        """Every item up to the end of a response; None when it is not kept."""
        found = self._store.get(self._key, response_id)
        return (*found.before, *found.items, *found.output) if found else None

    def items(self, ids: Collection[str]) -> Mapping[str, msgspec.Raw]:
        """The items of these ids, as far as they are kept."""
        found: dict[str, msgspec.Raw] = {}
        for stored in self._store.all(self._key) if ids else ():
            for item in (*stored.output, *stored.items):
                if (item_id := _id(item)) and item_id in ids:
                    found.setdefault(item_id, item)
            if len(found) == len(ids):
                break
        return found

    def item(self, item_id: str) -> msgspec.Raw | None:
        """An item of a response; None when it is not kept."""
        return self.items({item_id}).get(item_id)


class _Identified(Struct, frozen=True):
    id: object = None


_identified = msgspec.json.Decoder(_Identified)


def _id(item: msgspec.Raw) -> str:
    """An item's id; empty where it has none."""
    found = _identified.decode(item).id
    return found if isinstance(found, str) else ""


def _missing(response_id: str) -> Problem:
    message = f"No response with id '{response_id}' is kept here: it was not stored, or is kept no longer."
    return Problem(404, "response_not_found", message, param="response_id")
