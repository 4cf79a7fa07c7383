"""Runs the API with an alarm: a callback that holds the event loop too long is written to the log, with its place.

usage: python -m tests.support.stall_alarm ARGUMENTS OF THE API. The time is the loop's thread's own on a processor, so a busy
machine raises no alarm.
"""

import asyncio
import faulthandler
import runpy
import sys
import threading
import time

from shared.process import watchdog
from tests.support.timeouts import MAX_STALL

PAUSE = 0.05
ALARM = "STALL: the event loop was held for"


def sample(loop: asyncio.AbstractEventLoop, clock: int) -> None:
    """Ask the loop for a sign of life again and again; say so when it works on something else for too long."""
    while not loop.is_closed():
        lives = threading.Event()
        began = time.clock_gettime(clock)
        try:
            loop.call_soon_threadsafe(lives.set)
        except RuntimeError:
            return
        told = False
        while not lives.wait(PAUSE):
            held = time.clock_gettime(clock) - began
            if held > 2 * MAX_STALL and not told:
                told = True
                print(f"{ALARM} {held:.3f} s", file=sys.stderr, flush=True)
                faulthandler.dump_traceback(all_threads=True)
        time.sleep(PAUSE)


end_when_stalled = watchdog.end_when_stalled


async def with_alarm(seconds: float) -> None:
    """The watchdog, and the alarm beside it."""
    clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
    threading.Thread(target=sample, args=(asyncio.get_running_loop(), clock), daemon=True).start()
    await end_when_stalled(seconds)


if __name__ == "__main__":
    watchdog.end_when_stalled = with_alarm
    runpy.run_module("api", run_name="__main__", alter_sys=True)
