"""Records that are not read, each with its place and its reason."""

from dataclasses import dataclass
from enum import StrEnum


class BadReason(StrEnum):
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    UNCLOSED_QUOTE = "unclosed_quote"
    NUL_BYTE = "nul_byte"
    UNDECODABLE = "undecodable"
    TOO_LONG = "too_long"
    REPEATED_HEADER = "repeated_header"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A record that is not read. ``line`` is the physical line, counted from 1, on which it begins.

    ``expected`` are the fields of the header, ``found`` those of the record (0 where they could not be told).
    ``text`` is the record as it stands in the file, its first :data:`TEXT_KEPT` characters.
    """

    line: int
    reason: BadReason
    expected: int
    found: int
    text: str

    @property
    def sentence(self) -> str:
        """What is wrong with it, for people."""
        match self.reason:
            case BadReason.TOO_FEW_FIELDS | BadReason.TOO_MANY_FIELDS:
                return f"{_fields(self.found)} where the header has {self.expected:,}."
            case BadReason.UNCLOSED_QUOTE:
                return "A quote that is opened here is not closed where a field ends."
            case BadReason.NUL_BYTE:
                return "A NUL byte, which no text has."
            case BadReason.UNDECODABLE:
                return "Bytes that are no text in the file's encoding."
            case BadReason.TOO_LONG:
                return "Longer than a row may be (4 MB)."
            case BadReason.REPEATED_HEADER:
                return "The header row once more, as where files were put together."


TEXT_KEPT = 10_000


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count:,} fields"
