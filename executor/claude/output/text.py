"""The text of an answer: streamed, or buffered until it is clear that it belongs to the answer. Pure.

Invariants: emitted text contains no stop text; a blank line separates the texts of two rounds.
"""

from collections.abc import Sequence

from executor.claude.output.stop import StopScanner
from shared.events import TextDelta

ROUND_SEPARATOR = "\n\n"


class OutputText:
    """Takes text and returns deltas. Mutable: the buffered text, and the separator before the next text.

    is_buffering: text is buffered until `flush`, since it may not be part of the answer.
    """

    def __init__(self, stops: Sequence[str], *, is_buffering: bool) -> None:
        self._scanner = StopScanner(stops)
        self._is_buffering = is_buffering
        self._buffer: list[str] = []
        self._has_output = False
        self._separator = ""

    @property
    def buffered_text(self) -> str:
        """The text in the buffer."""
        return "".join(self._buffer)

    def feed(self, text: str) -> tuple[list[TextDelta], str | None]:
        """Returns the deltas that can be emitted now, and the stop text that was found."""
        if self._is_buffering:
            self._buffer.append(text)
            return [], None
        safe, met_stop = self._scanner.feed(self._separator + text)
        self._has_output, self._separator = True, ""
        return _to_deltas(safe), met_stop

    def flush(self) -> list[TextDelta]:
        """Returns all buffered text: it is part of the answer."""
        text, self._buffer = self._separator + self.buffered_text if self._buffer else "", []
        if text:
            self._has_output, self._separator = True, ""
        return _to_deltas(text + self._scanner.flush())

    def discard_buffer(self) -> None:
        """Discards the buffered text: its message is requested again."""
        self._buffer = []

    def start_next_round(self) -> None:
        """Discards the buffered text; the next text belongs to another message."""
        self.discard_buffer()
        self._separator = ROUND_SEPARATOR if self._has_output else ""


def _to_deltas(text: str) -> list[TextDelta]:
    return [TextDelta(text)] if text else []
