"""The fetches of one request: each URL once, counted as body memory, within its key's limit of connections."""

from asyncio import Lock
from collections import defaultdict

from api.core.problems import too_large_problem
from api.http.inflight_bodies import MAX_BODY_BYTES, BodyReservation
from api.media.blocks import OfficeDocument, RemoteDocument, RemoteMedia
from api.media.fetcher import Fetcher, to_part
from shared.turn import Document, Image

type MediaLocation = tuple[type[RemoteMedia], str]
type PartKey = tuple[MediaLocation, str | None, str | None]


class RequestFetches:
    """Fetches the media of one request. Mutable: the fetched parts. share: the request's reservation of body memory."""

    def __init__(self, fetcher: Fetcher, key: str, share: BodyReservation | None = None) -> None:
        self._fetcher = fetcher
        self._key = key
        self._share = share
        self._size = 0
        self._locks: defaultdict[MediaLocation, Lock] = defaultdict(Lock)
        self._fetched: dict[MediaLocation, bytes] = {}
        self._parts: dict[PartKey, Image | Document | OfficeDocument] = {}

    async def fetch_part(self, remote: RemoteMedia) -> Image | Document | OfficeDocument:
        """Returns an image or document. Raises Problem."""
        place = type(remote), remote.url
        labels = (remote.title, remote.context) if isinstance(remote, RemoteDocument) else (None, None)
        async with self._locks[place]:
            if place not in self._fetched:
                async with self._fetcher.take_slot(self._key):
                    self._fetched[place] = await self._fetcher.fetch_bytes(remote, self._count_bytes)
            if (place, *labels) not in self._parts:
                # Base64 is a third longer.
                self._count_bytes(len(self._fetched[place]) // 3)
                self._parts[place, *labels] = to_part(remote, self._fetched[place])
        return self._parts[place, *labels]

    def _count_bytes(self, size: int) -> None:
        self._size += size
        if self._size > MAX_BODY_BYTES:
            raise too_large_problem()
        if self._share:
            self._share.reserve(size)
