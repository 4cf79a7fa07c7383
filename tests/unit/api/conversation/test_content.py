"""Parts of messages become the blocks that they are, in either vendor's form, or a refusal that names them."""

import base64
import json
from typing import Any

import msgspec
import pytest

from api.conversation.content import parse_blocks, parse_parts, parse_texts, read_arguments
from api.conversation.drafts import DraftResult
from api.core.problems import Problem
from api.media.blocks import RemoteMedia
from shared.turn import Document, Image, Role, Text, ToolUse

WHERE = "messages[0].content"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = Image("image/png", PIXEL)
PDF = base64.b64encode(b"%PDF-1.7\n").decode()
REMOTE = RemoteMedia("https://example.com/a.png", f"{WHERE}[0]")


def read(*items: dict[str, Any]) -> msgspec.Raw:
    return raw(items)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def blocks_of(items: msgspec.Raw) -> tuple[object, ...]:
    """The blocks of a message of the user's."""
    return parse_blocks(items, "user", WHERE)


def block_of(**fields: Any) -> object:
    (block,) = blocks_of(read(fields))
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
            RemoteMedia("HTTP://example.com/a.png", f"{WHERE}[0]"),
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
    calls = read(
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0}},
        {"type": "tool_use", "id": "toolu_2", "name": "g"},
    )
    results = read(
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
    )
    assert parse_blocks(calls, "assistant", WHERE) == (
        ToolUse("toolu_1", "f", '{"a": 1.0}'),
        ToolUse("toolu_2", "g", "{}"),
    )
    assert blocks_of(results) == (
        DraftResult("toolu_1", (Text("done"),)),
        DraftResult("toolu_2", (Text("bad"), PICTURE), is_error=True),
        DraftResult("toolu_3", ()),
    )


@pytest.mark.wire(4, 6)
def test_nothing_is_no_block_and_a_plain_text_is_one():
    """In messages and in results alike."""
    for sent, read_as in ((None, ()), ([], ()), ("a\r\n", (Text("a\r\n"),))):
        assert blocks_of(raw(sent)) == parse_parts(raw(sent), WHERE) == read_as


@pytest.mark.wire(3, 4)
def test_system_texts_are_texts_and_stay_apart():
    """A part is a text of its own."""
    sent = read({"type": "text", "text": "a"}, {"type": "text", "text": "b\n"})
    assert parse_texts(sent, WHERE) == (Text("a"), Text("b\n"))
    assert parse_texts(raw("a"), WHERE) == (Text("a"),)
    assert parse_texts(raw(None), WHERE) == ()


def test_what_is_said_of_a_document_goes_with_it():
    """Its title and its context, whether its data is text or a file."""
    for source in (
        {"type": "text", "media_type": "text/plain", "data": "words"},
        {"type": "base64", "media_type": "application/pdf", "data": PDF},
    ):
        document = block_of(type="document", title="A", context="of 1890", source=source)
        assert isinstance(document, Document)
        assert (document.title, document.context) == ("A", "of 1890")


# Fields of other parts' with values that these could not have.
FOREIGN = {
    "text": 1,
    "refusal": 2,
    "image_url": 3,
    "file": "a.pdf",
    "file_data": 4,
    "file_id": 5,
    "file_url": 6,
    "filename": 7,
    "source": "a.pdf",
    "title": 8,
    "context": 9,
    "id": 10,
    "name": 11,
    "input": "x",
    "tool_use_id": 12,
    "content": 13,
    "is_error": "no",
}


@pytest.mark.wire(1)
@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"type": "text", "text": "a"}, "user"),
        ({"type": "output_text", "text": "a"}, "assistant"),
        ({"type": "refusal", "refusal": "a", "text": None}, "assistant"),
        ({"type": "image_url", "image_url": "https://example.com/a.png", "file_id": None}, "user"),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "image_url": None}, "user"),
        ({"type": "file", "file": {"file_data": PDF}, "file_data": None, "file_id": None, "filename": None}, "user"),
        ({"type": "input_file", "file_data": PDF, "file_id": None, "file_url": None, "filename": None}, "user"),
        (
            {"type": "document", "source": {"type": "text", "data": "a"}, "title": None, "context": None},
            "user",
        ),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, "assistant"),
        ({"type": "tool_result", "tool_use_id": "a", "content": None, "is_error": None}, "user"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_a_field_that_a_part_does_not_have_is_not_looked_at(fields: dict[str, Any], role: Role):
    """A text may have a `source`, which is a document's: it means nothing there, whatever it holds."""
    assert parse_blocks(read({**FOREIGN, **fields}), role, WHERE) == parse_blocks(read(fields), role, WHERE)


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_field_that_a_part_has_must_be_of_its_type(name: str):
    """It is named by its place."""
    has = {
        "text": "text",
        "refusal": "refusal",
        "image_url": "image_url",
        "source": "document",
        **dict.fromkeys(("file", "file_data", "file_id", "filename"), "file"),
        "file_url": "input_file",
        "title": "document",
        "context": "document",
        "id": "tool_use",
        "name": "tool_use",
        **dict.fromkeys(("tool_use_id", "content", "is_error"), "tool_result"),
    }
    if name == "input":
        # What the model wrote in the place of arguments is taken as it is.
        assert parse_blocks(read({"type": "tool_use", "id": "a", "name": "f", "input": "x"}), "assistant", WHERE) == (
            ToolUse("a", "f", "x"),
        )
        return
    with pytest.raises(Problem) as caught:
        blocks_of(read({"type": has[name], "tool_use_id": "a", name: FOREIGN[name]}))
    assert caught.value.param == f"{WHERE}[0].{name}"


@pytest.mark.parametrize(
    ("fields", "role", "fix"),
    [
        (
            {"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"},
            "assistant",
            "send it in a user message",
        ),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, "assistant", "send it in a user message"),
        ({"type": "file", "file": {"file_data": PDF}}, "assistant", "send it in a user message"),
        ({"type": "tool_result", "tool_use_id": "a"}, "assistant", "only in user messages"),
        ({"type": "tool_use", "id": "a", "name": "f"}, "user", "only in assistant messages"),
    ],
)
def test_a_part_that_its_role_can_not_say_is_refused_by_its_place(fields: dict[str, Any], role: Role, fix: str):
    """The service would refuse the picture without saying which it is."""
    with pytest.raises(Problem) as caught:
        parse_blocks(read({"type": "text", "text": "a"}, fields), role, WHERE)
    assert (caught.value.status, caught.value.param) == (400, f"{WHERE}[1].type")
    assert fix in caught.value.message


@pytest.mark.parametrize(
    ("sent", "arguments_read"),
    [
        *((b"null", "{}"), (b'""', "{}"), (b'"{}"', "{}"), (b'"{\\"a\\": 1.0}"', '{"a": 1.0}')),
        *((b'{"a": 1.0}', '{"a": 1.0}'), (b'"null"', "null"), (b'"[]"', "[]"), (b"[]", "[]"), (b'" "', " ")),
        *((b'"{\\"city\\":\\"Os"', '{"city":"Os'), (b'"\\t"', "\t"), (b"\"{'a': 1}\"", "{'a': 1}"), (b"3", "3")),
    ],
)
def test_arguments_are_what_the_model_wrote_readable_or_not(sent: bytes, arguments_read: str):
    """Without any they are an empty object; an object in the place of its text is that text."""
    assert read_arguments(msgspec.Raw(sent), "arguments") == arguments_read


def test_arguments_nested_without_end_are_refused_by_their_place():
    """Whatever reads them later would fail."""
    endless = msgspec.json.encode('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(Problem) as caught:
        read_arguments(msgspec.Raw(endless), "a.arguments")
    assert (caught.value.status, caught.value.param) == (400, "a.arguments")


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
    "no type": ({"text": "a"}, ".type", "missing"),
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
@pytest.mark.parametrize(("fields", "place", "fix"), REFUSED.values(), ids=REFUSED)
def test_a_part_that_cannot_be_used_is_refused_by_its_place(fields: dict[str, Any], place: str, fix: str):
    """Which part it was, and what would be taken."""
    with pytest.raises(Problem) as caught:
        blocks_of(read({"type": "text", "text": "a"}, fields))
    assert caught.value.status == 400
    assert caught.value.param == f"{WHERE}[1]{place}"
    assert f"`{WHERE}[1]" in caught.value.message
    assert fix in caught.value.message


@pytest.mark.wire(3)
def test_a_system_text_takes_nothing_but_text():
    """A picture there would be lost."""
    with pytest.raises(Problem) as caught:
        parse_texts(read({"type": "image_url", "image_url": "https://example.com/a.png"}), WHERE)
    assert (caught.value.status, caught.value.param) == (400, f"{WHERE}[0].type")
