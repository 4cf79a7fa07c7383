"""Responses that are kept for a while, in memory, so that later requests can go on from them.

Invariants: bounded in number, bytes and age, whatever is sent. A key that has more than its share, which is the same for all
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


class StoredResponse(Struct, frozen=True):
    """A response. before: the items of the conversation before it. items: its input. output: its own, thoughts included.

    events: what its stream said, if it was to be answered in the background.
    """

    id: str
    body: bytes
    previous_items: tuple[msgspec.Raw, ...]
    items: tuple[msgspec.Raw, ...]
    output: tuple[msgspec.Raw, ...]
    background: bool = False
    events: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Its bytes, with the conversation before it, which it keeps alive."""
        parts = (*self.previous_items, *self.items, *self.output, *self.events)
        return len(self.body) + sum(len(bytes(part)) for part in parts)


class _StoreEntry(Struct, frozen=True):
    """A response with its size, and the time since which it is kept."""

    stored_at: float
    size: int
    response: StoredResponse


class _KeyEntries:
    """What one key has here. Mutable: its responses, the oldest first, and their bytes."""

    def __init__(self) -> None:
        self.responses: OrderedDict[str, _StoreEntry] = OrderedDict()
        self.bytes = 0


class ResponseStore:
    """All keys' responses. Mutable: those that are kept."""

    def __init__(self, max_items: int, max_bytes: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._clock = clock
        self._lock = Lock()
        self._keys: dict[str, _KeyEntries] = {}
        self._count = 0
        self._bytes = 0

    def for_key(self, key: str) -> "KeyResponses":
        """What one key may see."""
        return KeyResponses(self, key)

    def put(self, key: str, stored: StoredResponse) -> None:
        """Keep a response, as far as the limits allow."""
        size = stored.size
        with self._lock:
            self._expire()
            if not self._max_items or size > self._max_bytes:
                return
            self._delete(key, stored.id)
            self._keys.setdefault(key, _KeyEntries()).responses[stored.id] = _StoreEntry(self._clock(), size, stored)
            self._update_totals(key, 1, size)
            while self._count > self._max_items or self._bytes > self._max_bytes:
                giver = self._find_evicted_key(key)
                self._delete(giver, next(iter(self._keys[giver].responses)))

    def get(self, key: str, response_id: str) -> StoredResponse | None:
        """A response of this key's."""
        with self._lock:
            self._expire()
            holding = self._keys.get(key)
            found = holding.responses.get(response_id) if holding else None
            return found.response if found else None

    def list_all(self, key: str) -> Sequence[StoredResponse]:
        """Every response of this key's, the newest first."""
        with self._lock:
            self._expire()
            holding = self._keys.get(key)
            return [kept.response for kept in reversed(holding.responses.values())] if holding else []

    def delete(self, key: str, response_id: str) -> bool:
        """Keep a response no longer; whether there was one."""
        with self._lock:
            self._expire()
            return self._delete(key, response_id)

    def _find_evicted_key(self, key: str) -> str:
        """Whose oldest response makes room for one of this key's."""
        if self._count > self._max_items:
            amounts, most = {name: len(holding.responses) for name, holding in self._keys.items()}, self._max_items
        else:
            amounts, most = {name: holding.bytes for name, holding in self._keys.items()}, self._max_bytes
        if len(self._keys[key].responses) == 1:
            del amounts[key]  # the new one stays
        elif amounts[key] * len(amounts) > most:
            return key
        return max(amounts, key=lambda name: amounts[name])

    def _expire(self) -> None:
        oldest = self._clock() - self._ttl
        for key, holding in tuple(self._keys.items()):
            while holding.responses and next(iter(holding.responses.values())).stored_at < oldest:
                self._delete(key, next(iter(holding.responses)))

    def _delete(self, key: str, response_id: str) -> bool:
        holding = self._keys.get(key)
        kept = holding.responses.pop(response_id, None) if holding else None
        if kept is None:
            return False
        self._update_totals(key, -1, -kept.size)
        return True

    def _update_totals(self, key: str, count: int, size: int) -> None:
        self._count += count
        self._bytes += size
        self._keys[key].bytes += size
        if not self._keys[key].responses:
            del self._keys[key]


class KeyResponses:
    """The responses of one key."""

    def __init__(self, store: ResponseStore, key: str) -> None:
        self._store = store
        self._key = key

    def put(self, stored: StoredResponse) -> None:
        """Keep a response, as far as the limits allow."""
        self._store.put(self._key, stored)

    def get(self, response_id: str) -> StoredResponse:
        """A response. Raises Problem (404)."""
        found = self._store.get(self._key, response_id)
        if not found:
            raise _not_found_problem(response_id)
        return found

    def delete(self, response_id: str) -> None:
        """Keep a response no longer. Raises Problem (404)."""
        if not self._store.delete(self._key, response_id):
            raise _not_found_problem(response_id)

    def get_conversation(self, response_id: str) -> Sequence[msgspec.Raw] | None:
        """Every item up to the end of a response; None when it is not kept."""
        found = self._store.get(self._key, response_id)
        return (*found.previous_items, *found.items, *found.output) if found else None

    def get_items(self, ids: Collection[str]) -> Mapping[str, msgspec.Raw]:
        """The items of these ids, as far as they are kept."""
        found: dict[str, msgspec.Raw] = {}
        for stored in self._store.list_all(self._key) if ids else ():
            for item in (*stored.output, *stored.items):
                if (item_id := _get_id(item)) and item_id in ids:
                    found.setdefault(item_id, item)
            if len(found) == len(ids):
                break
        return found

    def get_item(self, item_id: str) -> msgspec.Raw | None:
        """An item of a response; None when it is not kept."""
        return self.get_items({item_id}).get(item_id)


class _ItemId(Struct, frozen=True):
    id: object = None


_identified = msgspec.json.Decoder(_ItemId)


def _get_id(item: msgspec.Raw) -> str:
    """An item's id; empty where it has none."""
    found = _identified.decode(item).id
    return found if isinstance(found, str) else ""


def _not_found_problem(response_id: str) -> Problem:
    message = f"No response with id '{response_id}' is kept here: it was not stored, or is kept no longer."
    return Problem(404, "response_not_found", message, param="response_id")
