"""The refusal of a job, with its reason."""

from shared.errors import ErrorKind


class JobRefused(Exception):
    """detail: names what the client sent, what is allowed, and what to do."""

    def __init__(self, kind: ErrorKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
