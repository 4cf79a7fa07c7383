"""What stands in the terminal once the server is ready: where it is, what answers, and a line to paste that chats.

Law: a key that the owner gave is never shown; one that was made is shown at the start that made it, and not again. What
is to be pasted has no frame around it and no line break in it.
"""

import json
import shlex
from pathlib import Path
from typing import Literal

from msgspec import Struct
from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.up.preflight import Address
from cli.up.readiness import Health
from shared.tool_jobs import ToolsStatus

READY = "Claude API Server is ready"


class Key(Struct, frozen=True):
    """Where the clients' key is. shown: its value, only when it was made at this start."""

    source: Literal["environment", ".env", "file"]
    file: Path
    shown: str = ""

    def __repr__(self) -> str:
        return f"<Key from {self.source}>"


def near(path: Path, folder: Path) -> str:
    """A path as one would type it in `folder`."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class Banner(Struct, frozen=True):
    """What it is made of. folder: where the owner stands; bin_folder: where the server's commands are."""

    where: Address
    health: Health
    key: Key
    folder: Path
    bin_folder: Path
    tools: ToolsStatus | None = None

    def rows(self) -> list[tuple[str, str]]:
        """The facts, by name."""
        answers = {
            "online": f"online, by Claude Code {self.health.cli_version}",
            "offline": "OFFLINE, by a built-in model that only echoes what was asked",
        }
        sources = {
            "environment": "API_SECRET_TOKEN, from the environment",
            ".env": "API_SECRET_TOKEN, from .env",
            "file": f"in {near(self.key.file, self.folder)}",
        }
        facts = [
            ("URL", self.where.url()),
            ("Answers", answers.get(self.health.mode, self.health.mode)),
            ("Model", f"{self.health.default_model}, unless a request names another"),
            ("Key", sources[self.key.source] + ("; made now, and shown this once:" if self.key.shown else "")),
        ]
        if self.key.shown:
            facts.append(("", self.key.shown))
        facts += self._tools()
        if self.where.open_to_others():
            facts.append(("Open to", f"other machines, unencrypted (HOST={self.where.host})"))
        return [*facts, ("End it", "Ctrl-C")]

    def _tools(self) -> list[tuple[str, str]]:
        if self.tools is None:
            return []
        if self.tools.problem:
            return [("Tools", f"none: {self.tools.problem}")]
        read = ", ".join(near(Path(path), self.folder) for path in self.tools.allowed_paths)
        write = ", ".join(near(Path(path), self.folder) for path in self.tools.writable_paths)
        lacks = [("", f"the sandbox lacks something: {lack}") for lack in self.tools.missing]
        return [("Tools", f"read {read}; write {write or 'nothing'}"), *lacks]

    def curl(self) -> str:
        """The line to paste: a chat, streamed."""
        message = {"role": "user", "content": "Hello!"}
        return self._post("/v1/chat/completions", model=self.health.default_model, messages=[message], stream=True)

    def code(self) -> str:
        """The line to paste: Claude reads files."""
        return self._post("/api/code", prompt="What is in the files here?", stream=True)

    def bash(self) -> str:
        """The line to paste: a command is run."""
        return self._post("/api/tools/bash", command="ls -l")

    def _post(self, path: str, **body: object) -> str:
        words = {
            "environment": "$API_SECRET_TOKEN",
            # What stands in .env is not in the shell that this is pasted into.
            ".env": f"$({self._command('dotenv')} get API_SECRET_TOKEN)",
            "file": f"$(cat {shlex.quote(near(self.key.file, self.folder))})",
        }[self.key.source]
        return (
            f'curl -N {self.where.url()}{path} -H "Authorization: Bearer {words}" '
            f'-H "Content-Type: application/json" -d {shlex.quote(json.dumps(body))}'
        )

    def invitation(self) -> str:
        """Where the line is to be pasted."""
        needs = ", where API_SECRET_TOKEN is set" if self.key.source == "environment" else ""
        return f"To chat, paste this into another terminal, in this folder{needs}:"

    def online(self) -> list[str]:
        """How to go online, a line each."""
        return [
            f"  {self._command('claude-api-server')} login   # runs `claude setup-token`; then, in .env:",
            "  CLAUDE_CODE_OAUTH_TOKEN=…   # what it printed; or, with an API key: ANTHROPIC_API_KEY=…",
            "  make run   # again, after Ctrl-C here",
        ]

    def show(self, console: Console) -> None:
        """Print everything."""
        if console.is_terminal:
            console.print(_panel(self.rows()))
        else:
            console.print(READY)
            for name, value in self.rows():
                console.print(f"  {name:<8} {value}", soft_wrap=True)
        if self.health.mode == "offline":
            console.print("To go online:", style="bold")
            for line in self.online():
                console.print(line, soft_wrap=True)
        console.print(self.invitation(), style="bold", soft_wrap=True)
        console.print(self.curl(), soft_wrap=True)
        if self.tools and not self.tools.problem:
            console.print("To let Claude look at files, and to run a command:", style="bold", soft_wrap=True)
            console.print(self.code(), soft_wrap=True)
            console.print(self.bash(), soft_wrap=True)
        console.print()

    def _command(self, name: str) -> str:
        return shlex.quote(near(self.bin_folder / name, self.folder))


def _panel(facts: list[tuple[str, str]]) -> Panel:
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return Panel.fit(table, title=READY, box=ROUNDED, border_style="green")
