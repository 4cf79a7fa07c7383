"""The response store: holds responses in memory for a limited time, so that later requests can continue them.

Invariants: the number, bytes and age of responses are bounded. When a limit is exceeded, a key with more than its share
loses its oldest responses; otherwise the key with the most does. All keys with stored responses have the same share. A
key finds only its own responses. Request bodies are decoded in threads, which read the store, so a lock guards it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock

import msgspec
from msgspec import Struct

from api.core.problems import Problem


class StoredResponse(Struct, frozen=True):
    """A stored response.

    previous_items: the conversation before it. items: its input. output: its output items, with their sealed thinking.
    events: the events of its stream, if it is a background response.
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
        """The size in bytes, with the conversation before it, which it keeps in memory."""
        parts = (*self.previous_items, *self.items, *self.output, *self.events)
        return len(self.body) + sum(len(bytes(part)) for part in parts)


class _StoreEntry(Struct, frozen=True):
    """A response with its size and the time when it was stored."""

    stored_at: float
    size: int
    response: StoredResponse


class _KeyEntries:
    """The responses of one key. Mutable: the responses, oldest first, and their bytes."""

    def __init__(self) -> None:
        self.responses: OrderedDict[str, _StoreEntry] = OrderedDict()
        self.bytes = 0


class ResponseStore:
    """The responses of all keys. Mutable: the responses and their totals."""

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
        """Returns the view of one key."""
        return KeyResponses(self, key)

    def put(self, key: str, stored: StoredResponse) -> None:
        """Stores a response, as far as the limits allow."""
        size = stored.size
        with self._lock:
            self._expire()
            if not self._max_items or size > self._max_bytes:
                return
            self._delete(key, stored.id)
            self._keys.setdefault(key, _KeyEntries()).responses[stored.id] = _StoreEntry(self._clock(), size, stored)
            self._update_totals(key, 1, size)
            while self._count > self._max_items or self._bytes > self._max_bytes:
                evicted = self._find_evicted_key(key)
                self._delete(evicted, next(iter(self._keys[evicted].responses)))

    def get(self, key: str, response_id: str) -> StoredResponse | None:
        """Returns a response of this key."""
        with self._lock:
            self._expire()
            entries = self._keys.get(key)
            found = entries.responses.get(response_id) if entries else None
            return found.response if found else None

    def list_all(self, key: str) -> Sequence[StoredResponse]:
        """Returns all responses of this key, newest first."""
        with self._lock:
            self._expire()
            entries = self._keys.get(key)
            return [entry.response for entry in reversed(entries.responses.values())] if entries else []

    def delete(self, key: str, response_id: str) -> bool:
        """Deletes a response and returns whether there was one."""
        with self._lock:
            self._expire()
            return self._delete(key, response_id)

    def _find_evicted_key(self, key: str) -> str:
        """Returns the key whose oldest response makes room for a new one of `key`."""
        if self._count > self._max_items:
            amounts, limit = {name: len(entries.responses) for name, entries in self._keys.items()}, self._max_items
        else:
            amounts, limit = {name: entries.bytes for name, entries in self._keys.items()}, self._max_bytes
        if len(self._keys[key].responses) == 1:
            del amounts[key]  # its only response is the new one, which stays
        elif amounts[key] * len(amounts) > limit:
            return key
        return max(amounts, key=lambda name: amounts[name])

    def _expire(self) -> None:
        oldest = self._clock() - self._ttl
        for key, entries in tuple(self._keys.items()):
            while entries.responses and next(iter(entries.responses.values())).stored_at < oldest:
                self._delete(key, next(iter(entries.responses)))

    def _delete(self, key: str, response_id: str) -> bool:
        entries = self._keys.get(key)
        entry = entries.responses.pop(response_id, None) if entries else None
        if entry is None:
            return False
        self._update_totals(key, -1, -entry.size)
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
        """Stores a response, as far as the limits allow."""
        self._store.put(self._key, stored)

    def get(self, response_id: str) -> StoredResponse:
        """Returns a response. Raises Problem (404)."""
        found = self._store.get(self._key, response_id)
        if not found:
            raise _not_found_problem(response_id)
        return found

    def delete(self, response_id: str) -> None:
        """Deletes a response. Raises Problem (404)."""
        if not self._store.delete(self._key, response_id):
            raise _not_found_problem(response_id)

    def get_conversation(self, response_id: str) -> Sequence[msgspec.Raw] | None:
        """Returns every item up to the end of a response; None if it is not stored."""
        found = self._store.get(self._key, response_id)
        return (*found.previous_items, *found.items, *found.output) if found else None

    def get_items(self, ids: Collection[str]) -> Mapping[str, msgspec.Raw]:
        """Returns the items with these ids, as far as they are stored."""
        found: dict[str, msgspec.Raw] = {}
        for stored in self._store.list_all(self._key) if ids else ():
            for item in (*stored.output, *stored.items):
                if (item_id := _get_id(item)) and item_id in ids:
                    found.setdefault(item_id, item)
            if len(found) == len(ids):
                break
        return found


class _ItemId(Struct, frozen=True):
    id: object = None


_identified = msgspec.json.Decoder(_ItemId)


def _get_id(item: msgspec.Raw) -> str:
    """Returns an item's id, or an empty string."""
    found = _identified.decode(item).id
    return found if isinstance(found, str) else ""


def _not_found_problem(response_id: str) -> Problem:
    message = f"Response with id '{response_id}' not found: it was not stored, or it has expired."
    return Problem(404, "response_not_found", message, param="response_id")
