"""Holds CLI processes after an answer, so that the next request of the conversation needs no other process.

Invariants: a process is held for one conversation of one key, and continues it once. It is ended after its time, when its
key ends, and when its memory is needed. The store knows digests of conversations and none of their content.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from msgspec import Struct

from executor.claude.cli.process import CliProcess
from executor.claude.held.limits import HeldLimits, read_private_memory
from shared.claude_status import HeldStatus
from shared.conversation import Conversation

# For how many conversations that are no longer held the reason is known.
MAX_REASONS = 1000


class HeldProcess(Struct, frozen=True, eq=False):
    """A held process. conversations: the one that it continues, in each form in which clients send it back.

    cost_usd: the cost of the process so far, as the CLI reported it. turns: its answers so far. held_at: in the loop's time.
    release: removes the timer and the callback that end it.
    """

    process: CliProcess
    conversations: tuple[Conversation, ...]
    cost_usd: float
    turns: int
    held_at: float
    release: Callable[[], None]

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
        # When the processes of a key were last ended, in the loop's time; "" stands for those of all keys.
        self._ended_at: OrderedDict[str, float] = OrderedDict()
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
            self.end(held, "process_ended")
        reason = conversation.problem or self._reasons.get(conversation.handle) or self._compare(conversation)
        self.replays[reason] += 1
        return reason

    def record_failed_hit(self, reason: str) -> None:
        """Counts a hit as a replay, because the process that was taken failed before it had the request."""
        self.hits -= 1
        self.replays[reason] += 1
        self.ends[reason] += 1

    def may_hold(self, key: str, started_at: float) -> bool:
        """Whether a process may be held for a job of this key. started_at: when the job started, in the loop's time."""
        ended_at = max(self._ended_at.get(key, 0.0), self._ended_at.get("", 0.0))
        return not self._is_closed and ended_at < started_at

    def hold(
        self, process: CliProcess, conversations: tuple[Conversation, ...], cost_usd: float, turns: int, ttl: float
    ) -> HeldProcess | None:
        """Holds a process that has answered, for at most `ttl` seconds. Returns it, or None if it is not held."""
        ttl, own_bytes = min(ttl, self.limits.ttl), self._read_memory(process.process.pid)
        if ttl <= 0 or own_bytes > self.limits.max_bytes:
            return None
        for conversation in conversations:
            if other := self._by_handle.get(conversation.handle):
                # The same request was answered twice in the same words.
                self.end(other, "replaced")
        while len(self) >= self.limits.max_processes:
            self.end_least_valuable("max_processes")
        while self.memory_bytes + own_bytes > self.limits.max_bytes and len(self):
            self.end_least_valuable("memory")
        loop = asyncio.get_running_loop()
        timer = loop.call_later(ttl, lambda: self.end(held, "expired"))

        def on_exit(_exited: object) -> None:
            self.end(held, "process_ended")

        def release() -> None:
            timer.cancel()
            process.exited.remove_done_callback(on_exit)

        process.exited.add_done_callback(on_exit)
        held = HeldProcess(process, conversations, cost_usd, turns, loop.time(), release)
        for conversation in conversations:
            self._by_handle[conversation.handle] = held
            self._reasons.pop(conversation.handle, None)
        return held

    def end_least_valuable(self, reason: str) -> CliProcess | None:
        """Ends one process and returns it; None if there is none.

        It is a process of the key that holds most. Among those, one that gave a single answer goes before the others, and
        one that was held for longer before the later ones.
        """
        counts = Counter(held.key for held in self._list())
        held = max(self._list(), key=lambda held: (counts[held.key], held.turns == 1, -held.held_at), default=None)
        if held is None:
            return None
        self.end(held, reason)
        return held.process

    def end_key(self, key: str | None, reason: str) -> int:
        """Ends the processes of a key; None: of every key. Jobs that run now hold none either. Returns how many."""
        self._ended_at[key or ""] = asyncio.get_running_loop().time()
        self._ended_at.move_to_end(key or "")
        while len(self._ended_at) > MAX_REASONS:
            self._ended_at.popitem(last=False)
        ending = [held for held in self._list() if key is None or held.key == key]
        for held in ending:
            self.end(held, reason)
        return len(ending)

    def close(self) -> None:
        """Ends every process, and holds none from now on."""
        self._is_closed = True
        self.end_key(None, "drain")

    def _list(self) -> list[HeldProcess]:
        return list(dict.fromkeys(self._by_handle.values()))

    def end(self, held: HeldProcess, reason: str) -> None:
        """Ends a process, unless it is no longer held."""
        if self._by_handle.get(held.conversations[0].handle) is held:
            self._remove(held, reason)
            self.ends[reason] += 1
            self._discard(held.process)

    def _remove(self, held: HeldProcess, reason: str) -> None:
        held.release()
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
