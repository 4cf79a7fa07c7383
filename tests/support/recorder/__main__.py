"""Record a client: `python -m tests.support.recorder NAME FOLDER`, where FOLDER has it installed (a venv, or `node_modules`).

The client runs the manual's example against the real programs over a scripted model. Its requests become
`tests/recordings/NAME.json`; what the model was asked and the client got is put in by
`UPDATE_GOLDEN=1 pytest tests/integration/test_recorded_clients.py`.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.support.manual import find_example
from tests.support.recorder.clients import CLIENTS, Client
from tests.support.recorder.recording import Recorder, Session, save_recording
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack, find_free_port

TIMEOUT = 600
RECORDER = str(Path(__file__).parent)
# Nothing but the server can be reached.
QUIET = {
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


def version(client: Client, installed: Path) -> str:
    """The version of the client that is installed."""
    package = installed / "node_modules" / client.package / "package.json"
    if package.exists():
        return msgspec.json.decode(package.read_bytes())["version"]
    ask = f"import importlib.metadata as m; print(m.version('{client.package}'))"
    return subprocess.run(
        [installed / "bin" / "python", "-c", ask], check=True, capture_output=True, text=True
    ).stdout.strip()


async def run(client: Client, installed: Path, folder: Path, url: str, key: str) -> int:
    """Run the manual's example; its exit status."""
    (folder / f"example.{client.language}").write_text(
        find_example(client.title, client.language, url), encoding="utf-8"
    )
    modules = installed / "node_modules"
    if modules.exists():
        (folder / "node_modules").symlink_to(modules)
        (folder / "package.json").write_text('{"type": "module"}')
    path = [str(installed / "bin"), str(modules / ".bin"), os.environ["PATH"]]
    environment = {
        "PATH": ":".join(path),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "URL": url,
        "KEY": key,
        "RECORDER": RECORDER,
        "INSTALLED": str(installed),
        **QUIET,
    }
    process = await asyncio.create_subprocess_exec(
        *("bash", "-ec", client.run), cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(TIMEOUT):
        return await process.wait()


async def record(name: str, installed: Path) -> int:
    """Run a client and write what it sent; its exit status."""
    client = CLIENTS[name]
    session = Session(f"{client.package} {version(client, installed)}", client.call, client.answer, [])
    folder = Path(tempfile.mkdtemp(prefix="recorder-"))
    try:
        async with Upstream() as upstream, Stack(upstream.url, pool_size=2) as stack:
            upstream.script(session.model())
            recorder = Recorder(stack.url, folder)
            port = find_free_port()
            async with await asyncio.start_server(recorder.serve, "127.0.0.1", port):
                status = await run(client, installed, folder, f"http://127.0.0.1:{port}", stack.key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    session.exchanges = recorder.exchanges
    save_recording(name, session)
    return status


def main() -> int:
    """Record one client."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.recorder", description="Records what a client sends."
    )
    parser.add_argument("name", choices=sorted(CLIENTS))
    parser.add_argument(
        "installed", type=Path, metavar="FOLDER", help="where it is installed: a venv or a node project"
    )
    given = parser.parse_args()
    return asyncio.run(record(given.name, given.installed))


if __name__ == "__main__":
    sys.exit(main())
