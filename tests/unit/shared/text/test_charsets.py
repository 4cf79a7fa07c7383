"""Texts of every encoding are decoded to their last byte, or are none."""

import os
import time
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.charsets import CHARSETS, DecodedText, decode, find_codec

# Half a second under load is not a defect; the quadratic would take hours.
LONG = 20.0


class Written(NamedTuple):
    """A text as people save it."""

    words: str
    encoding: str


WRITTEN = {
    "a word": Written("Größe", "cp1252"),
    "a French word": Written("café", "cp1252"),
    "German": Written("Die Größe der Tür beträgt 5 Meter. Für Übungen öffnen wir sie, außer sonntags.", "cp1252"),
    "curly quotes": Written("Preis: 5 €, „gut“", "cp1252"),
    "a table": Written("name;price\r\nMüller;3,50 €\r\nJosé;2\r\n", "cp1252"),
    "Polish": Written("Zażółć gęślą jaźń. Łódź jest pięknym miastem.", "cp1250"),
    "Polish of Unix": Written("Zażółć gęślą jaźń. Łódź jest pięknym miastem.", "iso8859-2"),
    "Russian": Written("Съешь же ещё этих мягких французских булок.", "cp1251"),
    "Russian of Unix": Written("Съешь же ещё этих мягких французских булок.", "koi8-r"),
    "Greek": Written("Καλημέρα κόσμε, τι κάνεις;", "cp1253"),
    "Turkish": Written("İstanbul güzel, şoföre çabucak güvendi, dağ.", "cp1254"),
    "Hebrew": Written("שלום עולם, זהו משפט ארוך יותר", "cp1255"),
    "Japanese": Written("こんにちは世界。これは日本語の文章です。", "shift_jis"),
    "Japanese of Unix": Written("こんにちは世界。これは日本語の文章です。", "euc_jp"),
    "Chinese": Written("你好世界。这是一个用于测试的中文句子。", "gbk"),
    "Korean": Written("안녕하세요 세계. 이것은 한국어 문장입니다.", "euc_kr"),
}
MARKED = ("utf-8-sig", "utf-16", "utf-32")
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), min_size=1, max_size=60)


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_undeclared_text_is_read_in_its_encoding_and_says_that_it_was_guessed(written: Written):
    """As a web browser would."""
    found = decode(written.words.encode(written.encoding))
    assert found
    assert found.text == written.words
    assert found.guessed_charset in found.note


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_declared_encoding_is_the_one_that_is_used(written: Written):
    """By any of its names; nothing is guessed."""
    for name in (written.encoding, written.encoding.upper()):
        assert decode(written.words.encode(written.encoding), name) == DecodedText(written.words)


@given(TEXTS.filter(lambda text: text[0] != "\ufeff"), st.sampled_from(MARKED), st.sampled_from(["", "windows-1252"]))
def test_byte_order_mark_outranks_all_else(text: str, encoding: str, declared: str):
    """Also what is declared. The mark itself is no part of the text."""
    assert decode(text.encode(encoding), declared) == DecodedText(text)


@given(
    TEXTS.filter(lambda text: text[0] != "\ufeff"),
    st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]),
)
def test_wide_encodings_without_a_mark_are_read_if_declared(text: str, encoding: str):
    """Nothing else could tell them from binary data."""
    assert decode(text.encode(encoding), encoding) in {DecodedText(text), decode(text.encode(encoding))}


@given(st.binary(max_size=300), st.sampled_from(["", *sorted(CHARSETS)]))
def test_no_bytes_fail_in_another_way(data: bytes, declared: str):
    """They are a text without NUL, or none."""
    found = decode(data, declared)
    assert found is None or "\0" not in found.text


@given(st.text(st.characters(codec="iso8859-15", exclude_categories=("Cc",)), min_size=1))
def test_each_byte_of_an_encoding_of_single_bytes_is_a_character(text: str):
    """None is dropped or replaced."""
    assert decode(text.encode("iso8859-15"), "iso-8859-15") == DecodedText(text)


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"caf\xe9", "utf-8"),
        ("Ünter".encode("utf-16")[:-1], ""),
        (b"\xff\xfe\x00\xd8a\0", ""),
        (b"caf\x81", "windows-1252"),
        (bytes(range(256)), ""),
        (bytes(range(1, 256)), "iso-8859-1"),
        (b"\x1f\x8b\x08" + bytes(range(128, 255)), ""),
        (os.urandom(4096), ""),
        (b"a\0b", ""),
    ],
    ids=["not UTF-8", "odd length", "half a pair", "undefined", "all bytes", "controls", "gzip", "random", "NUL"],
)
def test_what_is_not_wholly_text_is_none(data: bytes, declared: str):
    """Rather than a text with holes."""
    assert decode(data, declared) is None


def test_iso_8859_1_means_windows_1252():
    """As on the web: nobody writes its control characters."""
    assert decode(b"\x93caf\xe9\x94", "ISO-8859-1") == DecodedText("“café”")


@pytest.mark.parametrize(
    "name", ["zlib", "punycode", "idna", "unicode_escape", "rot13", "x", "", "é", "a\0", "us-ascii"]
)
def test_only_encodings_of_text_can_be_declared(name: str):
    """Others decide nothing."""
    assert find_codec(name) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\xe9" * (4 << 20),
        b"a" * (4 << 20) + b"\xe9",
        (b"b" * 4000 + b"\xe9 ") * 1000,
        (b"b" * 199 + b"\xe9") * 20_000,
        "日本語".encode("shift_jis") * 300_000,
    ],
    ids=["dense", "one at the end", "sparse", "just too dense to skip", "no spaces"],
)
def test_detection_takes_no_longer_for_a_large_text(data: bytes):
    """It looks at a sample."""
    began = time.monotonic()
    assert decode(data)
    assert time.monotonic() - began < LONG


def test_few_letters_in_much_ascii_decide():
    """Wherever they are."""
    text = "plain words\n" * 50_000 + "Zażółć gęślą jaźń\n" + "more\n" * 50_000 + "Łódź jest pięknym miastem\n"
    found = decode(text.encode("cp1250"))
    assert found
    assert found.text == text
