"""The words of an answer: given out as they come, or held back until it is known that they belong to it. Pure.

Invariants: what is given out holds no stop text; a blank line parts the words of two rounds.
"""

from collections.abc import Sequence

from executor.claude.output.stop import StopScanner
from shared.events import TextDelta

SEAM = "\n\n"


class OutputText:
    """Feed it words; it gives deltas. Mutable: the words held back, and the seam before the next.

    held: words are held back until `release`, as they may turn out not to be part of the answer.
    """

    def __init__(self, stops: Sequence[str], *, held: bool) -> None:
        self._scanner = StopScanner(stops)
        self._held = held
        self._words: list[str] = []
        self._spoke = False
        self._seam = ""

    @property
    def words(self) -> str:
        """The words that are held back."""
        return "".join(self._words)

    def feed(self, text: str) -> tuple[list[TextDelta], str | None]:
        """What may be given out now, and the stop text that was met, if one was."""
        if self._held:
            self._words.append(text)
            return [], None
        said, met = self._scanner.feed(self._seam + text)
        self._spoke, self._seam = True, ""
        return _deltas(said), met

    def release(self) -> list[TextDelta]:
        """All that was held back: it is part of the answer."""
        words, self._words = self._seam + self.words if self._words else "", []
        if words:
            self._spoke, self._seam = True, ""
        return _deltas(words + self._scanner.rest())

    def stream(self) -> None:
        """Hold no more words back."""
        self._held = False

    def next_round(self) -> None:
        """Forget what is held back; the next words belong to another message."""
        self._words = []
        self._seam = SEAM if self._spoke else ""


def _deltas(text: str) -> list[TextDelta]:
    return [TextDelta(text)] if text else []
