"""Decodes text: detects the character encoding from a byte order mark, a declaration or the bytes. Pure.

Invariants: no byte is dropped or replaced. Data that can't be decoded completely, or has control characters, is not text.
"""

import codecs
import re

from chardetng_py.detector import EncodingDetector
from msgspec import Struct

# The longer marks first: UTF-32's begins like UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The encodings that may be declared, by Python's names. Others are slow to decode (punycode), or not for text (zlib).
CHARSETS = frozenset(
    {
        *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "ascii"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(
            f"cp{page}"
            for page in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874)
        ),
        *(f"cp{page}" for page in (932, 949, 950, *range(1250, 1259))),
        *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "tis-620"),
        *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr"),
    }
)
# Names of Firefox's detector that differ from Python's.
DETECTOR_ALIASES = {
    "windows-874": "cp874",
    "gb18030": "gb18030",
    "Shift_JIS": "cp932",
    "EUC-KR": "cp949",
    "ISO-8859-8-I": "iso8859-8",
}
# The size of the sample for detection, which takes half a second for a megabyte; and of the ASCII text around other bytes.
SAMPLE_BYTES, SAMPLE_CONTEXT_BYTES = 64 * 1024, 100

_beyond_ascii = re.compile(rb"[\x80-\xff]")
_gap = re.compile(rb"[\0-\x7f]{%d}" % (2 * SAMPLE_CONTEXT_BYTES))
# Control characters that text does not have. Some texts have tab, line ends, form feed, backspace and escape.
_controls = re.compile(r"[\0-\x07\x0e-\x1a\x1c-\x1f\x7f]")


class DecodedText(Struct, frozen=True):
    """A text. guessed_charset: the encoding, if it was guessed from the bytes."""

    text: str
    guessed_charset: str = ""

    @property
    def note(self) -> str:
        """Returns a note for the reader about a guessed encoding; empty if it was certain."""
        return (
            f"The file does not declare its character encoding; it was decoded as {self.guessed_charset}."
            if self.guessed_charset
            else ""
        )


def decode(data: bytes, charset: str = "") -> DecodedText | None:
    """Returns the text; None if the bytes are not text. charset: as declared; a byte order mark has priority."""
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_strict(data, name)
    if declared := find_codec(charset):
        return _decode_strict(data, declared)
    return decode_utf8(data) or _detect(data)


def decode_utf8(data: bytes) -> DecodedText | None:
    """Returns the text, if the bytes are UTF-8 without NUL."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else DecodedText(text)


def find_codec(charset: str) -> str:
    """Python's name of a declared charset; nothing for what decides nothing: ASCII, or a name that nobody knows."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return ""
    return name if name in CHARSETS and name != "ascii" else ""


def preload_codecs() -> None:
    """Loads every codec, for a process that can't read Python's library later."""
    for name in (*CHARSETS, "utf-8-sig"):
        codecs.lookup(name)


def _decode_strict(data: bytes, name: str) -> DecodedText | None:
    if name == "utf-8":
        return decode_utf8(data)
    for each in ("cp1252", name) if name == "iso8859-1" else (name,):
        # A declared ISO-8859-1 means Windows-1252 (https://encoding.spec.whatwg.org/#names-and-labels).
        try:
            text = data.decode(each)
        except UnicodeDecodeError:
            continue
        return None if _controls.search(text) else DecodedText(text)
    return None


def _detect(data: bytes) -> DecodedText | None:
    """Returns the text in an encoding guessed from the bytes."""
    # Cheaper than decoding, and true for most data that is not text.
    if not data or _controls.search(data[:SAMPLE_BYTES].decode("latin-1")):
        return None
    detector = EncodingDetector()
    detector.feed(_take_sample(data), last=False)
    guess = detector.guess(tld=None, allow_utf8=False)
    found = _decode_strict(data, find_codec(DETECTOR_ALIASES.get(guess, guess)) or "cp1252")
    return DecodedText(found.text, guess) if found else None


def _take_sample(data: bytes) -> bytes:
    """Returns the text around the non-ASCII bytes, from the first of them on. Cuts are in ASCII only, never in a character."""
    sample = bytearray()
    at = 0
    while len(sample) < SAMPLE_BYTES and (found := _beyond_ascii.search(data, at)):
        limit = found.start() + SAMPLE_BYTES
        gap = _gap.search(data, found.end(), limit)
        end = gap.start() + SAMPLE_CONTEXT_BYTES if gap else limit
        sample += data[max(at, found.start() - SAMPLE_CONTEXT_BYTES) : end]
        at = end
    return bytes(sample)
