"""A CLI that fails in the way its first argument names. It knows the beginning of the protocol, no more."""

import json
import os
import signal
import sys
from typing import Any

MODE = sys.argv[1]


def write(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def write_event(event: dict[str, Any]) -> None:
    write({"type": "stream_event", "event": event})


def write_start() -> None:
    """The beginning of an answer."""
    write_event({"type": "message_start", "message": {"model": "claude-broken", "usage": {"input_tokens": 1}}})
    write_event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half an ans"}})


def answer() -> None:
    """Answer a user's message, badly."""
    match MODE:
        case "exits at the question":
            sys.exit(3)
        case "exits in the answer":
            write_start()
            sys.exit(3)
        case "is killed in the answer":
            write_start()
            os.kill(os.getpid(), signal.SIGKILL)
        case "writes garbage in the answer":
            write_start()
            print("Segmentation fault (core dumped)", flush=True)
        case "ends its answer with no reason":
            write_start()
            write({"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": "half an ans"})
        case "closes its output in the answer":
            write_start()
            os.closerange(1, 64)  # its copies too, which uvloop lets a child inherit
            sys.stdin.read()
        case "speaks of things unknown":
            write({"type": "from_the_future", "x": [1]})
            write_start()
            write({"type": "system", "subtype": "from_the_future"})
            write_event({"type": "from_the_future"})
            write_event({"type": "content_block_delta", "index": 0, "delta": {"type": "from_the_future", "text": "x"}})
            write_event(
                {"type": "message_delta", "delta": {"stop_reason": "from_the_future"}, "usage": {"output_tokens": 2}}
            )
        case _:
            raise AssertionError(MODE)


def main() -> None:
    match MODE:
        case "exits at once":
            print("cannot execute: bad weather", file=sys.stderr)
            sys.exit(3)
        case "says nothing":
            sys.stdin.read()
            return
        case "writes garbage":
            print("Welcome to Claude Code! Press Enter to continue.", flush=True)
            sys.stdin.read()
            return
        case _:
            pass
    for raw in sys.stdin:
        line = json.loads(raw)
        match line["type"]:
            case "control_request":
                response = {"claude_code_version": "0.0.1", "models": []}
                success = {"subtype": "success", "request_id": line["request_id"], "response": response}
                write({"type": "control_response", "response": success})
            case "user":
                answer()
            case _:
                pass


main()
