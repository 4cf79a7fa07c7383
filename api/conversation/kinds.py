"""Decodes tagged structs: one field, such as `type`, decides which other fields exist. Pure.

Invariants: fields that the kind does not have are ignored, so their values are never an error.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from api.conversation.fields import decode_json
from api.core.problems import invalid_problem


class TaggedStructDecoder[T: Struct]:
    """Decodes structs of one class.

    by: the field that names the kind. fields: the other fields of each kind. The kind "" is for values that do not name
    one; without it, such values are rejected.
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
        """Returns the struct; only the kind is set if it is unknown. Raises Problem (400)."""
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
