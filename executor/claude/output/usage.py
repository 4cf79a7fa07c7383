"""Counts the tokens of one answer over all its rounds. Pure.

Invariants: the service's counts are running totals of one message, so a later count replaces an earlier one; the counts of
rounds add up.
"""

from executor.claude.output.service_events import ServiceUsage
from shared.events import Usage


class UsageCounter:
    """Mutable: the counts of the current message, and the sum of the rounds before it."""

    def __init__(self) -> None:
        self.message = Usage()
        self._earlier = Usage()

    @property
    def total(self) -> Usage:
        """The counts of the answer so far."""
        names = Usage.__struct_fields__
        return Usage(*(getattr(self._earlier, name) + getattr(self.message, name) for name in names))

    def start_message(self, counts: ServiceUsage) -> None:
        """Counts a message that starts; a message that the CLI requests again replaces the one before."""
        self.message = merge_usage(Usage(), counts)

    def update(self, counts: ServiceUsage) -> None:
        """Takes later counts of the current message."""
        self.message = merge_usage(self.message, counts)

    def start_next_round(self) -> None:
        """Adds the current message to the sum."""
        self._earlier, self.message = self.total, Usage()


def merge_usage(usage: Usage, counts: ServiceUsage) -> Usage:
    """Returns `usage` with each count that `counts` contains replaced."""
    details = counts.output_tokens_details
    updates = {
        "input_tokens": counts.input_tokens,
        "output_tokens": counts.output_tokens,
        "cache_read_tokens": counts.cache_read_input_tokens,
        "cache_write_tokens": counts.cache_creation_input_tokens,
        "reasoning_tokens": details.thinking_tokens if details else None,
    }
    return Usage(**{name: getattr(usage, name) if value is None else value for name, value in updates.items()})
