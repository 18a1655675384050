"""How numbers and dates are written, where a person has said how the records are cut."""

from dataclasses import dataclass

from ml.column_types import ValueFormat
from ml.dialects import Dialect
from ml.reading import Reader
from ml.sniffing_values import Ambiguity, value_format

_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesFound:
    """What the values show, and what they leave open."""

    formats: ValueFormat
    ambiguities: tuple[Ambiguity, ...]


def values_of(head: bytes, dialect: Dialect, *, complete: bool) -> ValuesFound:
    """From the first bytes of a file, cut into records as ``dialect`` says; its own formats play no part.

    :raises InvalidTable: this dialect reads no header from these bytes.
    """
    reader = Reader(dialect)
    names: tuple[str, ...] = ()
    rows: list[list[str]] = []
    parts = [*reader.feed(head), *(reader.finish() if complete else reader.flush())]
    for part in parts:
        names = part.header or names
        rows += part.values(_ROWS - len(rows))
    # The first row stands for the header, which is no evidence.
    found = value_format([list(names), *rows], delimiter=dialect.delimiter)
    return ValuesFound(
        formats=found.formats, ambiguities=tuple(question.about(names) for question in found.questions)
    )
