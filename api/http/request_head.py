"""Checks the head of a request once the parser has read all of it. Pure.

Invariants: a head that two readers could read in two ways is refused (RFC 9112 §3.2, §6.1, §6.3), and none is repaired.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from api.core.problems import Problem
from api.http.early_responses import BAD, BAD_HOST, LARGE_HEAD, LARGEST_HEAD, MOST_HEADERS

VERSIONS = {"1.0", "1.1"}
# `uri-host [":" port]` (RFC 9110 §7.2); with a comma in it, it might be two.
HOST = re.compile(rb"(\[[0-9A-Za-z:.%~_-]+\]|[0-9A-Za-z._~!$&'()*+;=%-]*)(:[0-9]*)?")
# A target as it is sent to a proxy; every server takes it (RFC 9112 §3.2.2).
ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
ANY_TARGET = b"*"


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

    def values(self, wanted: bytes) -> list[bytes]:
        """The values of a header, in their order."""
        return [value for name, value in self.headers if name == wanted]

    @property
    def origin_form(self) -> bytes:
        """The target as a path with its query."""
        absolute = ABSOLUTE.fullmatch(self.target)
        if absolute is None:
            return self.target
        place = absolute[2]
        return place if place.startswith(b"/") else b"/" + place


def find_problem(head: RequestHead) -> Problem | None:
    """Returns what is wrong with a head, if anything is."""
    if head.size > LARGEST_HEAD or len(head.headers) > MOST_HEADERS:
        return LARGE_HEAD
    if head.version not in VERSIONS or not _is_target(head) or not _is_framed(head):
        return BAD
    hosts = head.values(b"host")
    if len(hosts) > 1 or (not hosts and head.version == "1.1"):
        return BAD_HOST
    absolute = ABSOLUTE.fullmatch(head.target)
    if any(not HOST.fullmatch(host) for host in hosts):
        return BAD_HOST
    if absolute and any(_authority(absolute[1]) != _authority(host) for host in hosts):
        return BAD_HOST
    return None


def _is_target(head: RequestHead) -> bool:
    if head.target == ANY_TARGET:
        return head.method == b"OPTIONS"
    absolute = ABSOLUTE.fullmatch(head.target)
    return head.target.startswith(b"/") or (absolute is not None and HOST.fullmatch(absolute[1]) is not None)


def _is_framed(head: RequestHead) -> bool:
    """Whether its body ends in one way only. The parser has looked at lengths; it passes codings that nobody undoes."""
    codings = head.values(b"transfer-encoding")
    if not codings:
        return True
    return head.version == "1.1" and [coding.lower() for coding in codings] == [b"chunked"]


def _authority(value: bytes) -> bytes:
    return value.lower().removesuffix(b":80")
