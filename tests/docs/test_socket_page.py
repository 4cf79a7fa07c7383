"""The page on the socket protocol describes every message, every field, the version and the limit."""

import re
from typing import get_args

import msgspec

from shared import claude_status, turn, wire
from tests.support.manual import parse_rows, read_page

PAGE = read_page("socket-protocol")


def test_each_message_and_field_is_described():
    """Messages and blocks have rows with their fields; the structs of a turn are in its example."""
    table = [(row[0], row[1]) for row in parse_rows(PAGE)]
    messages = [*get_args(wire.ToExecutor.__value__), claude_status.ClaudeStatus, *get_args(wire.Event.__value__)]
    for struct in (*messages, *get_args(turn.Block.__value__)):
        tag = str(struct.__struct_config__.tag)
        described = " ".join(fields for name, fields in table if name == tag)
        assert [name for name in struct.__struct_fields__ if not re.search(rf"\b{name}\b", described)] == [], tag
    for struct in (turn.Turn, turn.Message, turn.Tool):
        assert [name for name in struct.__struct_fields__ if f'"{name}"' not in PAGE] == []


def test_the_numbers_are_those_of_the_code():
    """The version, the limit of a frame and the example frame."""
    assert f"version** is {wire.PROTOCOL_VERSION}." in PAGE
    assert f"from 1 to {wire.MAX_FRAME // 2**20} MiB" in PAGE
    assert wire.encode_frame(wire.GetStatus()).hex(" ") in PAGE


def test_the_example_is_a_turn():
    """It decodes, and has no unknown field."""
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    example = msgspec.json.decode(found[1].encode(), type=turn.Turn)
    assert msgspec.to_builtins(example).keys() == msgspec.json.decode(found[1]).keys()
