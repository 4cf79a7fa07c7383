"""The faults of schemas, with their place."""

from shared.text.json_path import Step

MAX_QUOTE_LENGTH = 200


class SchemaFault(Exception):
    """A schema that can't be used. path: the place of the fault. message: the fault, as the rest of a sentence."""

    def __init__(self, path: tuple[Step, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def shorten(text: str, max_length: int = MAX_QUOTE_LENGTH) -> str:
    """Returns the text, cut to `max_length` characters."""
    return text if len(text) <= max_length else f"{text[:max_length]}…"
