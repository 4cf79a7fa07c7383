"""Held conversations, as the API sees them: which executor holds which, and how they are ended.

Invariants: requests of different keys never have the same conversation key; neither have requests before and after a rotation
of their key. The API knows digests of conversations and none of their content.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import structlog

from api.auth.revocation import Revocation
from api.core.caller import Caller
from api.core.dialect_names import Dialect
from api.executors.client import ExecutorConnection
from api.executors.pool import STATUS_TIMEOUT, ExecutorPool
from shared.conversation import identify
from shared.process.peers import UntrustedSocketError
from shared.wire import EndHeld, HeldEnded, Submit, WireError, exchange

# The APIs whose clients send a conversation again with each request.
CONTINUED_DIALECTS: tuple[Dialect, ...] = ("chat", "responses", "messages")
MAX_ROUTES = 10_000
END_ATTEMPTS = 30
DIGEST_BYTES = 16

log = structlog.get_logger()


class ConversationRoute:
    """Where one job runs. Mutable: the executor that accepted it.

    find_preferred: returns the executor that holds its conversation, or an empty text; called only where there are several.
    """

    def __init__(self, find_preferred: Callable[[], str]) -> None:
        self.find_preferred = find_preferred
        self.executor = ""

    def wrap(self, on_accepted: Callable[[ExecutorConnection], None]) -> Callable[[ExecutorConnection], None]:
        """Returns a function that records the executor and then calls the given one."""

        def record(connection: ExecutorConnection) -> None:
            self.executor = connection.executor
            on_accepted(connection)

        return record


class HeldConversations:
    """Mutable: the executors by the handles of conversations, and the requests to executors in progress."""

    def __init__(self, executors: ExecutorPool, revocation: Revocation, secret: str) -> None:
        """secret: API_SECRET_TOKEN; after a change of it no conversation is continued."""
        self._executors = executors
        self._revocation = revocation
        self._secret = hashlib.sha256(secret.encode()).digest()
        self._routes: OrderedDict[str, str] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def build_key(self, caller: Caller) -> str:
        """Returns the conversation key of a caller; empty for a caller that does not continue conversations."""
        return self._build_key(caller) if caller.dialect in CONTINUED_DIALECTS else ""

    async def start(self) -> None:
        """Ends what is held for an earlier process of the API: a key may have ended since."""
        self._end_soon(None)

    async def close(self) -> None:
        """Waits until no process is left to end, for a short time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STATUS_TIMEOUT)

    def track_key(self, caller: Caller, conversation_key: str) -> None:
        """Ends the held processes of a caller's key when that key ends. Called before the job starts."""
        if conversation_key:
            self._revocation.track_resource(caller, "held", lambda: self._end_soon(conversation_key))

    def build_route(self, submit: Submit, *, is_single: bool) -> ConversationRoute:
        """Builds the route of a job. is_single: False for one of several jobs of a turn, which run anywhere."""

        def find_preferred() -> str:
            if not is_single or not self._routes or not submit.conversation_key:
                return ""
            return self._routes.get(identify(submit.turn, submit.conversation_key).handle, "")

        return ConversationRoute(find_preferred)

    def record(self, route: ConversationRoute, handles: tuple[str, ...]) -> None:
        """Records the executor that holds a conversation after an answer."""
        for handle in handles:
            self._routes[handle] = route.executor
            self._routes.move_to_end(handle)
        while len(self._routes) > MAX_ROUTES:
            self._routes.popitem(last=False)

    async def end(self, caller: Caller | None) -> int:
        """Ends the held processes of a caller's key; None: of every key. Returns how many."""
        message = EndHeld(self._build_key(caller) if caller else None)
        counts = await asyncio.gather(*(_end_at(message, path) for path in self._executors.list_sockets()))
        return sum(count or 0 for count in counts)

    def _build_key(self, caller: Caller) -> str:
        identity = f"{caller.key_id}\0{caller.key_digest or ''}"
        return hashlib.blake2b(identity.encode(), key=self._secret, digest_size=DIGEST_BYTES).hexdigest()

    def _end_soon(self, conversation_key: str | None) -> None:
        task = asyncio.create_task(self._end(conversation_key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, conversation_key: str | None) -> None:
        """Ends processes at every executor, and asks those again that do not answer."""
        message, pending = EndHeld(conversation_key), set(self._executors.list_sockets())
        for _ in range(END_ATTEMPTS):
            paths = sorted(pending)
            counts = await asyncio.gather(*(_end_at(message, path) for path in paths))
            pending = {path for path, count in zip(paths, counts, strict=True) if count is None}
            pending &= set(self._executors.list_sockets())
            if not pending:
                return
            await asyncio.sleep(STATUS_TIMEOUT)
        log.error("held CLI processes could not be ended", executors=[path.stem for path in pending])


async def _end_at(message: EndHeld, path: Path) -> int | None:
    """Ends processes of one executor. Returns how many; None if it does not answer.

    An executor that does not listen, or is of another version, holds none for this API.
    """
    try:
        async with asyncio.timeout(STATUS_TIMEOUT):
            answer = await exchange(path, message)
    except (TimeoutError, WireError):
        return None
    except (OSError, UntrustedSocketError):
        return 0
    return answer.count if isinstance(answer, HeldEnded) else 0
