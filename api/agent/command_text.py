"""Decodes the output of a command as it arrives."""

from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Literal

from shared.tool_jobs import CommandOutput

type StreamName = Literal["stdout", "stderr"]

STREAM_NAMES: tuple[StreamName, ...] = ("stdout", "stderr")


class OutputDecoder:
    """Decodes both streams of a command as UTF-8. Mutable: the characters that are still incomplete."""

    def __init__(self) -> None:
        self._decoders = {name: getincrementaldecoder("utf-8")("replace") for name in STREAM_NAMES}

    def decode(self, output: CommandOutput) -> Iterator[tuple[StreamName, str]]:
        """Yields the text that a piece of output completes, if any, with its stream."""
        if text := self._decoders[output.stream].decode(output.data):
            yield output.stream, text

    def flush(self) -> Iterator[tuple[StreamName, str]]:
        """Yields a replacement for an incomplete character at the end, by stream."""
        for name in STREAM_NAMES:
            if text := self._decoders[name].decode(b"", final=True):
                yield name, text
