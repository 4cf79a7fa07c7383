"""Checks the head of a request once the parser has read all of it. Pure.

Invariants: a head that two readers could read in two ways is refused (RFC 9112 §3.2, §6.1, §6.3), and none is repaired.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from api.core.problems import Problem
from api.http.connections.early_responses import (
    HEAD_TOO_LARGE,
    INVALID_HOST,
    MALFORMED_REQUEST,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
)

HTTP_VERSIONS = {"1.0", "1.1"}
# `uri-host [":" port]` (RFC 9110 §7.2); with a comma in it, it might be two.
HOST_PATTERN = re.compile(rb"(\[[0-9A-Za-z:.%~_-]+\]|[0-9A-Za-z._~!$&'()*+;=%-]*)(:[0-9]*)?")
# A target as it is sent to a proxy; every server takes it (RFC 9112 §3.2.2).
ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
ASTERISK_TARGET = b"*"


class RequestHead(Struct, frozen=True):
    """The line and the headers of a request; the names are in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: Sequence[tuple[bytes, bytes]]

    @property
    def size(self) -> int:
        """How many bytes it has, as it is usually written."""
        line = len(self.method) + len(self.target) + len("  HTTP/1.1\r\n")
        return line + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers) + len("\r\n")

    def list_values(self, wanted: bytes) -> list[bytes]:
        """The values of a header, in their order."""
        return [value for name, value in self.headers if name == wanted]

    @property
    def origin_form(self) -> bytes:
        """The target as a path with its query."""
        absolute = ABSOLUTE_TARGET.fullmatch(self.target)
        if absolute is None:
            return self.target
        place = absolute[2]
        return place if place.startswith(b"/") else b"/" + place


def find_problem(head: RequestHead) -> Problem | None:
    """Returns what is wrong with a head, if anything is."""
    if head.size > MAX_HEAD_BYTES or len(head.headers) > MAX_HEADERS:
        return HEAD_TOO_LARGE
    if head.version not in HTTP_VERSIONS or not _has_valid_target(head) or not _has_valid_framing(head):
        return MALFORMED_REQUEST
    hosts = head.list_values(b"host")
    if len(hosts) > 1 or (not hosts and head.version == "1.1"):
        return INVALID_HOST
    absolute = ABSOLUTE_TARGET.fullmatch(head.target)
    if any(not HOST_PATTERN.fullmatch(host) for host in hosts):
        return INVALID_HOST
    if absolute and any(_normalize_authority(absolute[1]) != _normalize_authority(host) for host in hosts):
        return INVALID_HOST
    return None


def _has_valid_target(head: RequestHead) -> bool:
    if head.target == ASTERISK_TARGET:
        return head.method == b"OPTIONS"
    absolute = ABSOLUTE_TARGET.fullmatch(head.target)
    return head.target.startswith(b"/") or (absolute is not None and HOST_PATTERN.fullmatch(absolute[1]) is not None)


def _has_valid_framing(head: RequestHead) -> bool:
    """Whether its body ends in one way only. The parser has looked at lengths; it passes codings that nobody undoes."""
    codings = head.list_values(b"transfer-encoding")
    if not codings:
        return True
    return head.version == "1.1" and [coding.lower() for coding in codings] == [b"chunked"]


def _normalize_authority(value: bytes) -> bytes:
    return value.lower().removesuffix(b":80")
