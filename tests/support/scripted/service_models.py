"""What the real service takes of each model, by the vendor's pages. A name it can't read is held to the general rules."""

import re

from msgspec import Struct

NAME = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d+)(?:-(\d{1,2}))?(?!\d)")
OLD_NAME = re.compile(r"claude-(\d)(?:-(\d))?-(opus|sonnet|haiku)")
ANY_THINKING = ("adaptive", "between_tools", "disabled", "enabled")


class Model(Struct, frozen=True):
    """A model by its family and version; both are empty for a name that is none of the vendor's."""

    family: str = ""
    version: tuple[int, int] = (0, 0)

    @property
    def is_latest(self) -> bool:
        """Opus, Sonnet and Haiku from 5.5, Fable and Mythos from 5: thinking always runs."""
        return self.version >= ((5, 0) if self.family in {"fable", "mythos"} else (5, 5))

    @property
    def binds_thinking(self) -> bool:
        """Whether a thinking block is good only behind the request that it was an answer to."""
        return self.is_latest and self.version >= (5, 1)

    @property
    def takes_forced_calls(self) -> bool:
        """Whether `tool_choice` may be `any` or `tool`."""
        return not self.is_latest or self.family == "haiku"

    @property
    def takes_sampling(self) -> bool:
        """Whether `temperature`, `top_p` and `top_k` may be other than the default."""
        return self.version < ((4, 7) if self.family == "opus" else (5, 0))

    @property
    def takes_prefill(self) -> bool:
        """Whether the last message may be the assistant's."""
        return self.version < (4, 6)

    @property
    def takes_instructions(self) -> bool:
        """Whether messages may have the role `system`."""
        return not self.family or self.version >= ((4, 8) if self.family == "opus" else (5, 0))

    @property
    def thinking_types(self) -> tuple[str, ...]:
        """The values of `thinking.type`."""
        if not self.family:
            return ANY_THINKING
        if self.is_latest:
            more = {"sonnet": ("between_tools",), "haiku": ("disabled",)}
            return ("adaptive", *more.get(self.family, ()))
        if not self.takes_sampling:
            return ("adaptive", "disabled")
        return ("adaptive", "disabled", "enabled") if self.version >= (4, 6) else ("disabled", "enabled")

    @property
    def max_tokens(self) -> int:
        """The most that `max_tokens` may be."""
        match self.family, self.version:
            case "", _:
                return 128_000
            case _, version if version >= (5, 0):
                return 128_000
            case "opus", (4, 0) | (4, 1):
                return 32_000
            case _, version if version >= (3, 7):
                return 64_000
            case _, (3, 5):
                return 8_192
            case _:
                return 4_096


def find_model(name: object) -> Model:
    """The model of this name."""
    if found := NAME.search(str(name)):
        family, major, minor = found.groups()
        return Model(family, (int(major), int(minor or 0)))
    if found := OLD_NAME.search(str(name)):
        major, minor, family = found.groups()
        return Model(family, (int(major), int(minor or 0)))
    return Model()
