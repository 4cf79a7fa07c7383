"""The rules of cache breakpoints, in the order in which the service reads a request: tools, system, messages."""

from collections.abc import Iterator

from tests.support.scripted.service_request import Json, Request, to_blocks

MAX_BREAKPOINTS = 4


def _breakpoints(request: Request) -> Iterator[tuple[str, Json]]:
    system = [(f"system.{number}", block) for number, block in enumerate(to_blocks(request.body.get("system", [])))]
    tools = [(f"tools.{number}", tool) for number, tool in enumerate(request.tools)]
    messages = [(place.at, place.block) for place in request.blocks()]
    for at, holder in (*tools, *system, *messages, ("", request.body)):
        if mark := holder.get("cache_control"):
            yield at, mark


def find_too_many_breakpoints(request: Request) -> Iterator[str]:
    """At most four."""
    if (count := len(list(_breakpoints(request)))) > MAX_BREAKPOINTS:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {count}."


def find_misplaced_lifetimes(request: Request) -> Iterator[str]:
    """An hour's breakpoint never comes after one of five minutes."""
    short = False
    for at, mark in _breakpoints(request):
        lifetime = mark.get("ttl", "5m")
        if mark.get("type") != "ephemeral" or lifetime not in {"5m", "1h"}:
            yield f"{at}.cache_control: Input should be of type 'ephemeral' with a ttl of '5m' or '1h'"
        if lifetime == "1h" and short:
            yield (
                f"{at}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
                "block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
            )
        short = short or lifetime == "5m"
