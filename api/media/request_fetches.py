"""What one request fetches: each address once, counted in the memory for bodies, within its key's share of connections."""

from asyncio import Lock
from collections import defaultdict

from api.core.problems import too_large
from api.http.inflight_bodies import LARGEST, Share
from api.media.blocks import OfficeDocument, Remote, RemoteDocument
from api.media.fetcher import Fetcher, as_part
from shared.turn import Document, Image

type Place = tuple[type[Remote], str]
type Named = tuple[Place, str | None, str | None]


class RequestFetches:
    """Mutable: what was fetched so far. share: what the request has of the memory for bodies."""

    def __init__(self, fetcher: Fetcher, key: str, share: Share | None = None) -> None:
        self._fetcher = fetcher
        self._key = key
        self._share = share
        self._size = 0
        self._locks: defaultdict[Place, Lock] = defaultdict(Lock)
        self._read: dict[Place, bytes] = {}
        self._parts: dict[Named, Image | Document | OfficeDocument] = {}

    async def part(self, remote: Remote) -> Image | Document | OfficeDocument:
        """The picture or document. Raises Problem."""
        place = type(remote), remote.url
        said = (remote.title, remote.context) if isinstance(remote, RemoteDocument) else (None, None)
        async with self._locks[place]:
            if place not in self._read:
                async with self._fetcher.queue.turn(self._key):
                    self._read[place] = await self._fetcher.read(remote, self._count)
            if (place, *said) not in self._parts:
                # As text it is longer by a third.
                self._count(len(self._read[place]) // 3)
                self._parts[place, *said] = as_part(remote, self._read[place])
        return self._parts[place, *said]

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > LARGEST:
            raise too_large()
        if self._share:
            self._share.take(size)
