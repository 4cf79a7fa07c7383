"""The CLI's lines as the events of one answer: a small state machine, without I/O.

Law: an answer ends at the first `message_delta` that has a stop reason, whatever the CLI does next; words of the CLI's
own (its errors are phrased as an assistant's) are never part of it; nothing follows Done or Failed.
"""

from executor.claude.protocol import (
    Complained,
    Ended,
    Garbage,
    Line,
    ServiceEvent,
    ServiceUsage,
    Streamed,
)
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, StopReason, TextDelta, Usage

COMPLAINTS = {
    "authentication_failed": ErrorKind.CREDENTIAL_REFUSED,
    "oauth_org_not_allowed": ErrorKind.CREDENTIAL_REFUSED,
    "billing_error": ErrorKind.BILLING,
    "rate_limit": ErrorKind.RATE_LIMIT,
    "overloaded": ErrorKind.OVERLOADED,
    "server_error": ErrorKind.UPSTREAM,
    "invalid_request": ErrorKind.INVALID_REQUEST,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
}


class Answer:
    """Feed it lines; it gives events. Mutable: what was seen so far."""

    def __init__(self) -> None:
        self.over = False
        self._usage = Usage()
        self._started = False
        self._said = False
        self._complaint: Complained | None = None

    def feed(self, line: Line) -> list[Event]:
        """The events that `line` brings; the last of an answer is Done or Failed."""
        events = [] if self.over else self._feed(line)
        self.over = self.over or any(isinstance(event, Done | Failed) for event in events)
        return events

    def end(self) -> list[Event]:
        """The CLI closed its output."""
        if self.over:
            return []
        self.over = True
        return [Failed(ErrorKind.CLI_FAILED)]

    def _feed(self, line: Line) -> list[Event]:
        match line:
            case Streamed(event):
                return self._service(event)
            case Complained():
                self._complaint = line
                return []
            case Ended():
                return [self._failure(line)]
            case Garbage():
                return [Failed(ErrorKind.CLI_FAILED)]
            case _:
                return []

    def _service(self, event: ServiceEvent) -> list[Event]:
        match event.type:
            case "message_start":
                if self._said:
                    # The connection was lost and the CLI asks again; what was already sent can't be taken back.
                    return [Failed(ErrorKind.UPSTREAM_CUT)]
                self._usage = added(Usage(), event.message.usage)
                if self._started:
                    return []
                self._started = True
                return [Started(event.message.model)]
            case "content_block_delta" if event.delta.type == "text_delta" and event.delta.text:
                self._said = True
                return [TextDelta(event.delta.text)]
            case "message_delta" if event.delta.stop_reason is not None:
                self._usage = added(self._usage, event.usage)
                return [Done(stop_reason(event.delta.stop_reason), self._usage)]
            case _:
                return []

    def _failure(self, ended: Ended) -> Failed:
        """The CLI is through, and no stop reason came: what went wrong."""
        if self._said:
            return Failed(ErrorKind.UPSTREAM_CUT)
        status = ended.status
        if self._complaint is not None:
            status = self._complaint.status or status
            text = self._complaint.text
            if self._complaint.error == "authentication_failed" and status is None and "Not logged in" in text:
                return Failed(ErrorKind.NOT_LOGGED_IN)
            if status == 413 or "prompt is too long" in text.lower():
                return Failed(ErrorKind.PROMPT_TOO_LONG)
            if status == 529:  # the CLI calls it "server_error" once its tries are used up
                return Failed(ErrorKind.OVERLOADED)
            if kind := COMPLAINTS.get(self._complaint.error):
                return Failed(kind)
            if status == 400:  # the CLI calls most of these "unknown"
                return Failed(ErrorKind.INVALID_REQUEST)
        return Failed(ErrorKind.UPSTREAM if ended.is_error else ErrorKind.CLI_FAILED)


def added(usage: Usage, counts: ServiceUsage) -> Usage:
    """`usage` with what `counts` speaks of put in its place: the service's counts are running totals."""
    return Usage(
        input_tokens=usage.input_tokens if counts.input_tokens is None else counts.input_tokens,
        output_tokens=usage.output_tokens if counts.output_tokens is None else counts.output_tokens,
        cache_read_tokens=usage.cache_read_tokens
        if counts.cache_read_input_tokens is None
        else counts.cache_read_input_tokens,
        cache_write_tokens=usage.cache_write_tokens
        if counts.cache_creation_input_tokens is None
        else counts.cache_creation_input_tokens,
    )


def stop_reason(reason: str) -> StopReason:
    """The service's stop reason; one this version does not know counts as the end of the turn."""
    known: dict[str, StopReason] = {
        "end_turn": "end_turn",
        "max_tokens": "max_tokens",
        "model_context_window_exceeded": "max_tokens",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_use",
        "refusal": "refusal",
        "pause_turn": "pause_turn",
    }
    return known.get(reason, "end_turn")
