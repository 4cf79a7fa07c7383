"""What is wrong with a schema, and where in it."""

from shared.text.json_path import Step

LONGEST_QUOTE = 200


class SchemaFault(Exception):
    """A schema that can't be used. path: the place in it; message: what is wrong there, as the rest of a sentence."""

    def __init__(self, path: tuple[Step, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def shorten(text: str, most: int = LONGEST_QUOTE) -> str:
    """Returns the text, cut to `most` characters."""
    return text if len(text) <= most else f"{text[:most]}…"
