"""From the name a browser sends to the name people see and the name a blob gets.

A blob keeps the letters and digits of every script, composed (NFC), so that one name is one sequence of bytes in
addresses, listings and signatures; what else is in a name becomes an underscore.
"""

import re
import unicodedata
from dataclasses import dataclass

from smartml.errors import InvalidInput

# A gzip file is named after the table in it: "sales.csv.gz".
ACCEPTED = (".csv", ".tsv", ".txt", ".gz", ".zip", ".xlsx", ".parquet")
SHOWN_LENGTH = 120
STEM_LENGTH = 80

_TARS = (".tar", ".tar.gz", ".tgz")
_COMPRESSED = (".bz2", ".xz", ".zst", ".7z", ".rar")
_WORKBOOKS = (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_FALLBACK = "dataset"
# Joins emoji into one picture, and picks the coloured form of one: format characters that are part of the name.
_KEPT_FORMAT = "\u200d\ufe0f"
# Letters and signs that are drawn as nothing: Hangul fillers and the empty Braille pattern.
_BLANKS = "\u115f\u1160\u3164\uffa0\u2800"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """``shown`` keeps the readable original without its extension; ``blob`` is of letters, digits, dots, dashes and
    underscores, and ends in ``.csv``."""

    shown: str
    blob: str


def names_for(original: str) -> FileNames:
    """Both names for an uploaded file; :class:`InvalidInput` at ``file`` for a kind that is not read."""
    bare = _last_part(original)
    _refuse_other_kinds(bare)
    stem = _EXTENSION.sub("", re.sub(r"\.gz$", "", bare, flags=re.IGNORECASE))
    return FileNames(shown=clean_name(stem) or _FALLBACK, blob=f"{_safe_stem(stem)}.csv")


def clean_name(text: str) -> str:
    """A name for people: composed, one line, no invisible characters, at most 120 characters.

    Empty when nothing of it can be seen.
    """
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(char if _is_visible(char) else " " for char in composed)
    name = " ".join(visible.split())[:SHOWN_LENGTH].strip()
    return name if any(_has_shape(char) for char in name) else ""


def _is_visible(char: str) -> bool:
    return char in _KEPT_FORMAT or unicodedata.category(char)[0] not in {"C", "Z"}


def _has_shape(char: str) -> bool:
    """Whether a name of this character alone could be read: no joiner, no mark without a letter, no blank."""
    return char not in _KEPT_FORMAT + _BLANKS and unicodedata.category(char)[0] != "M"


def _last_part(original: str) -> str:
    return original.replace("\\", "/").rsplit("/", 1)[-1].strip()


def _safe_stem(stem: str) -> str:
    kept = (char if _is_safe(char) else " " for char in unicodedata.normalize("NFC", stem))
    # Dots and dashes at either end make hidden files and options out of a download.
    name = "_".join("".join(kept).split())[:STEM_LENGTH].strip("._-")
    return name if any(char.isalnum() for char in name) else _FALLBACK


def _is_safe(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char in "._-"
    return unicodedata.category(char)[0] in "LNM" and char not in _BLANKS


def _refuse_other_kinds(bare: str) -> None:
    lower = bare.lower()
    if lower.endswith(_TARS):
        message = "Tar archives are not read. Unpack it and upload the table inside, as .csv, .gz or .zip."
    elif lower.endswith(ACCEPTED):
        return
    elif lower.endswith(_COMPRESSED):
        message = "Of compressed files only .gz and .zip are read. Unpack it and upload the table inside."
    elif lower.endswith(_WORKBOOKS):
        message = "Of workbooks only .xlsx is read. Save it as .xlsx, or the sheet as CSV, and upload that file."
    else:
        message = (
            "Only .csv, .tsv, .txt, .gz, .zip, .xlsx and .parquet files are read. "
            "Save your table as CSV and upload that file."
        )
    raise InvalidInput(message, fields={"file": message})
