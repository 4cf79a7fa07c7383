"""Finds the client's stop texts in an answer, also across deltas. Pure.

Invariants: emitted text never contains a stop text, nor a prefix of one that may still be completed; no other text is
buffered.
"""

from collections.abc import Sequence


class StopScanner:
    """Takes text and returns what can be emitted. Mutable: the buffered text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._buffer = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """Returns the text that can be emitted now, and the stop text that was found; after it, nothing may be emitted."""
        self._buffer += text
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := self._buffer.find(stop)) >= 0]
        if found:
            # The one that ends first, as in the service: the answer then does not depend on where deltas are cut.
            _, start, stop = min(found)
            safe, self._buffer = self._buffer[:start], ""
            return safe, stop
        safe_length = len(self._buffer) - max((_measure_overlap(self._buffer, stop) for stop in self._stops), default=0)
        safe, self._buffer = self._buffer[:safe_length], self._buffer[safe_length:]
        return safe, None

    def flush(self) -> str:
        """Returns the buffered text when no more text follows."""
        rest, self._buffer = self._buffer, ""
        return rest


def _measure_overlap(text: str, stop: str) -> int:
    """Returns the length of the longest end of `text` that is an incomplete beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
