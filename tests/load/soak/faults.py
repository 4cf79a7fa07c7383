"""What goes wrong in a soak, by a seed: the service fails and stalls, executors and CLIs are killed."""

import asyncio
import contextlib
import random
import signal

import psutil

from tests.load.soak.load import CODE, answer_of
from tests.support.scripted.upstream import (
    AnswerReply,
    CutReply,
    ErrorEventReply,
    ErrorReply,
    ReceivedRequest,
    Reply,
    StalledReply,
    split_deltas,
)
from tests.support.stack import Program, Stack


class Script:
    """The service's answers. Mutable: its chances, and how often it did what."""

    def __init__(self, seed: int, trouble: float) -> None:
        self._chance = random.Random(seed)
        self._trouble = trouble
        self.replies: dict[str, int] = {}

    def __call__(self, received: ReceivedRequest) -> Reply:
        """An answer to what was asked, or trouble."""
        reply = self._reply(received)
        kind = type(reply).__name__
        self.replies[kind] = self.replies.get(kind, 0) + 1
        return reply

    def _reply(self, received: ReceivedRequest) -> Reply:
        if self._chance.random() < self._trouble:
            return self._chance.choice(
                (
                    ErrorReply(529, "overloaded_error"),
                    ErrorReply(500, "api_error"),
                    ErrorReply(429, "rate_limit_error"),
                    ErrorEventReply(3),
                    CutReply(3),
                    StalledReply(2),
                )
            )
        said = received.conversation
        prompt: str = said[0]["content"][-1]["text"]
        bash_tools = [tool["name"] for tool in received.body.get("tools", ()) if tool["name"].endswith("Bash")]
        if prompt.startswith(CODE) and bash_tools and len(said) == 1:
            return AnswerReply(tools=[(f"toolu_{received.number}", bash_tools[0], ['{"command": ', '"echo worked"}'])])
        pace = self._chance.choice((None, None, 50.0, 200.0))
        return AnswerReply(split_deltas([f"{word} " for word in answer_of(prompt).split()]), per_second=pace)


class Killer:
    """Kills at random, and starts executors again as a supervisor does.

    Mutable: its chances, how many requests there were, whom it killed, and every process it saw.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._chance = random.Random(seed)
        self._requests = 0
        self._turns = asyncio.Queue[None]()
        self.kills: dict[str, int] = {"executor": 0, "tools": 0, "cli": 0}
        self.seen: dict[int, float] = {}

    def count(self, every: int) -> None:
        """A request is over; after so many of them it is somebody's turn."""
        self._requests += 1
        if self._requests % every == 0:
            self._turns.put_nowait(None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._turns.get()
            self.look()
            match self._chance.choice(("cli", "cli", "cli", "executor", "tools")):
                case "executor":
                    await self._kill(self._chance.choice(self._stack.executors), "executor")
                case "tools":
                    assert self._stack.tools
                    await self._kill(self._stack.tools, "tools")
                case _:
                    self._kill_cli()
            self._turns.task_done()

    async def done(self) -> None:
        """Wait until everybody has been killed whose turn it was."""
        await self._turns.join()

    def look(self) -> None:
        """Remember every process below the programs, so that none can be left behind unseen."""
        for program in self._stack.programs():
            for child in program.list_clis():
                try:
                    self.seen[child.pid] = child.create_time()
                except psutil.NoSuchProcess:
                    continue

    def left(self) -> list[psutil.Process]:
        """Those of them that still run, though no program of ours has them."""
        now = {child.pid for program in self._stack.programs() for child in program.list_clis()}
        found: list[psutil.Process] = []
        for pid, began in self.seen.items():
            try:
                process = psutil.Process(pid)
                if process.create_time() == began and pid not in now and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    async def _kill(self, program: Program, kind: str) -> None:
        self.kills[kind] += 1
        program.send_signal(signal.SIGKILL)
        await program.wait_for_exit()
        await program.start()

    def _kill_cli(self) -> None:
        if clis := self._stack.list_clis():
            self.kills["cli"] += 1
            with contextlib.suppress(psutil.NoSuchProcess):
                self._chance.choice(clis).kill()
