"""Where an answer must stop: the client's stop texts, found across the borders of deltas. Pure.

Invariants: what is given out never holds a stop text nor the beginning of one that may still become whole; nothing else is
held back.
"""

from collections.abc import Sequence


class StopScanner:
    """Feed it text; it gives out what is safe to say. Mutable: the text held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._buffer = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """What may be said now, and the stop text that was met, if one was; after that nothing more may be said."""
        self._buffer += text
        met = [(at + len(stop), at, stop) for stop in self._stops if (at := self._buffer.find(stop)) >= 0]
        if met:
            # The one that is whole first, as the service has it: so the answer is the same wherever deltas are cut.
            _, at, stop = min(met)
            said, self._buffer = self._buffer[:at], ""
            return said, stop
        keep = max((_measure_overlap(self._buffer, stop) for stop in self._stops), default=0)
        said, self._buffer = self._buffer[: len(self._buffer) - keep], self._buffer[len(self._buffer) - keep :]
        return said, None

    def flush(self) -> str:
        """What was held back, once nothing more comes."""
        rest, self._buffer = self._buffer, ""
        return rest


def _measure_overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` are the first of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
