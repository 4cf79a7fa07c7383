"""Holds CLI processes after an answer, so that the next request of the conversation needs no other process.

Invariants: a process is held for one conversation of one key, and continues it once. It is ended after its time, when its
key ends, and when its memory is needed. The store knows digests of conversations and none of their content.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

import structlog
from msgspec import Struct

from executor.claude.cli.process import CliProcess
from executor.claude.held.limits import HeldLimits, read_private_memory
from shared.claude_status import HeldStatus
from shared.conversation import Conversation

# For how many conversations that are no longer held the reason is known.
MAX_REASONS = 1000

log = structlog.get_logger()


class HeldProcess(Struct, frozen=True, eq=False):
    """A held process. conversations: the one that it continues, in each form in which clients send it back.

    cost_usd: the cost of the process so far, as the CLI reported it. turns: its answers so far. held_at: in the loop's time.
    """

    process: CliProcess
    conversations: tuple[Conversation, ...]
    cost_usd: float
    turns: int
    held_at: float
    timer: asyncio.TimerHandle

    @property
    def key(self) -> str:
        """The key of its caller."""
        return self.conversations[0].key


class HeldProcesses:
    """Mutable: the held processes, why conversations are no longer held, and the counts since the start.

    hits: how many requests continued a held process; hit_seconds: how long those processes were held, together. replays: the
    other requests, by reason. ends: the processes that were ended, by reason.
    """

    def __init__(
        self,
        limits: HeldLimits,
        discard: Callable[[CliProcess], None],
        read_memory: Callable[[int], int] = read_private_memory,
    ) -> None:
        """discard: ends a process."""
        self.limits = limits
        self.hits = 0
        self.hit_seconds = 0.0
        self.replays: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self._discard = discard
        self._read_memory = read_memory
        self._by_handle: dict[str, HeldProcess] = {}
        self._reasons: OrderedDict[str, str] = OrderedDict()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<HeldProcesses [{len(self)}/{self.limits.max_processes} held]>"

    def __len__(self) -> int:
        return len(self._list())

    @property
    def memory_bytes(self) -> int:
        """The memory of all held processes that they share with no other."""
        return sum(self._read_memory(held.process.process.pid) for held in self._list())

    def build_status(self) -> HeldStatus:
        """Returns the counts, for the executor's status."""
        return HeldStatus(
            held=len(self),
            max_held=self.limits.max_processes,
            bytes=self.memory_bytes,
            max_bytes=self.limits.max_bytes,
            hits=self.hits,
            hit_seconds=self.hit_seconds,
            replays=dict(self.replays),
            ended=dict(self.ends),
        )

    def take(self, conversation: Conversation) -> HeldProcess | str:
        """Returns the process that holds a conversation, which is then no longer held; or why there is none."""
        held = self._by_handle.get(conversation.handle) if not conversation.problem else None
        if held and held.process.process.returncode is None:
            self._remove(held, "branch")
            self.hits += 1
            self.hit_seconds += asyncio.get_running_loop().time() - held.held_at
            return held
        if held:
            self._end(held, "process_ended")
        reason = conversation.problem or self._reasons.get(conversation.handle) or self._compare(conversation)
        self.replays[reason] += 1
        return reason

    def hold(
        self, process: CliProcess, conversations: tuple[Conversation, ...], cost_usd: float, turns: int, ttl: float
    ) -> bool:
        """Holds a process that has answered, for at most `ttl` seconds. Returns whether it is held."""
        ttl = min(ttl, self.limits.ttl)
        if self._is_closed or not self.limits.max_processes or ttl <= 0:
            return False
        for conversation in conversations:
            if other := self._by_handle.get(conversation.handle):
                # The same request was answered twice in the same words; the later process has the fresher cache.
                self._end(other, "replaced")
        while len(self) >= self.limits.max_processes:
            self.end_least_valuable("max_processes")
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ttl, lambda: self._end(held, "expired"))
        held = HeldProcess(process, conversations, cost_usd, turns, loop.time(), timer)
        for conversation in conversations:
            self._by_handle[conversation.handle] = held
            self._reasons.pop(conversation.handle, None)
        process.exited.add_done_callback(lambda _exited: self._end(held, "process_ended"))
        while self.memory_bytes > self.limits.max_bytes and self._list():
            self.end_least_valuable("memory")
        return self._by_handle.get(conversations[0].handle) is held

    def end_least_valuable(self, reason: str) -> bool:
        """Ends one process: the one that was held longest for each of its turns. Returns whether there was one."""
        now = asyncio.get_running_loop().time()
        held = max(self._list(), key=lambda held: (now - held.held_at) / held.turns, default=None)
        if held:
            self._end(held, reason)
        return held is not None

    def end_process(self, process: CliProcess, reason: str) -> None:
        """Ends the given process, if it is held."""
        for held in self._list():
            if held.process is process:
                self._end(held, reason)

    def end_key(self, key: str | None, reason: str) -> int:
        """Ends the processes of a key; None: of every key. Returns how many."""
        ending = [held for held in self._list() if key is None or held.key == key]
        for held in ending:
            self._end(held, reason)
        return len(ending)

    def close(self) -> None:
        """Ends every process, and holds none from now on."""
        self._is_closed = True
        self.end_key(None, "drain")

    def _list(self) -> list[HeldProcess]:
        return list(dict.fromkeys(self._by_handle.values()))

    def _end(self, held: HeldProcess, reason: str) -> None:
        if self._by_handle.get(held.conversations[0].handle) is held:
            self._remove(held, reason)
            self.ends[reason] += 1
            self._discard(held.process)

    def _remove(self, held: HeldProcess, reason: str) -> None:
        held.timer.cancel()
        for conversation in held.conversations:
            del self._by_handle[conversation.handle]
            self._reasons[conversation.handle] = reason
        while len(self._reasons) > MAX_REASONS:
            self._reasons.popitem(last=False)

    def _compare(self, wanted: Conversation) -> str:
        """Returns what is different from the held conversation that is most alike."""
        own = [held.conversations for held in self._list() if held.key == wanted.key]
        own_forms = [form for forms in own for form in forms]
        for form in own_forms:
            if form.history == wanted.history:
                for term in ("model", "system", "tools", "settings"):
                    if getattr(form, term) != getattr(wanted, term):
                        return f"{term}_changed"
        return "history_changed" if any(form.opening == wanted.opening for form in own_forms) else "not_held"
