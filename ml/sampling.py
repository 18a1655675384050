"""Rows of a normalised file that stand for all of it: taken all over the file, not from its beginning."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Up to this size every row is looked at, whatever the figure; beyond it some figures are of a sample, and say so.
WHOLE_BYTES = 32 << 20
# Cells are held as arrays, 16 bytes each, and their different values as as much again. Where not all columns fit, a
# part of them is loaded after the other, and reading many columns takes memory of its own.
_CELLS_AT_ONCE = 3_000_000
_CELLS_OF_A_PART = 1_500_000
_COLUMNS_AT_ONCE = 100
# A scan of a whole file takes up to 3 MB for each column that it looks at.
COLUMNS_OF_A_SCAN = 25
SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 24 << 20
# The sample is made of this many runs of rows at equal distances: neighbours tell what is sorted or grouped.
_RUNS = 2_000
_BLOCK = 4 << 20
_STEP = 64 << 10
_SHORT_STEP = 4 << 10
_STRETCH = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``path`` is a normalised file too; the very file where ``is_whole``.

    ``part``: how many of its columns can be in memory at once. ``blanks``: those that a value may begin or end
    with, as far as the whole file has any. ``longest``: no record of the whole file is longer; None where not
    known.
    """

    path: Path
    is_whole: bool
    part: int
    longest: int | None
    blanks: str


def take_sample(
    path: Path,
    *,
    width: int,
    rows: int = SAMPLE_ROWS,
    sample_bytes: int = SAMPLE_BYTES,
    whole_bytes: int = WHOLE_BYTES,
    in_parts: bool = True,
) -> Sample:
    """A sample of about ``rows`` rows, written beside the file; the file itself when enough of its columns fit.

    Rows are those that follow offsets at equal distances: a row after a long one is a little likelier to be taken.

    :param in_parts: a file larger than ``whole_bytes`` may be its own sample too, where so many of its columns fit
        at once that reading it for each part takes no longer than scanning it.
    """
    with path.open("rb") as file:
        marks = _read_marks(file)
        part = _part(marks.size, marks.line_ends, width, whole_bytes)
        if part >= min(width, COLUMNS_OF_A_SCAN) and (in_parts or marks.size <= whole_bytes):
            return Sample(path=path, is_whole=True, part=part, blanks=marks.blanks, longest=marks.longest)
        target = path.with_name(f".{path.name}.sample")
        with target.open("wb") as out:
            _copy_runs(file, out, marks, rows=min(rows, max(1, sample_bytes * marks.line_ends // marks.size)))
    part = _part(target.stat().st_size, rows, width, whole_bytes)
    return Sample(path=target, is_whole=False, part=part, blanks=marks.blanks, longest=marks.longest)


def _part(size: int, rows: int, width: int, whole_bytes: int) -> int:
    """How many columns of a file can be in memory at once."""
    if width <= _COLUMNS_AT_ONCE and rows * width <= _CELLS_AT_ONCE and size <= whole_bytes:
        return width
    cells = _CELLS_OF_A_PART // max(1, rows)
    return max(1, min(width, _COLUMNS_AT_ONCE, cells, whole_bytes * width // max(1, size)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """``quotes`` counts those before each step of the file; empty where there are none."""

    size: int
    line_ends: int
    quotes: list[int]
    blanks: str
    longest: int | None


def _read_marks(file: BinaryIO) -> _Marks:
    size = line_ends = total = 0
    is_short = True
    quotes: list[int] = []
    others = {"\t": False, "\r": False}
    has_edges, edge = False, b"\n"
    while block := file.read(_BLOCK):
        size += len(block)
        line_ends += block.count(b"\n")
        for mark, seen in others.items():
            others[mark] = seen or mark.encode() in block
        has_quotes = b'"' in block
        has_edges = has_edges or _has_blank_edges(edge + block)
        edge = block[-1:]
        is_short = is_short and _ends_everywhere(block, total & 1)
        for start in range(0, len(block), _STEP):
            quotes.append(total)
            if has_quotes:
                total += block.count(b'"', start, start + _STEP)
    # A line end can be part of a value inside quotes only.
    blanks = " " * has_edges + "".join(mark for mark, seen in others.items() if seen) + ("\n" if total else "")
    return _Marks(
        size=size,
        line_ends=line_ends,
        quotes=quotes if total else [],
        blanks=blanks,
        longest=2 * _STRETCH if is_short else None,
    )


def _has_blank_edges(block: bytes) -> bool:
    """Whether a value may begin or end with a space: there is one beside a comma, a quote or a line end."""
    data = np.frombuffer(block, dtype=np.uint8)
    spaces = np.flatnonzero(data == ord(" "))
    beside = data[np.concatenate((spaces[spaces > 0] - 1, spaces[spaces < len(data) - 1] + 1))]
    return any((beside == mark).any() for mark in b',"\n')


def _ends_everywhere(block: bytes, inside: int) -> bool:
    """Whether a record ends in every stretch of a block, ``inside`` quotes at its start or not."""
    for start in range(0, len(block), _STRETCH):
        stop = min(start + _STRETCH, len(block))
        position, found = start, False
        while not found and (at := block.find(b"\n", position, stop)) >= 0:
            inside ^= block.count(b'"', position, at) & 1
            position, found = at + 1, not inside
        if not found and stop - start == _STRETCH:
            return False
        inside ^= block.count(b'"', position, stop) & 1
    return True


def _copy_runs(file: BinaryIO, out: BinaryIO, marks: _Marks, *, rows: int) -> None:
    """The header, and runs of whole records. Runs do not overlap, or rows would be there twice."""
    runs = min(_RUNS, rows)
    per_run = -(-rows // runs)
    end, header = _run(file, marks, 0, 1, at_record=True)
    out.write(header)
    for number in range(runs):
        spot = number * marks.size // runs
        at_record = spot <= end
        end, run = _run(file, marks, max(spot, end), per_run, at_record=at_record)
        out.write(run)


def _run(file: BinaryIO, marks: _Marks, spot: int, records: int, *, at_record: bool) -> tuple[int, bytes]:
    """Some whole records after ``spot``, or at it where one begins there, and where they end."""
    # In a normalised file every quote stands where RFC 4180 wants it: after an even number of them a line end is
    # the end of a record.
    aligned = spot // _STEP * _STEP if marks.quotes else spot
    file.seek(aligned)
    buffer = file.read(_STEP if marks.quotes else _SHORT_STEP)
    offset = spot - aligned
    inside = 0
    if marks.quotes and aligned < marks.size:
        inside = (marks.quotes[aligned // _STEP] + buffer.count(b'"', 0, offset)) & 1
    begins = [offset] if at_record else []
    position = offset
    while len(begins) <= records:
        at = buffer.find(b"\n", position)
        if at < 0:
            more = file.read(_STEP)
            if not more:
                break
            if marks.quotes:
                inside ^= buffer.count(b'"', position) & 1
            position = len(buffer)
            buffer += more
            continue
        if marks.quotes:
            inside ^= buffer.count(b'"', position, at) & 1
        position = at + 1
        if not inside:
            begins.append(position)
    if len(begins) < 2:
        return spot, b""
    return aligned + begins[-1], buffer[begins[0] : begins[-1]]
