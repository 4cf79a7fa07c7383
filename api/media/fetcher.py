"""Fetches the images and documents that a request names by URL.

Invariants: nothing is fetched from an address that is not public. A host name is resolved once per hop, all its addresses
are checked, and the connection goes to a checked address, so a second DNS answer has no effect. A redirect is a new URL
and is checked again. No proxy, cookie, credential or Referer is used; size and time are limited while the bytes arrive.
The message does not say why a host was rejected: an unknown name and one with an internal address get the same one.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from weakref import WeakValueDictionary

import httpx2
from anyio import Semaphore

from api.core.problems import Problem
from api.media import blocks
from api.media.blocks import MAX_FILE_BYTES, MAX_IMAGE_BYTES, RemoteDocument, RemoteMedia, media_problem
from api.media.public_addresses import Address, is_public
from shared.turn import Document, Image

type OnBytes = Callable[[int], None]
type Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]

DEFAULT_PORTS = {"http": 80, "https": 443}
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
MAX_FETCHES = 32
MAX_FETCHES_PER_KEY = 4
# Limits of one request: its documents stay in memory until all have arrived.
MAX_DOCUMENTS_PER_REQUEST = 8
MAX_FETCHES_PER_REQUEST = 100
# Digits of a valid Content-Length.
MAX_LENGTH_DIGITS = 18
REQUEST_HEADERS = {
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "claude-api-server",
}
ACCEPTED_IMAGES = "image/png, image/jpeg, image/gif, image/webp"
ACCEPTED_DOCUMENTS = "application/pdf, text/plain, text/*;q=0.9"


async def resolve_host(host: str, port: int) -> Sequence[Address]:
    """Returns the addresses that the system's resolver finds for a name. Raises OSError, UnicodeError."""
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(socket_address[0]) for *_, socket_address in addresses]


class Fetcher:
    """Fetches images and documents. Mutable: its transport's open connections, none of which outlives its fetch."""

    def __init__(
        self,
        enabled: bool,  # noqa: FBT001
        *,
        may_connect: Callable[[Address], bool] = is_public,
        resolve: Resolver = resolve_host,
        verify: ssl.SSLContext | bool = True,
        ports: frozenset[int] | None = frozenset(DEFAULT_PORTS.values()),
        connect_timeout: float = 4,
        read_timeout: float = 8,
        total_timeout: float = 20,
        max_bytes: int = MAX_IMAGE_BYTES,
        max_document_bytes: int = MAX_FILE_BYTES,
        max_redirects: int = 3,
    ) -> None:
        # A connection is never reused: one that was opened for a name must not serve another name of its address.
        limits = httpx2.Limits(max_connections=MAX_FETCHES, max_keepalive_connections=0)
        # A transport, not a client: a client would store cookies, add headers and follow redirects.
        self._transport: httpx2.AsyncBaseTransport | None = (
            httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits) if enabled else None
        )
        self._slots = Semaphore(MAX_FETCHES)
        # A key's semaphore is forgotten when no fetch of the key holds it or waits for it.
        self._key_slots = WeakValueDictionary[str, Semaphore]()
        self._may_connect = may_connect
        self._resolve = resolve
        self._ports = ports
        self._timeouts = {"connect": connect_timeout, "read": read_timeout, "write": read_timeout}
        self._total_timeout = total_timeout
        self._max_bytes = max_bytes
        self._max_document_bytes = max_document_bytes
        self._max_redirects = max_redirects

    @asynccontextmanager
    async def take_slot(self, key: str) -> AsyncGenerator[None]:
        """Waits until the key may start another fetch; the fetch ends with the block."""
        async with self._key_slots.setdefault(key, Semaphore(MAX_FETCHES_PER_KEY)), self._slots:
            yield

    async def fetch_bytes(self, remote: RemoteMedia, on_bytes: OnBytes = lambda _size: None) -> bytes:
        """Returns the bytes at a URL. on_bytes: is called with each chunk's size, and may raise. Raises Problem."""
        if self._transport is None:
            raise fetch_refused_problem("the server's owner has disabled fetching (FETCH_IMAGES).", remote)
        try:
            async with asyncio.timeout(self._total_timeout):
                return await self._fetch(self._transport, remote, on_bytes)
        except TimeoutError as error:
            raise fetch_failed_problem("the download timed out.", remote) from error
        except httpx2.TransportError as error:
            raise fetch_failed_problem("its server did not answer correctly.", remote) from error

    async def close(self) -> None:
        """Ends all fetches."""
        if self._transport is not None:
            await self._transport.aclose()

    async def _fetch(self, transport: httpx2.AsyncBaseTransport, remote: RemoteMedia, on_bytes: OnBytes) -> bytes:
        """Returns the bytes at a URL, following redirects. Raises Problem, httpx2.TransportError."""
        url = parse_url(None, remote.url, remote)
        for _ in range(self._max_redirects + 1):
            response = await self._send_request(transport, url, remote)
            try:
                if response.status_code not in REDIRECT_STATUSES or "location" not in response.headers:
                    return await self._read_body(response, remote, on_bytes)
                url = parse_url(url, response.headers["location"], remote)
            finally:
                await response.aclose()
        raise fetch_failed_problem(f"it redirects more than {self._max_redirects} times.", remote)

    async def _send_request(
        self, transport: httpx2.AsyncBaseTransport, url: httpx2.URL, remote: RemoteMedia
    ) -> httpx2.Response:
        """Returns the response of the first address that answers. Raises Problem, httpx2.TransportError."""
        failure: httpx2.TransportError | None = None
        accepted = ACCEPTED_DOCUMENTS if isinstance(remote, RemoteDocument) else ACCEPTED_IMAGES
        for address in await self._resolve_checked(url, remote):
            request = httpx2.Request(
                "GET",
                url.copy_with(host=str(address)),
                headers={"Host": url.netloc.decode(), "Accept": accepted, **REQUEST_HEADERS},
                extensions={"timeout": self._timeouts, "sni_hostname": url.raw_host.decode().rstrip(".")},
            )
            try:
                return await transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise fetch_failed_problem("its server can't be reached.", remote) from failure

    async def _resolve_checked(self, url: httpx2.URL, remote: RemoteMedia) -> Sequence[Address]:
        """Returns the addresses to connect to: up to two of each family, IPv4 first. Raises Problem."""
        if url.scheme not in DEFAULT_PORTS or not url.host:
            raise fetch_refused_problem("it is not http or https.", remote)
        if url.userinfo:
            raise fetch_refused_problem("it contains a user name or password.", remote)
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if self._ports is not None and port not in self._ports:
            raise fetch_refused_problem("its port is not 80 or 443.", remote)
        try:
            addresses = await self._resolve(url.raw_host.decode(), port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses or not all(self._may_connect(address) for address in addresses):
            raise fetch_refused_problem("its host is not on the public internet.", remote)
        ordered = sorted(dict.fromkeys(addresses), key=lambda address: address.version)
        return tuple(dict.fromkeys((*ordered[:2], *ordered[-2:])))

    async def _read_body(self, response: httpx2.Response, remote: RemoteMedia, on_bytes: OnBytes) -> bytes:
        """Returns the body, within the size limit. Raises Problem, httpx2.TransportError."""
        if response.status_code != 200:
            raise fetch_failed_problem(f"its server answered with status {response.status_code}.", remote)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise fetch_failed_problem("its server sends it compressed.", remote)
        length = response.headers.get("content-length", "")
        announced = int(length[:MAX_LENGTH_DIGITS]) if length.isascii() and length.isdigit() else 0
        limit = self._max_document_bytes if isinstance(remote, RemoteDocument) else self._max_bytes
        data = bytearray()
        if announced <= limit:
            async for chunk in response.aiter_raw():
                on_bytes(len(chunk))
                data += chunk
                if len(data) > limit:
                    break
            else:
                return bytes(data)
        sentence = f"the {remote.NOUN} is larger than {limit} bytes. Send a smaller one."
        raise media_problem(f"{remote.KIND}_too_large", sentence, remote.where, 413)


def to_part(remote: RemoteMedia, data: bytes) -> Image | Document | blocks.OfficeDocument:
    """Returns the block of fetched bytes: an image, or a document where one was requested. Raises Problem."""
    if isinstance(remote, RemoteDocument):
        return blocks.to_file_block(blocks.MediaData(data), remote.title, remote.where, context=remote.context)
    return blocks.build_image(data, remote.where)


def parse_url(base: httpx2.URL | None, url: str, remote: RemoteMedia) -> httpx2.URL:
    """Parses a URL, absolute or relative to another. Raises Problem."""
    try:
        return base.join(url) if base else httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise fetch_refused_problem("it is not a valid URL.", remote) from error


def fetch_refused_problem(sentence: str, remote: RemoteMedia) -> Problem:
    """Builds the problem of a URL that must not be fetched."""
    sentence = f"this URL can't be fetched: {sentence} Send the {remote.KIND} as {remote.FORM}."
    return media_problem(f"{remote.KIND}_fetch_refused", sentence, remote.where)


def fetch_failed_problem(sentence: str, remote: RemoteMedia) -> Problem:
    """Builds the problem of a failed fetch."""
    sentence = f"the {remote.NOUN} could not be fetched: {sentence} Send it as {remote.FORM}."
    return media_problem(f"{remote.KIND}_fetch_failed", sentence, remote.where)
