"""How a container tells that it is well: `python -m cli.container_health WHERE`.

WHERE is the address of the API's readiness, or an executor's socket. Exit status: 0 well, 1 not; why is said in a line.
Law: small and quick, for it is run every few seconds; it needs nothing but what the programs share.
"""

import asyncio
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from shared.tool_jobs import ToolsStatus
from shared.wire import ClaudeStatus, WireError, fetch_status

HEALTH_TIMEOUT = 4.0


def check_url(url: str) -> str:
    """What is wrong at an address; nothing if it answers 200. Asked directly, whatever proxy is set."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=HEALTH_TIMEOUT):
            return ""
    except HTTPError as error:
        return f"it answers {error.code}"
    except OSError as error:
        return f"it does not answer: {error}"


async def check_socket(path: str) -> str:
    """What is wrong with the executor at a socket; nothing if it serves."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT):
            answer = await fetch_status(path)
    except (OSError, WireError) as error:
        return f"it does not answer: {error or type(error).__name__}"
    return answer.problem if isinstance(answer, ClaudeStatus | ToolsStatus) else "it speaks another protocol"


def main(argv: list[str]) -> int:
    """Look, and say so."""
    if len(argv) != 2:
        sys.stderr.write(f"usage: {argv[0]} URL|SOCKET\n")
        return 2
    problem = check_url(argv[1]) if argv[1].startswith("http://") else asyncio.run(check_socket(argv[1]))
    sys.stdout.write(f"{problem or 'well'}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
