"""Pictures and files become blocks by what their bytes are, or a Problem that names the part."""

import base64
import struct
from collections.abc import Callable
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.problems import Problem
from api.media.blocks import MAX_FILE_BYTES, MAX_IMAGE_BYTES, OfficeDocument, build_image, read_data_url, read_file_data
from shared.turn import Document, Image
from tests.support.office import docx, rtf

WHERE = "messages[0].content[1]"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"


def png(width: int = 3, height: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", width, height, 8, 2, 0, 0, 0, 0)


def gif(width: int = 3, height: int = 2) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";"


def jpeg(width: int = 3, height: int = 2, marker: int = 0xC0) -> bytes:
    thumbnail = b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff"
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    huffman = b"\xff\xc4\x00\x03\x00"
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 17, 8, height, width, 3)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0" + exif + huffman + b"\xff" + frame + b"\xff\xd9"


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def webp_lossy(width: int = 3, height: int = 2) -> bytes:
    return webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height))


def webp_lossless(width: int = 3, height: int = 2) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def webp_extended(width: int = 3, height: int = 2) -> bytes:
    return webp(b"VP8X", b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


PICTURES: dict[str, tuple[Callable[[int, int], bytes], str]] = {
    "png": (png, "image/png"),
    "gif": (gif, "image/gif"),
    "jpeg": (jpeg, "image/jpeg"),
    "webp lossy": (webp_lossy, "image/webp"),
    "webp lossless": (webp_lossless, "image/webp"),
    "webp extended": (webp_extended, "image/webp"),
}
each_picture = pytest.mark.parametrize(("picture", "media_type"), PICTURES.values(), ids=PICTURES)


def url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def outcome[T](call: Callable[[], T]) -> T | Problem:
    try:
        return call()
    except Problem as problem:
        return problem


def problem_of(call: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        call()
    assert caught.value.param == WHERE
    assert f"`{WHERE}`" in caught.value.message
    return caught.value


@each_picture
def test_a_picture_is_known_by_its_bytes_and_keeps_every_one_of_them(
    picture: Callable[[int, int], bytes], media_type: str
):
    """The media type is what the bytes say; the data is them, in base64."""
    data = picture(3, 2)
    assert build_image(data, WHERE) == Image(media_type, base64.b64encode(data).decode())


@each_picture
@pytest.mark.parametrize(("width", "height"), [(8001, 2), (2, 8001)])
def test_a_picture_with_a_side_over_8000_pixels_is_refused(
    picture: Callable[[int, int], bytes], media_type: str, width: int, height: int
):
    """8000 is the most on either side."""
    assert build_image(picture(8000, 8000), WHERE).media_type == media_type
    problem = problem_of(lambda: build_image(picture(width, height), WHERE))
    assert (problem.status, problem.code) == (400, "invalid_image")
    assert "8000" in problem.message
    assert "8001" in problem.message


@each_picture
def test_a_picture_cut_before_its_size_is_told_is_refused_wherever_it_is_cut(
    picture: Callable[[int, int], bytes], media_type: str
):
    """No prefix fails in another way than a Problem; one too short to tell the size is never taken."""
    whole = picture(300, 200)
    outcomes = [taken(whole[:end]) for end in range(len(whole))]
    assert not any(outcomes[:10])
    assert outcomes == sorted(outcomes)


def taken(data: bytes) -> bool:
    found = outcome(lambda: build_image(data, WHERE))
    assert isinstance(found, Image) or (found.status, found.code) == (400, "invalid_image")
    return isinstance(found, Image)


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"BM" + bytes(60), PDF, b"GIF", bytes(99)])
def test_what_is_no_picture_is_refused_with_the_types_that_are_taken(data: bytes):
    """400 that names the part and PNG, JPEG, GIF, WebP."""
    problem = problem_of(lambda: build_image(data, WHERE))
    assert (problem.status, problem.code) == (400, "invalid_image")
    assert all(name in problem.message for name in ("PNG", "JPEG", "GIF", "WebP"))


@pytest.mark.parametrize("data", [png(0, 5), gif(5, 0), jpeg(0, 0), webp_lossy(0, 1), jpeg(marker=0xD9)])
def test_a_picture_without_a_size_is_refused(data: bytes):
    """A side of no pixels, or no frame header at all, is damage."""
    assert "damaged" in problem_of(lambda: build_image(data, WHERE)).message


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC9, 0xCF])
def test_every_kind_of_jpeg_frame_tells_the_size(marker: int):
    """SOF0 to SOF15 but DHT, JPG and DAC."""
    assert build_image(jpeg(marker=marker), WHERE).media_type == "image/jpeg"


def test_a_picture_may_have_5_mib_and_no_byte_more():
    """MAX_IMAGE is the last size taken; 413 after it."""
    data = png() + bytes(MAX_IMAGE_BYTES - len(png()))
    assert build_image(data, WHERE).media_type == "image/png"
    problem = problem_of(lambda: build_image(data + b"\0", WHERE))
    assert (problem.status, problem.code) == (413, "image_too_large")
    assert "5 MiB" in problem.message


@given(st.binary(max_size=200), st.sampled_from([b"", *(picture(3, 2)[:30] for picture, _ in PICTURES.values())]))
def test_no_bytes_fail_in_another_way_than_a_problem(tail: bytes, head: bytes):
    """Anything is a picture or a Problem."""
    taken(head + tail)


@given(st.binary(max_size=300), st.sampled_from(["", "\n", " ", "\r\n\t"]), st.integers(1, 80))
def test_base64_comes_through_with_white_space_anywhere(tail: bytes, space: str, every: int):
    """Lines of any length, as mail and shells make them."""
    text = base64.b64encode(png() + tail).decode()
    spaced = space.join(text[at : at + every] for at in range(0, len(text), every))
    assert read_data_url(f"data:image/png;base64,{spaced}", WHERE) == build_image(png() + tail, WHERE)


@given(st.binary(max_size=300))
def test_base64_may_be_url_safe_unpadded_or_percent_encoded(tail: bytes):
    """What a URL needs, and what JavaScript makes of it."""
    data = png() + tail
    expected = build_image(data, WHERE)
    assert read_data_url(f"data:;base64,{base64.urlsafe_b64encode(data).decode().rstrip('=')}", WHERE) == expected
    escaped = quote_from_bytes(base64.b64encode(data), safe="")
    assert read_data_url(f"DATA:image/png;charset=x;BASE64,{escaped}", WHERE) == expected


@given(st.binary(max_size=100))
def test_bytes_may_be_percent_encoded(tail: bytes):
    """RFC 2397 without `;base64`."""
    data = png() + tail
    assert read_data_url("data:image/png," + quote_from_bytes(data), WHERE) == build_image(data, WHERE)


@pytest.mark.parametrize(
    "declared", ["image/jpeg", "image/svg+xml", "application/octet-stream", "text/plain", "pdf", ""]
)
def test_a_wrong_declared_type_does_not_matter(declared: str):
    """The bytes are right."""
    assert read_data_url(url(png(), declared), WHERE) == build_image(png(), WHERE)
    assert read_data_url(url(PDF, declared), WHERE) == Document("application/pdf", base64.b64encode(PDF).decode())


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and text[0] != "\ufeff"))
def test_a_text_is_a_document_word_for_word(text: str):
    """text/plain is the text itself, from a data URL of either form."""
    expected = Document("text/plain", text)
    assert read_data_url(url(text.encode(), "text/plain;charset=utf-8"), WHERE) == expected
    assert read_data_url("data:," + quote_from_bytes(text.encode()), WHERE) == expected


def test_a_text_about_pictures_is_a_text():
    """Words that begin as a GIF does are words, if they are declared so or come as a file."""
    text = "GIF89a was the second version of the format."
    assert read_data_url(url(text.encode(), "text/plain"), WHERE) == Document("text/plain", text)
    assert read_file_data(base64.b64encode(text.encode()).decode(), None, WHERE) == Document("text/plain", text)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "data:",
        "data:image/png;base64",
        "https://example.com/a.png",
        "image/png;base64,AAAA",
        "data:image/png;base64,A",
        "data:image/png;base64,AAA*",
        "data:image/png;base64,AA=A",
        "data:image/png;base64,ÄÄÄÄ",
        "data:image/png;base64,%FF",
        url(b"", "image/png"),
        url(b"", "text/plain"),
        url(b"\xff\xfe\0", "text/plain"),
        url(b"{}", "application/json"),
        url(b"RIFF\0\0\0\0WAVE", "audio/wav"),
    ],
)
def test_a_data_url_that_can_t_be_used_is_refused_with_the_types_that_are_taken(sent: str):
    """400 that names the part and what to send."""
    problem = problem_of(lambda: read_data_url(sent, WHERE))
    assert (problem.status, problem.code) == (400, "invalid_image")
    assert all(name in problem.message for name in ("PNG", "JPEG", "GIF", "WebP"))


@pytest.mark.parametrize("head", ["data:application/pdf;base64,", "data:;base64,", ""])
def test_a_file_is_a_pdf_a_text_or_a_picture_by_its_bytes(head: str):
    """With the client's name as title, from a data URL or base64 alone."""

    def form(data: bytes) -> str:
        return head + base64.b64encode(data).decode()

    assert read_file_data(form(PDF), "a.pdf", WHERE) == Document(
        "application/pdf", base64.b64encode(PDF).decode(), "a.pdf"
    )
    assert read_file_data(form("wörter\n".encode()), "a.txt", WHERE) == Document("text/plain", "wörter\n", "a.txt")
    assert read_file_data(form(b"\xef\xbb\xbfx"), "", WHERE) == Document("text/plain", "x", None)
    assert read_file_data(form(png()), "a.png", WHERE) == build_image(png(), WHERE)


@each_picture
def test_no_picture_is_taken_for_a_text(picture: Callable[[int, int], bytes], media_type: str):
    """A file part may hold a picture of any type we take."""
    block = read_file_data(base64.b64encode(picture(3, 2)).decode(), None, WHERE)
    assert isinstance(block, Image)
    assert block.media_type == media_type


@pytest.mark.parametrize(
    "sent", ["", "data:text/plain,", "!!", "A", "data:x", url(b"PK\3\4\0\0\xff"), url(b"\xff\xfeh\0i")]
)
def test_a_file_that_can_t_be_read_is_refused(sent: str):
    """400 invalid_file."""
    problem = problem_of(lambda: read_file_data(sent, "a.bin", WHERE))
    assert (problem.status, problem.code) == (400, "invalid_file")


@pytest.mark.parametrize("head", [PDF, b"words"])
def test_a_file_may_have_20_mib_and_no_byte_more(head: bytes):
    """MAX_FILE is the last size taken; 413 after it."""
    data = head.ljust(MAX_FILE_BYTES, b" ")
    assert isinstance(read_file_data(base64.b64encode(data).decode(), None, WHERE), Document)
    problem = problem_of(lambda: read_file_data(base64.b64encode(data + b" ").decode(), None, WHERE))
    assert (problem.status, problem.code) == (413, "file_too_large")
    assert "20 MiB" in problem.message


def test_a_picture_in_a_file_has_the_limit_of_pictures():
    """The same 413 as anywhere."""
    problem = problem_of(lambda: read_file_data(url(png().ljust(MAX_IMAGE_BYTES + 1, b"\0")), None, WHERE))
    assert (problem.status, problem.code) == (413, "image_too_large")


@given(st.text(max_size=60), st.sampled_from(["", "data:", "data:image/png;base64,", "data:text/plain,"]))
def test_no_text_fails_in_another_way_than_a_problem(tail: str, head: str):
    """Anything is a block or a Problem with its part."""
    for read in (lambda: read_data_url(head + tail, WHERE), lambda: read_file_data(head + tail, tail, WHERE)):
        found = outcome(read)
        assert isinstance(found, Image | Document | OfficeDocument) or (found.status, found.param) == (400, WHERE)


@pytest.mark.parametrize(
    "declared", ["", "text/plain", "text/plain;charset=windows-1252", 'text/csv; CHARSET="cp1252"']
)
def test_a_text_in_another_encoding_is_a_document(declared: str):
    """From a data URL or base64 alone; where nothing tells the encoding, the model is told that it was guessed."""
    text = "Größe;Preis\n3;5 €\n"
    sent = base64.b64encode(text.encode("cp1252")).decode()
    found = read_file_data(f"data:{declared};base64,{sent}" if declared else sent, "a.csv", WHERE)
    guessed = "The file does not declare its character encoding; it was decoded as windows-1252."
    assert found == Document("text/plain", text, "a.csv", None if "=" in declared else guessed)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(encoding: str):
    """In a part for pictures too, if a text is declared; the mark is not given on."""
    data = "Grüße aus 東京".encode(encoding)
    assert read_file_data(url(data, "application/octet-stream"), None, WHERE) == Document(
        "text/plain", "Grüße aus 東京"
    )
    assert read_data_url(url(data, "text/plain"), WHERE) == Document("text/plain", "Grüße aus 東京")


def test_a_file_that_is_not_in_its_declared_encoding_is_refused_with_its_name():
    """No byte is replaced."""
    problem = problem_of(lambda: read_file_data(url(b"caf\xe9", "text/plain;charset=utf-8"), None, WHERE))
    assert (problem.status, problem.code) == (400, "invalid_file")
    assert "`utf-8`" in problem.message


def test_pictures_and_pdf_are_what_they_are_whatever_charset_is_declared():
    """A charset is of texts only."""
    assert isinstance(read_file_data(url(png(), "text/plain;charset=iso-8859-1"), None, WHERE), Image)
    assert read_file_data(url(PDF, "text/plain;charset=iso-8859-1"), None, WHERE) == Document(
        "application/pdf", base64.b64encode(PDF).decode()
    )


@pytest.mark.parametrize("declared", ["application/octet-stream", "image/png", "text/plain", ""])
def test_an_office_document_is_kept_to_be_converted(declared: str):
    """By its bytes; only RTF that is declared a plain text is one."""
    data = docx("a", "b")
    assert read_file_data(url(data, declared), "a.docx", WHERE) == OfficeDocument(data, "a.docx", WHERE)
    assert read_data_url(url(data, declared), WHERE) == OfficeDocument(data, None, WHERE)


def test_rich_text_that_is_declared_a_plain_text_is_one():
    """Somebody wants its source read."""
    source = rtf("words")
    for declared in ("", "application/rtf", "text/rtf"):
        assert read_file_data(url(source, declared), None, WHERE) == OfficeDocument(source, None, WHERE)
    assert read_file_data(url(source, "text/plain"), None, WHERE) == Document("text/plain", source.decode())


def test_an_office_document_may_have_20_mib_too():
    """413 after it, before anybody unpacks it."""
    data = rtf("a" * MAX_FILE_BYTES)
    assert problem_of(lambda: read_file_data(url(data, "application/rtf"), None, WHERE)).code == "file_too_large"
