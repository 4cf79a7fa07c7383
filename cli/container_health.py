"""The health check of a container: `python -m cli.container_health URL|SOCKET`.

URL is the address of the API's readiness, SOCKET an executor's socket. Exit status: 0 healthy, 1 not; stdout has the reason.
Invariants: it imports the standard library and `shared` only. A container runs it every few seconds, and httpx2 would take
another 0.09 s to import.
"""

import asyncio
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from shared.claude_status import ClaudeStatus
from shared.tool_jobs import ToolsStatus
from shared.wire import WireError, fetch_status

HEALTH_TIMEOUT = 4.0


def check_url(url: str) -> str:
    """Returns the problem of an address; empty if it answers 200. It ignores the proxy settings."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=HEALTH_TIMEOUT):
            return ""
    except HTTPError as error:
        return f"it answers {error.code}"
    except OSError as error:
        return f"it does not answer: {error}"


async def check_socket(path: Path) -> str:
    """Returns the problem of the executor at a socket; empty if it serves jobs."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT):
            status = await fetch_status(path)
    except (OSError, WireError) as error:
        return f"it does not answer: {error or type(error).__name__}"
    return status.problem if isinstance(status, ClaudeStatus | ToolsStatus) else "it speaks another protocol"


def main(argv: list[str]) -> int:
    """Runs the check, writes the result, and returns the exit status."""
    if len(argv) != 2:
        sys.stderr.write(f"usage: {argv[0]} URL|SOCKET\n")
        return 2
    target = argv[1]
    problem = check_url(target) if target.startswith("http://") else asyncio.run(check_socket(Path(target)))
    sys.stdout.write(f"{problem or 'healthy'}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
