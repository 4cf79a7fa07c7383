"""Collects what the CLI reports about errors of the service, until a result line ends the query. Pure.

Invariants: an error report is not part of the answer; it only explains why there is none.
"""

from collections.abc import Callable

from executor.claude.cli.protocol import ApiRetry, CliError, ResultLine
from executor.claude.output.failure import build_cut_failure, build_failure, build_retry_failure, is_thinking_error
from shared.events import Failed, UsageWindows

# In seconds, the longest wait of the CLI before a retry; for a longer one, the client gets a failure with that delay.
MAX_CLI_RETRY_DELAY = 5.0


class UpstreamErrors:
    """Mutable: the last retry and error of the round, and the subscription's usage windows."""

    def __init__(self, clock: Callable[[], float], *, has_thinking: bool) -> None:
        """clock: seconds since 1970. has_thinking: the history contains thinking."""
        self.windows: UsageWindows | None = None
        self.cli_error: CliError | None = None
        self._clock = clock
        self._has_thinking = has_thinking
        self._last_retry: ApiRetry | None = None

    def record_retry(self, retry: ApiRetry) -> list[Failed]:
        """Records that the CLI will retry. Returns a failure if the CLI would wait too long."""
        self._last_retry = retry
        return [build_retry_failure(retry)] if retry.delay > MAX_CLI_RETRY_DELAY else []

    def build_cut(self) -> Failed:
        """Builds the failure for an answer that the CLI restarted after part of it was sent."""
        return build_cut_failure(self._last_retry)

    def build_failure(self, result: ResultLine, *, answer_started: bool) -> Failed | None:
        """Builds the failure for a query that ended without an answer.

        Returns None, once, where the service rejects the thinking in the history: the next round can go without it.
        """
        failed = build_failure(
            result,
            self.cli_error,
            self.windows,
            answer_started=answer_started,
            now=self._clock(),
            delay=self._last_retry.delay if self._last_retry else None,
            retried=self._last_retry is not None,
        )
        if self._has_thinking and not answer_started and is_thinking_error(failed):
            self._has_thinking = False
            return None
        return failed

    def start_next_round(self) -> None:
        """Forgets the errors of the round; the usage windows stay."""
        self.cli_error = self._last_retry = None
