"""Responses that are kept for a while, in memory, so that later requests can go on from them.

Law: bounded in number, bytes and age, whatever is sent: the oldest go first. What one key stored, another can't find.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from api.problems import Problem


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


class Store:
    """All keys' responses. Mutable: those that are kept, the oldest first."""

    def __init__(self, most: int, most_bytes: int, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._age = age
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Stored]] = OrderedDict()
        self._bytes = 0

    def shelf(self, key: str) -> "Shelf":
        """What one key may see."""
        return Shelf(self, key)

    def put(self, key: str, stored: Stored) -> None:
        """Keep a response, as far as the limits allow."""
        self._expire()
        if not self._most or stored.size > self._most_bytes:
            return
        self._kept[key, stored.id] = self._clock(), stored
        self._bytes += stored.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def get(self, key: str, response_id: str) -> Stored | None:
        """A response of this key's."""
        self._expire()
        found = self._kept.get((key, response_id))
        return found[1] if found else None

    def all(self, key: str) -> Sequence[Stored]:
        """Every response of this key's, the newest first."""
        self._expire()
        return [stored for (owner, _), (_, stored) in reversed(self._kept.items()) if owner == key]

    def drop(self, key: str, response_id: str) -> bool:
        """Keep a response no longer; whether there was one."""
        self._expire()
        if (key, response_id) not in self._kept:
            return False
        self._drop((key, response_id))
        return True

    def _expire(self) -> None:
        oldest = self._clock() - self._age
        for name in [name for name, (since, _) in self._kept.items() if since < oldest]:
            self._drop(name)

    def _drop(self, name: tuple[str, str]) -> None:
        _, stored = self._kept.pop(name)
        self._bytes -= stored.size


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

    def item(self, item_id: str) -> msgspec.Raw | None:
        """An item of a response; None when it is not kept."""
        # Most items need not be read to see that they are not it.
        mark = msgspec.json.encode(item_id)
        for stored in self._store.all(self._key):
            for item in (*stored.output, *stored.items):
                if mark in bytes(item) and _id(item) == item_id:
                    return item
        return None


def _id(item: msgspec.Raw) -> object:
    fields = msgspec.json.decode(bytes(item), type=dict[str, object])
    return fields.get("id")


def _missing(response_id: str) -> Problem:
    message = f"No response with id '{response_id}' is kept here: it was not stored, or is kept no longer."
    return Problem(404, "response_not_found", message, param="response_id")
