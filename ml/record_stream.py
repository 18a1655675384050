"""Chunks of UTF-8 in, batches of whole records out, in flat memory whatever the chunks and the records are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ml.quarantine import TEXT_KEPT, BadReason
from ml.records import (
    MAX_RECORD_BYTES,
    Layout,
    Positions,
    Split,
    line_ends,
    lines_before,
    split_records,
    unclosed_from,
)
from ml.transcoding import BAD_BYTES
from smartml.errors import InvalidTable

BATCH_BYTES = 1 << 20
# Each costs looking once more at up to MAX_RECORD_BYTES.
_MOST_RESUMED = 50
_NO_FIELDS = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some complete records: the buffer they are in, where, and the number of the buffer's first line.

    ``broken`` are the indices of records that cannot be read whatever the header is, each with its reason.
    """

    buffer: bytes
    split: Split
    first_line: int
    broken: Mapping[int, BadReason] = field(default_factory=dict)

    def lines_of(self, indices: Positions) -> list[int]:
        """The physical lines, counted from 1, on which records begin."""
        return [self.first_line + int(n) for n in lines_before(self.buffer, self.split.starts[indices])]

    def text_of(self, index: int) -> str:
        """The first characters of a record as it stands there; signs stand for what is no text."""
        start, end = int(self.split.starts[index]), int(self.split.ends[index])
        text = self.buffer[start : min(end, start + 4 * TEXT_KEPT)].replace(BAD_BYTES, "\ufffd".encode())
        return text.decode("utf-8", "ignore")[:TEXT_KEPT].replace("\0", "\u2400")


class RecordStream:
    """Holds one batch and one unfinished record.

    A record whose quote is never closed, or that is longer than MAX_RECORD_BYTES, is given up: its line becomes a
    broken record, and reading goes on with the next line.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._parts: list[bytes] = []
        self._size = 0
        self._due = BATCH_BYTES
        self._resumed = 0
        self._given_up: bytes | None = None  # the beginning of a line that is too long and has not ended yet
        self._after_cr = False
        self.line = 1
        self.rest_fields = 0
        self.marked = False
        """BAD_BYTES may occur from now on."""

    def feed(self, data: bytes) -> Iterator[Batch]:
        if self._given_up is not None or self._after_cr:
            end = self._end_of_line(data)
            if end is None:
                return
            if self._given_up is not None:
                yield self._broken(self._given_up, BadReason.TOO_LONG)
                self._given_up = None
                self.line += 1
            data = data[end:]
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._due:
            yield from self._cut(final=False)

    def flush(self) -> Iterator[Batch]:
        """What is complete so far."""
        yield from self._cut(final=False)

    def finish(self) -> Iterator[Batch]:
        if self._given_up is not None:
            yield self._broken(self._given_up, BadReason.TOO_LONG)
            self._given_up = None
        yield from self._cut(final=True)

    def _cut(self, *, final: bool) -> Iterator[Batch]:
        buffer = b"".join(self._parts)
        while True:
            split = split_records(buffer, self._layout, final=final)
            yield Batch(buffer, split, self.line, self._broken_records(buffer, split))
            rest = buffer[split.consumed :]
            self.line += split.lines
            if not rest or not (final or len(rest) > MAX_RECORD_BYTES):
                break
            end = _line_end(rest, unclosed_from(rest, self._layout)) if split.rest_quoted else None
            if end is None and not final:
                self._given_up, self._after_cr, rest = rest[: 4 * TEXT_KEPT], rest.endswith(b"\r"), b""
                break
            end = len(rest) if end is None else end
            yield self._broken(rest[:end], BadReason.UNCLOSED_QUOTE)
            self.line += line_ends(rest, end)
            buffer = rest[end:]
            self._resumed += 1
            if self._resumed > _MOST_RESUMED:
                raise InvalidTable(
                    f"More than {_MOST_RESUMED} quotes ({self._layout.quotechar}) are opened and never closed, the "
                    f"last one in the row on line {self.line - 1:,}; so it cannot be told where the rows end.",
                    hint="Close or remove these quotes and upload the file again, or choose another quote sign.",
                )
        self._parts, self._size = [rest] if rest else [], len(rest)
        self._due = len(rest) + BATCH_BYTES
        self.rest_fields = split.rest_fields if rest else 0

    def _end_of_line(self, data: bytes) -> int | None:
        """Where the line ends that is given up, behind its line end; None when it goes on."""
        if self._after_cr and data:
            self._after_cr = False
            return 1 if data.startswith(b"\n") else 0
        end = _line_end(data, 0)
        if end == len(data) and data.endswith(b"\r"):  # its LF may come with the next bytes
            self._after_cr = True
            return None
        return end

    def _broken(self, text: bytes, reason: BadReason) -> Batch:
        """A batch of one broken record."""
        at, end = np.zeros(1, dtype=np.int64), np.array([len(text.rstrip(b"\r\n"))], dtype=np.int64)
        split = Split(at, end, _NO_FIELDS, at, len(text), 0, False, 0, False, True, 0, 0)
        return Batch(text, split, self.line, {0: reason})

    def _broken_records(self, buffer: bytes, split: Split) -> dict[int, BadReason]:
        broken = dict.fromkeys(split.unclosed.tolist(), BadReason.UNCLOSED_QUOTE)
        if self.marked and BAD_BYTES in buffer:
            data = np.frombuffer(buffer, dtype=np.uint8)
            first, second, third = BAD_BYTES
            at = np.flatnonzero((data[:-2] == first) & (data[1:-1] == second) & (data[2:] == third))
            broken |= dict.fromkeys(_records_at(split, at), BadReason.UNDECODABLE)
        if b"\0" in buffer:
            at = np.flatnonzero(np.frombuffer(buffer, dtype=np.uint8) == 0)
            broken |= dict.fromkeys(_records_at(split, at), BadReason.NUL_BYTE)
        return broken


def _records_at(split: Split, positions: Positions) -> list[int]:
    """The indices of the records in which these positions are."""
    index = np.searchsorted(split.starts, positions, side="right") - 1
    within = (index >= 0) & (positions < split.ends[np.maximum(index, 0)]) if len(split.starts) else index >= 0
    found: list[int] = np.unique(index[within]).tolist()
    return found


def _line_end(data: bytes, start: int) -> int | None:
    """Behind the first line end from ``start`` on, None when there is none."""
    ends = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
    if not ends:
        return None
    end = min(ends)
    return end + (2 if data[end : end + 2] == b"\r\n" else 1)
