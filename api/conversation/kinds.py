"""Structs of which one field, such as `type`, says which of the others there are. Pure.

Invariants: a field that the kind does not have is not looked at, so what it holds is never at fault.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from api.conversation.fields import decode_json
from api.core.problems import invalid_problem


class TaggedStructDecoder[T: Struct]:
    """Reads structs of one class.

    by: the field that names the kind. fields: those that each kind has beside it; those of the kind "" belong to values
    that do not name theirs, and a table without it refuses such values.
    """

    def __init__(self, struct: type[T], by: str, fields: Mapping[str, tuple[str, ...]]) -> None:
        known = {field.name: field for field in msgspec.structs.fields(struct)}
        self._struct = struct
        self._tag_field = by
        self._names = fields
        self._kind = msgspec.json.Decoder(msgspec.defstruct("Kind", [(by, str | None, None)], frozen=True))
        self._decoders = {
            kind: msgspec.json.Decoder(
                msgspec.defstruct(struct.__name__, [_to_optional_field(known[name]) for name in names], frozen=True)
            )
            for kind, names in fields.items()
        }

    def decode(self, raw: msgspec.Raw, where: str) -> T:
        """One of them, from its JSON; of a kind that is not known, the kind alone. Raises Problem (400)."""
        kind: str | None = getattr(decode_json(bytes(raw), self._kind, where), self._tag_field)
        if kind is None and "" not in self._names:
            place = f"{where}.{self._tag_field}"
            raise invalid_problem(f"`{place}` is missing.", place)
        values: dict[str, object] = {}
        if decoder := self._decoders.get(kind or ""):
            part = decode_json(bytes(raw), decoder, where)
            values = {name: getattr(part, name) for name in self._names[kind or ""]}
        return self._struct(**{self._tag_field: kind, **values})


def _to_optional_field(field: FieldInfo) -> tuple[str, object, object]:
    if field.default_factory is msgspec.NODEFAULT:
        return field.name, field.type, field.default
    return field.name, field.type, msgspec.field(default_factory=field.default_factory)
