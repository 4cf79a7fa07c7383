"""Ends this process when its event loop stalls, so that its supervisor restarts it.

Invariants: a timer of the kernel ends the process, so code that holds the interpreter lock, or never returns, can't delay
it. Before that, the traceback of every thread is written to stderr: positions in the code, no values.
"""

import asyncio
import contextlib
import faulthandler
import os
import signal
from collections.abc import Callable

# A running loop resets the timer at least this often.
TIMER_RESET_INTERVAL = 1.0


async def end_when_stalled(seconds: float) -> None:
    """Ends the process if its event loop stalls for so many seconds, until this is cancelled. 0: never."""
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
    """Returns the setter of a timer. Its signal dumps the tracebacks, then has its default effect: it ends the process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    # Without a file to write to, the signal only ends the process.
    with contextlib.suppress(OSError, RuntimeError, ValueError, AttributeError):
        faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)

    def set_timer(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)

    return set_timer


def _set_thread_timer(seconds: float) -> None:
    """The same for process 1 of a container, which the default action of a signal does not end."""
    if seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()
