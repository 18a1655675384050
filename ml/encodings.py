"""Which encoding a text is in, on evidence: marks, NUL patterns, valid UTF-8, then charset-normalizer."""

import codecs
import re

from charset_normalizer import from_bytes

from ml.national import is_hungarian, iso_sibling, japanese, mac_or_dos, semitic
from smartml.errors import InvalidTable

_BOMS = (  # longest first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_SAMPLE_BYTES = 16 << 10

# What real tables are in, when they are not in Unicode. latin-1 needs no entry: it differs from cp1252 only in
# 0x80-0x9f, which are control characters there and never occur in a table.
_CANDIDATES = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r", "cp932", "gb18030", "big5", "cp949"]
_MOST_CHAOS = 0.2
# cp1254 is cp1252 with six Turkish letters in the place of six Icelandic ones, which do not come without accents.
_TURKISH = re.compile(rb"[\xd0\xdd\xde\xf0\xfd\xfe]")
_NORDIC = re.compile(rb"[\xc1\xc9\xcd\xd3\xda\xc6\xe1\xe9\xed\xf3\xfa\xe6]")
# How much better a language must fit another code page before a text that makes sense in Western is not Western.
_CLEARLY_BETTER = 0.15

# In a Western text an accented letter stands in a word, a symbol beside no letter (or, like a degree or an
# apostrophe, in its usual place). Text of another code page read as cp1252 breaks this: "Ã\x8eÃ¢Ã Ã\xad", "£ukasz".
_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŒŠŽŸßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿœšžƒ"
_WESTERN_WORD = re.compile(rf"(?<![A-Za-z{_LETTERS}])[A-Za-z{_LETTERS}]+")
_LONG_RUN = re.compile(rf"[{_LETTERS}]{{3,}}")
_MIXED_CASE = re.compile(rf"[a-zà-öø-ÿ][{_LETTERS[:34]}]")
_SYMBOLS = "€‚„…‘’“”•–—™ ¤¡¢£¥§©ª«®°±²³´µ·¹º»¼½¾¿×÷†‰‹›"
_MISPLACED = re.compile(rf"[A-Za-z{_LETTERS}][£¥¢¹³¼¾¿¡]|[£¥¢¹³¿¼¾¡ª²][a-z]|[A-Za-z][±×÷§«][A-Za-z]")


# Spanish opens a question or an exclamation as well as it closes it.
_OPENING = re.compile(r"(?<![A-Za-z])(?:¿(?=[^¿?\n]*\?)|¡(?=[^¡!\n]*!))")
# Letters that Windows-1252 has among its quotes and dashes; in no language are they half of those with accents.
_RARE_LETTER = re.compile(rb"[\x83\x8a\x8c\x8e\x9a\x9c\x9e\x9f]")
# Lines beyond ASCII that are looked at for UTF-8 among them, and the share of them that is no chance.
_MANY_LINES = 2_000
_PARTLY = 0.25


def detect_encoding(data: bytes, *, complete: bool) -> str:
    """The codec that reads ``data``; ASCII counts as UTF-8. Raises InvalidTable when nothing reads it well."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    wide = _wide_encoding(data)
    if wide:
        return wide
    if is_utf8(data, complete=complete):
        return "utf-8"
    characters = _UTF8_CHARACTER.findall(data)
    if sum(map(len, characters)) > 0.9 * len(_HIGH.findall(data)):
        return "utf-8"  # with a broken spot, which reading will name; any other guess would garble all the rest
    if _is_partly_utf8(data):
        return "utf-8"  # of several files in different encodings; what is no UTF-8 will be counted, not garbled
    return _legacy_encoding(data)


def is_utf8(data: bytes, *, complete: bool) -> bool:
    try:
        codecs.utf_8_decode(data, "strict", complete)
    except UnicodeDecodeError:
        return False
    return True


def _is_partly_utf8(data: bytes) -> bool:
    """Whether many lines are UTF-8 that cannot be so by chance: two characters or more, and of several kinds."""
    lines = [match.group() for _, match in zip(range(_MANY_LINES), _HIGH_LINE.finditer(data), strict=False)]
    found = [_UTF8_CHARACTER.findall(line) for line in lines if is_utf8(line, complete=True)]
    telling = [characters for characters in found if len(characters) > 1]
    kinds = {character for characters in telling for character in characters}
    return len(telling) >= max(5, _PARTLY * len(lines)) and len(kinds) > 1


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: in mostly Western text nearly every second byte (three in four) is NUL."""
    sample = data[: 4096 - 4096 % 4]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    zeros = [sample[lane::4].count(0) / max(1, len(sample[lane::4])) for lane in range(4)]
    if zeros[0] < 0.1 and min(zeros[1:]) > 0.9:
        return "utf-32-le"
    if zeros[3] < 0.1 and min(zeros[:3]) > 0.9:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if odd > 0.6 and even < 0.05:
        return "utf-16-le"
    if even > 0.6 and odd < 0.05:
        return "utf-16-be"
    return None


def _legacy_encoding(data: bytes) -> str:
    sample = _telling_lines(data)
    is_western = _reads_as_western(sample)
    own = None
    if not is_western:
        own = japanese(sample) or semitic(sample) or mac_or_dos(sample)
    elif len(_RARE_LETTER.findall(sample)) > len(_HIGH.findall(sample)) / 2:
        own = mac_or_dos(sample)
    elif is_hungarian(sample):
        own = iso_sibling("cp1250", sample)
    return own or iso_sibling(_by_letters(sample, is_western=is_western), sample)


def _by_letters(sample: bytes, *, is_western: bool) -> str:
    """The one in which the letters are as frequent as in a language that is written in it."""
    matches = from_bytes(
        sample, steps=1, chunk_size=len(sample), threshold=_MOST_CHAOS, cp_isolation=_CANDIDATES,
        preemptive_behaviour=False, enable_fallback=False,
    )  # fmt: skip
    # Encodings that give the same text share one match.
    fit = {
        name: (match.coherence, -match.chaos)
        for match in reversed(list(matches))
        for name in match.could_be_from_charset
        if name in _CANDIDATES
    }
    best = max(fit, key=lambda name: (fit[name], -_CANDIDATES.index(name)), default=None)
    if is_western:
        western = fit.get("cp1252", (0.0, 0.0))[0]
        if (
            best is None
            or best in ("cp932", "gb18030", "big5", "cp949")
            or fit[best][0] <= western + _CLEARLY_BETTER
        ):
            return "cp1254" if _TURKISH.search(sample) and not _NORDIC.search(sample) else "cp1252"
    else:
        fit = {name: value for name, value in fit.items() if name not in ("cp1252", "cp1254")}
        best = max(fit, key=lambda name: (fit[name], -_CANDIDATES.index(name)), default=None)
    if best is None:
        raise InvalidTable(
            "The text encoding of this file could not be recognised: it is neither UTF-8 nor UTF-16 nor a "
            "common national encoding.",
            hint="Save it as CSV in UTF-8 and upload it again.",
        )
    return best


def _reads_as_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    high = sum(character > "\x7f" for character in text)
    odd = sum(character > "\x7f" and character not in _LETTERS and character not in _SYMBOLS for character in text)
    text = _OPENING.sub("", text)
    odd += sum(len(match) for match in _LONG_RUN.findall(text))
    odd += len(_MIXED_CASE.findall(text)) + len(_MISPLACED.findall(text))
    return odd <= 0.05 * high


def _telling_lines(data: bytes) -> bytes:
    """Only lines with a byte beyond ASCII tell encodings apart, and the judge is slow on much text."""
    lines: list[bytes] = []
    size = 0
    for match in _HIGH_LINE.finditer(data):
        lines.append(match.group()[:_SAMPLE_BYTES])
        size += len(lines[-1])
        if size >= _SAMPLE_BYTES:
            break
    return b"\n".join(lines)
