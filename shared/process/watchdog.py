"""Ends this process when its event loop stands still, so that whoever started it starts it anew.

Invariants: the kernel's timer ends the process, so code that holds the interpreter, or never returns, can't put it off.
Before that every thread's traceback is written on stderr: places in the code, no values.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
from collections.abc import Callable

# A loop that answers at all is seen to at least this often.
TIMER_RESET_INTERVAL = 1.0


async def end_when_stalled(seconds: float) -> None:
    """Ends the process if the loop that this runs in stands still for so long, until this is cancelled. 0: never."""
    if not seconds:
        return
    set_timer = _set_thread_timer if os.getpid() == 1 else _create_signal_timer()
    pause = min(TIMER_RESET_INTERVAL, seconds / 4)
    try:
        while True:
            set_timer(seconds)
            await asyncio.sleep(pause)
    finally:
        set_timer(0)


def _create_signal_timer() -> Callable[[float], None]:
    """A timer whose signal dumps the tracebacks and then does what it does by default: end the process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    # Without a file to write to, the signal alone has to do.
    with contextlib.suppress(OSError, RuntimeError, ValueError, AttributeError):
        faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)

    def set_timer(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)

    return set_timer


def _set_thread_timer(seconds: float) -> None:
    """The same for the first process of a container, which the kernel's default actions don't end."""
    if seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()
