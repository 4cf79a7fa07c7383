"""What is wrong with a schema, and where in it."""

from shared.text.json_path import Step

MAX_QUOTE_LENGTH = 200


class SchemaFault(Exception):
    """A schema that can't be used. path: the place in it; message: what is wrong there, as the rest of a sentence."""

    def __init__(self, path: tuple[Step, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def shorten(text: str, max_length: int = MAX_QUOTE_LENGTH) -> str:
    """Returns the text, cut to `most` characters."""
    return text if len(text) <= max_length else f"{text[:max_length]}…"
