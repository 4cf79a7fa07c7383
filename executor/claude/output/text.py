"""The words of an answer: given out as they come, or held back until it is known that they belong to it. Pure.

Invariants: what is given out holds no stop text; a blank line parts the words of two rounds.
"""

from collections.abc import Sequence

from executor.claude.output.stop import StopScanner
from shared.events import TextDelta

ROUND_SEPARATOR = "\n\n"


class OutputText:
    """Feed it words; it gives deltas. Mutable: the words held back, and the seam before the next.

    held: words are held back until `release`, as they may turn out not to be part of the answer.
    """

    def __init__(self, stops: Sequence[str], *, is_buffering: bool) -> None:
        self._scanner = StopScanner(stops)
        self._is_buffering = is_buffering
        self._buffer: list[str] = []
        self._has_output = False
        self._separator = ""

    @property
    def buffered_text(self) -> str:
        """The words that are held back."""
        return "".join(self._buffer)

    def feed(self, text: str) -> tuple[list[TextDelta], str | None]:
        """What may be given out now, and the stop text that was met, if one was."""
        if self._is_buffering:
            self._buffer.append(text)
            return [], None
        said, met = self._scanner.feed(self._separator + text)
        self._has_output, self._separator = True, ""
        return _to_deltas(said), met

    def flush(self) -> list[TextDelta]:
        """All that was held back: it is part of the answer."""
        words, self._buffer = self._separator + self.buffered_text if self._buffer else "", []
        if words:
            self._has_output, self._separator = True, ""
        return _to_deltas(words + self._scanner.flush())

    def start_next_round(self) -> None:
        """Forget what is held back; the next words belong to another message."""
        self._buffer = []
        self._separator = ROUND_SEPARATOR if self._has_output else ""


def _to_deltas(text: str) -> list[TextDelta]:
    return [TextDelta(text)] if text else []
