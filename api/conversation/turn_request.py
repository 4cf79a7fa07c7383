"""The decoded request that all dialects with messages share. Pure."""

from typing import ClassVar

from msgspec import Struct

from api.conversation.alterations import check_alterations, find_altered_places, list_json_texts
from api.conversation.drafts import Draft
from api.conversation.tools import ToolSet
from shared.turn import Effort, Message, Turn


class TurnRequest(Struct, frozen=True, kw_only=True):
    """A decoded request. model: the client's name for it. ignored: the names of ignored parameters.

    schema_place: the place of `schema` in a request of this dialect.
    """

    schema_place: ClassVar[str] = "response_format"

    model: str | None
    system: tuple[str, ...]
    drafts: tuple[Draft, ...]
    max_tokens: int | None
    tool_set: ToolSet
    schema: str | None
    effort: Effort | None
    stream: bool
    ignored: tuple[str, ...]
    stop: tuple[str, ...] = ()
    max_budget_usd: float | None = None

    def list_altered_places(self, *, strict: bool) -> tuple[str, ...]:
        """Returns the places of JSON that the CLI alters. Raises Problem (400) for the first one in strict mode."""
        texts = list_json_texts(self.drafts, self.tool_set, self.schema, self.schema_place)
        return check_alterations(find_altered_places(texts), strict=strict)

    def build_turn(self, model: str, messages: tuple[Message, ...]) -> Turn:
        """Returns the turn. model: the CLI's name of `self.model`. messages: with their images and documents."""
        return Turn(
            model=model,
            messages=messages,
            system=self.system,
            max_tokens=self.max_tokens,
            tools=self.tool_set.tools,
            tool_choice=self.tool_set.choice,
            forced_tool=self.tool_set.forced_tool,
            parallel_tools=self.tool_set.parallel,
            schema=self.schema,
            effort=self.effort,
            stop=self.stop,
            max_budget_usd=self.max_budget_usd,
        )
