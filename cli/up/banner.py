"""The text in the terminal once the server is ready: its address, its model, and examples to paste.

Invariants: a key that the owner set is never shown. A generated key is shown at the start that generated it, and not again.
Text to paste has no frame around it and no line break in it.
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

READY_MESSAGE = "Claude API Server is ready"


class ClientKey(Struct, frozen=True):
    """Where the clients' key is. new_value: the key, only when it was generated at this start."""

    source: Literal["environment", ".env", "file"]
    file: Path
    new_value: str = ""

    def __repr__(self) -> str:
        return f"<Key from {self.source}>"


def to_relative_path(path: Path, folder: Path) -> str:
    """Returns a path as one types it in `folder`."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


class Banner(Struct, frozen=True):
    """The contents of the text. folder: the owner's current folder. bin_folder: the folder of the server's commands."""

    address: Address
    health: Health
    key: ClientKey
    folder: Path
    bin_folder: Path
    tools: ToolsStatus | None = None

    def build_rows(self) -> list[tuple[str, str]]:
        """Returns the rows of the table: name and value."""
        modes = {
            "online": f"online, with Claude Code {self.health.cli_version}",
            "offline": "OFFLINE: a built-in model that only echoes the request",
        }
        sources = {
            "environment": "API_SECRET_TOKEN of the environment",
            ".env": "API_SECRET_TOKEN of .env",
            "file": f"in {to_relative_path(self.key.file, self.folder)}",
        }
        facts = [
            ("URL", self.address.url()),
            ("Mode", modes.get(self.health.mode, self.health.mode)),
            ("Model", f"{self.health.default_model}, unless a request names another one"),
            ("Key", sources[self.key.source] + ("; generated now, and shown only once:" if self.key.new_value else "")),
        ]
        if self.key.new_value:
            facts.append(("", self.key.new_value))
        facts += self._build_tools_rows()
        if self.address.is_exposed():
            facts.append(("Network", f"open to other machines, unencrypted (HOST={self.address.host})"))
        return [*facts, ("Stop", "Ctrl-C")]

    def _build_tools_rows(self) -> list[tuple[str, str]]:
        if self.tools is None:
            return []
        if self.tools.problem:
            return [("Tools", f"none: {self.tools.problem}")]
        read = ", ".join(to_relative_path(Path(path), self.folder) for path in self.tools.allowed_paths)
        write = ", ".join(to_relative_path(Path(path), self.folder) for path in self.tools.writable_paths)
        lacks = [("", f"the sandbox lacks: {lack}") for lack in self.tools.missing]
        return [("Tools", f"read {read}; write {write or 'nothing'}"), *lacks]

    def _render_curl(self, path: str, **body: object) -> str:
        key = {
            "environment": "$API_SECRET_TOKEN",
            # The shell that this is pasted into does not have the variables of .env.
            ".env": f"$({self._render_command('dotenv')} get API_SECRET_TOKEN)",
            "file": f"$(cat {shlex.quote(to_relative_path(self.key.file, self.folder))})",
        }[self.key.source]
        return (
            f'curl -N {self.address.url()}{path} -H "Authorization: Bearer {key}" '
            f'-H "Content-Type: application/json" -d {shlex.quote(json.dumps(body))}'
        )

    def show(self, console: Console) -> None:
        """Prints everything."""
        if console.is_terminal:
            table = Table.grid(padding=(0, 2))
            for name, value in self.build_rows():
                table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
            console.print(Panel.fit(table, title=READY_MESSAGE, box=ROUNDED, border_style="green"))
        else:
            console.print(READY_MESSAGE)
            for name, value in self.build_rows():
                console.print(f"  {name:<8} {value}", soft_wrap=True)
        if self.health.mode == "offline":
            login = self._render_command("claude-api-server")
            console.print("To go online:", style="bold")
            for step in (
                f"{login} login   # runs `claude setup-token`; then set in .env:",
                "CLAUDE_CODE_OAUTH_TOKEN=…   # the token that it printed; or, with an API key: ANTHROPIC_API_KEY=…",
                "make run   # again, after Ctrl-C here",
            ):
                console.print(f"  {step}", soft_wrap=True)
        needs = ", where API_SECRET_TOKEN is set" if self.key.source == "environment" else ""
        invitation = f"To chat, paste this into another terminal, in this folder{needs}:"
        console.print(invitation, style="bold", soft_wrap=True)
        question = {"model": self.health.default_model, "messages": [{"role": "user", "content": "Hello!"}]}
        console.print(self._render_curl("/v1/chat/completions", **question, stream=True), soft_wrap=True)
        if self.tools and not self.tools.problem:
            console.print("To let Claude read files, and to run a command:", style="bold", soft_wrap=True)
            files = self._render_curl("/api/code", prompt="What is in the files here?", stream=True)
            console.print(files, soft_wrap=True)
            console.print(self._render_curl("/api/tools/bash", command="ls -l"), soft_wrap=True)
        console.print()

    def _render_command(self, name: str) -> str:
        return shlex.quote(to_relative_path(self.bin_folder / name, self.folder))
