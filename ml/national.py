"""Encodings that letters statistics mistake for another one, each told by a habit of its language or its bytes."""

import re

# East Asian bytes are pairs; what gives an encoding away is which pairs, not how often each comes.
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_MOST_ODD = 0.02
_ENOUGH_KANA = 0.1

# Letters that Hebrew writes at the end of a word only, as Windows-1255 has them, and all its letters.
_HEBREW_WORD = re.compile(rb"[\xe0-\xfa]+")
_HEBREW_FINAL = re.compile(rb"[\xea\xed\xef\xf3\xf5]")
# Letters of Windows-1256; the article (alif, lam) begins every third Arabic word, and one letter only ends words.
_ARABIC_WORD = re.compile(rb"[\xc0-\xd6\xd8-\xdf\xe1\xe3-\xe6\xec\xed\xf0-\xf3\xf5\xf6\xf8\xfa\x81\x8d\x8e\x90]+")
_ARABIC_ARTICLE = b"\xc7\xe1"

# Where no byte is one of 0x80-0x9f, these are signs in Windows-1250 and letters in Latin-2 …
_LATIN_2_LETTERS = re.compile(rb"[A-Za-z\xc0-\xff][\xa1\xa6\xa9\xab\xac\xae\xb1\xb6\xbb]|"
                              rb"[\xa1\xa6\xa9\xab\xac\xae\xb1\xb6\xbb][a-z\xe0-\xff]")  # fmt: skip
# … and these are signs in Windows-1252 and the euro sign and letters in Latin-9.
_LATIN_9_SIGNS = re.compile(rb"\xa4|[a-z][\xa6\xa8\xb4\xb8\xbc\xbd][a-z]")
_WINDOWS_ONLY = re.compile(rb"[\x80-\x9f]")

# Read as what it is, a text of an old Mac or DOS program has letters with accents beyond ASCII, capital ones at the
# beginning of words and among capitals only.
_OFTEN = re.compile("[éèêëàâäáãåîïíìôöóòõùûúüçñßæœøº°€’–¿¡«»]|(?<![a-zà-ÿ])[ÉÈÊÀÂÄÁÅÃÖÓÔØÜÚÇÑÍÆ]")
_CYRILLIC = re.compile("(?<![а-яё])[А-ЯЁ]|[а-яё№]")
_NEARLY_ALL = 0.95
_HUNGARIAN = frozenset("áéíóöõúüû")


def japanese(sample: bytes) -> str | None:
    """Shift-JIS or EUC-JP where the text has kana, as nearly every Japanese text has; None for any other."""
    found = {name: _kana_share(sample, name) for name in ("cp932", "euc_jp")}
    best = max(found, key=lambda name: found[name])
    return best if found[best] >= _ENOUGH_KANA else None


def _kana_share(sample: bytes, encoding: str) -> float:
    text = _decoded(sample, encoding)
    wide = [character for character in text if character > "\x7f"]
    if not wide or len(_HALF_WIDTH.findall(text)) > _MOST_ODD * len(wide):
        return 0.0
    return len(_KANA.findall(text)) / len(wide)


def semitic(sample: bytes) -> str | None:
    """Windows-1255 or Windows-1256 where the words are built as Hebrew or Arabic ones are."""
    if _decoded(sample, "cp1255") and _is_hebrew(sample):
        return "cp1255"
    return "cp1256" if _decoded(sample, "cp1256") and _is_arabic(sample) else None


def _is_hebrew(sample: bytes) -> bool:
    words = _HEBREW_WORD.findall(sample)
    if sum(map(len, words)) < (1 - _MOST_ODD) * sum(byte > 0x7F for byte in sample):
        return False
    finals: list[bool] = [match.end() == len(word) for word in set(words) for match in _HEBREW_FINAL.finditer(word)]
    return len(finals) > 1 and finals.count(True) >= 0.9 * len(finals)


def _is_arabic(sample: bytes) -> bool:
    words = _ARABIC_WORD.findall(sample)
    if sum(map(len, words)) < 0.9 * sum(byte > 0x7F for byte in sample):
        return False
    articles = len([word for word in words if word.startswith(_ARABIC_ARTICLE)])
    return articles > 1 and 10 * articles >= len(words)


def iso_sibling(windows: str, sample: bytes) -> str:
    """The ISO 8859 encoding where a text makes more sense in it than in the Windows one that was taken for it."""
    if _WINDOWS_ONLY.search(sample):
        return windows
    if windows == "cp1250" and _LATIN_2_LETTERS.search(sample):
        return "iso8859-2"
    return "iso8859-15" if windows == "cp1252" and _LATIN_9_SIGNS.search(sample) else windows


def mac_or_dos(sample: bytes) -> str | None:
    """Mac Roman, DOS 850 or DOS 866, where read so nearly all that is no ASCII is a letter in its place."""
    if not _WINDOWS_ONLY.search(sample):
        return None
    found = {name: _letters_share(sample, name) for name in ("mac-roman", "cp850", "cp866")}
    best = max(found, key=lambda name: found[name])
    return best if found[best][0] >= _NEARLY_ALL else None


def _letters_share(sample: bytes, encoding: str) -> tuple[float, float]:
    """The share of letters in their place, and that of the most frequent ones."""
    text = _decoded(sample, encoding)
    high = max(1, sum(character > "\x7f" for character in text))
    letters = (_CYRILLIC if encoding == "cp866" else _OFTEN).findall(text)
    return len(letters) / high, sum(letter in "éèêàäöüßåøæñçáíóãõ" for letter in letters) / high


def is_hungarian(sample: bytes) -> bool:
    """Whether a text that passes for Western has the letters of Hungarian, and of no language beside it."""
    text = sample.decode("cp1252", "replace")
    high = {character for character in text.lower() if character > "\x7f"}
    return high <= _HUNGARIAN and ("õ" in high or len(high & set("ûöü")) > 1) and "õe" not in text.lower()


def _decoded(sample: bytes, encoding: str) -> str:
    """ "" where some bytes are no text in it, but for a character that the sample's end may have cut."""
    for stop in (len(sample), len(sample) - 1):
        try:
            return sample[:stop].decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""
