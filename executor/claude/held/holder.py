"""Ties one turn to the held processes: the process that continues its conversation, and the one that is kept after it."""

import asyncio
import time

from executor.claude.cli.process import CliProcess
from executor.claude.held.store import HeldProcess, HeldProcesses
from shared.conversation import identify, identify_next
from shared.turn import Block
from shared.wire import Submit

HELD = "held"


class ConversationHolder:
    """Mutable: why the turn is replayed, and the process that is kept after it.

    reason: empty while nothing is known, and for turns that no process can continue.
    """

    def __init__(self, store: HeldProcesses, submit: Submit) -> None:
        self.reason = ""
        self._kept: HeldProcess | None = None
        self._started_at = asyncio.get_running_loop().time()
        self._store = store
        self._submit = submit
        is_off = not (store.limits.max_processes and submit.conversation_key)
        self._conversation = None if is_off else identify(submit.turn, submit.conversation_key)
        self._turns = 0

    @property
    def can_keep(self) -> bool:
        """Whether a process may be held after the turn, if it ends as it should."""
        return self._conversation is not None and self._conversation.problem != "ends_with_answer"

    @property
    def kept_process(self) -> CliProcess | None:
        """The process that is held after the turn."""
        return self._kept.process if self._kept else None

    def take(self) -> HeldProcess | None:
        """Returns the process that holds the conversation of the turn, or None."""
        if self._conversation is None:
            return None
        taken = self._store.take(self._conversation)
        if isinstance(taken, str):
            self.reason = taken
            return None
        self._turns = taken.turns
        return taken

    def keep_process(self, process: CliProcess, cost_usd: float, answer: tuple[Block, ...]) -> tuple[str, ...]:
        """Holds the process that gave the answer. Returns the handles of the conversation; none if it is not held."""
        if self._conversation is None or not self._store.may_hold(self._conversation.key, self._started_at):
            return ()
        conversations = identify_next(self._conversation, answer)
        expires_at = self._submit.key_expires_at
        ttl = self._store.limits.ttl if expires_at is None else expires_at - time.time()
        self._kept = self._store.hold(process, conversations, cost_usd, self._turns + 1, ttl)
        if self._kept is None:
            return ()
        return tuple(conversation.handle for conversation in conversations)

    def replay(self, reason: str) -> None:
        """Records that the process that was taken failed, so that another one gets the turn."""
        self.reason = reason
        self._turns = 0
        self._store.record_failed_hit(reason)

    def forget_process(self) -> None:
        """Ends the kept process, because the turn did not end as it should."""
        if self._kept:
            self._store.end(self._kept, "client_disconnected")
