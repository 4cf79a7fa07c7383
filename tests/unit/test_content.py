"""Parts of messages become the blocks that they are, in either vendor's form, or a refusal that names them."""

import base64
import json
from typing import Any

import msgspec
import pytest

from api.content import blocks, parts, text_only
from api.conversation import DraftResult
from api.forms import Part
from api.media import Remote
from api.problems import Problem
from shared.turn import Document, Image, Text, ToolUse

WHERE = "messages[0].content"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = Image("image/png", PIXEL)
PDF = base64.b64encode(b"%PDF-1.7\n").decode()
REMOTE = Remote("https://example.com/a.png", f"{WHERE}[0]")


def read(*items: dict[str, Any]) -> list[Part]:
    return msgspec.json.decode(json.dumps(items), type=list[Part])


def block_of(**fields: Any) -> object:
    (block,) = blocks(read(fields), WHERE)
    return block


@pytest.mark.wire(4)
@pytest.mark.parametrize(
    ("fields", "block"),
    [
        ({"type": "text", "text": " a\n"}, Text(" a\n")),
        ({"type": "input_text", "text": "a"}, Text("a")),
        ({"type": "output_text", "text": "a", "annotations": []}, Text("a")),
        ({"type": "refusal", "refusal": "no"}, Text("no")),
        ({"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"}, PICTURE),
        ({"type": "image_url", "image_url": {"url": f"DATA:image/png;base64,{PIXEL}"}}, PICTURE),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}, PICTURE),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, PICTURE),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, REMOTE),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, REMOTE),
        (
            {"type": "image_url", "image_url": "HTTP://example.com/a.png"},
            Remote("HTTP://example.com/a.png", f"{WHERE}[0]"),
        ),
        ({"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}, Document("application/pdf", PDF, "a.pdf")),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
            Document("application/pdf", PDF),
        ),
        ({"type": "input_file", "file_data": PDF, "filename": "a.pdf"}, Document("application/pdf", PDF, "a.pdf")),
        (
            {"type": "document", "title": "A", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            Document("text/plain", "words", "A"),
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
            Document("application/pdf", PDF),
        ),
    ],
)
def test_a_part_becomes_the_block_that_it_is(fields: dict[str, Any], block: object):
    """Whichever vendor's word for it is used."""
    assert block_of(**fields) == block


@pytest.mark.wire(8)
def test_anthropics_calls_and_results_are_calls_and_results():
    """Cursor posts them to chat completions."""
    made = blocks(
        read(
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0}},
            {"type": "tool_use", "id": "toolu_2", "name": "g"},
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"},
            {
                "type": "tool_result",
                "tool_use_id": "toolu_2",
                "is_error": True,
                "content": [
                    {"type": "text", "text": "bad"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                ],
            },
            {"type": "tool_result", "tool_use_id": "toolu_3"},
        ),
        WHERE,
    )
    assert made == (
        ToolUse("toolu_1", "f", '{"a": 1.0}'),
        ToolUse("toolu_2", "g", "{}"),
        DraftResult("toolu_1", (Text("done"),)),
        DraftResult("toolu_2", (Text("bad"), PICTURE), is_error=True),
        DraftResult("toolu_3", ()),
    )


@pytest.mark.wire(4, 6)
def test_nothing_is_no_block_and_a_plain_text_is_one():
    """In messages and in results alike."""
    for read_all in (blocks, parts):
        assert read_all(None, WHERE) == ()
        assert read_all([], WHERE) == ()
        assert read_all("a\r\n", WHERE) == (Text("a\r\n"),)


@pytest.mark.wire(3, 4)
def test_text_of_several_parts_is_joined_by_nothing():
    """System texts are text alone."""
    assert text_only(read({"type": "text", "text": "a"}, {"type": "text", "text": "b\n"}), WHERE) == "ab\n"
    assert text_only("a", WHERE) == "a"
    assert text_only(None, WHERE) == ""


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "audio": ({"type": "input_audio"}, ".type", "`input_audio` are not supported"),
    "nonsense": ({"type": ""}, ".type", "text, image_url and file are"),
    "no text": ({"type": "text"}, ".text", "missing"),
    "no address": ({"type": "image_url", "image_url": {"url": ""}}, ".image_url", "missing"),
    "no picture": ({"type": "input_image"}, ".image_url", "missing"),
    "another scheme": ({"type": "image_url", "image_url": "ftp://example.com/a"}, ".image_url", "data URL or an https"),
    "no scheme": ({"type": "image_url", "image_url": "/etc/passwd"}, ".image_url", "data URL or an https"),
    "broken data": ({"type": "image_url", "image_url": "data:image/png;base64,!"}, "", "PNG, JPEG"),
    "stored file": ({"type": "file", "file": {"file_id": "f"}}, ".file.file_id", "send `file_data`"),
    "no file": ({"type": "file"}, ".file.file_data", "missing"),
    "flat file": ({"type": "input_file"}, ".file_data", "missing"),
    "flat file that is stored": ({"type": "input_file", "file_id": "f"}, ".file_id", "send `file_data`"),
    "file elsewhere": (
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        ".file_url",
        "send `file_data`",
    ),
    "stored picture": ({"type": "input_image", "file_id": "f"}, ".file_id", "send `image_url`"),
    "broken file": ({"type": "file", "file": {"file_data": "!"}}, "", "base64"),
    "call without id": ({"type": "tool_use", "name": "f"}, "", "`id` and a `name`"),
    "call without name": ({"type": "tool_use", "id": "a"}, "", "`id` and a `name`"),
    "result without id": ({"type": "tool_result"}, ".tool_use_id", "missing"),
    "result of a call": (
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "tool_use", "id": "a", "name": "f"}]},
        ".content[0].type",
        "not supported",
    ),
}


@pytest.mark.wire(4)
@pytest.mark.parametrize(("fields", "place", "mend"), REFUSED.values(), ids=REFUSED)
def test_a_part_that_cannot_be_used_is_refused_by_its_place(fields: dict[str, Any], place: str, mend: str):
    """Which part it was, and what would be taken."""
    with pytest.raises(Problem) as caught:
        blocks(read({"type": "text", "text": "a"}, fields), WHERE)
    assert caught.value.status == 400
    assert caught.value.param == f"{WHERE}[1]{place}"
    assert f"`{WHERE}[1]" in caught.value.message
    assert mend in caught.value.message


@pytest.mark.wire(3)
def test_a_system_text_takes_nothing_but_text():
    """A picture there would be lost."""
    with pytest.raises(Problem) as caught:
        text_only(read({"type": "image_url", "image_url": "https://example.com/a.png"}), WHERE)
    assert (caught.value.status, caught.value.param) == (400, f"{WHERE}[0].type")
