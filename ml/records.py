"""Splitting bytes into records: the one place that knows where a row of a CSV file begins and ends.

Everything here works on UTF-8, where delimiter, quote and line ends are single ASCII bytes; other encodings are
converted first. The rules of quoting are those of Python's ``csv`` module: a quote opens a quoted field only at
its beginning, is doubled to stand for itself, and is an ordinary character anywhere else. Line ends are LF, CRLF
and CR, in any mix; inside quotes they are content. A line of blanks only is not a record.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smartml.errors import InvalidTable

LF, CR, SPACE, TAB = 0x0A, 0x0D, 0x20, 0x09
BATCH_BYTES = 1 << 20
# A record longer than this is an unclosed quote, not data; it bounds memory.
MAX_RECORD_BYTES = 4 << 20

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """The complete records of a buffer that starts at the start of a record, blank lines left out.

    ``starts`` and ``ends`` frame each record without its line end; ``fields`` counts its fields. ``consumed`` is
    where the incomplete rest begins, ``rest_fields`` the fields seen in it, ``rest_quoted`` whether it stops
    inside quotes, ``lines`` the line ends in the consumed part. ``regular`` says that every quote in the buffer
    stands where RFC 4180 wants it, ``has_quotes`` that there are any.
    """

    starts: Positions
    ends: Positions
    fields: Positions
    consumed: int
    rest_fields: int
    rest_quoted: bool
    lines: int
    regular: bool
    has_quotes: bool


def split_records(buffer: bytes, *, delimiter: str, quotechar: str, final: bool) -> Split:
    """Split a buffer; with ``final`` the rest is a record too unless it stops inside quotes."""
    delim, quote = ord(delimiter), ord(quotechar)
    data = np.frombuffer(buffer, dtype=np.uint8)
    has_cr, has_quote = b"\r" in buffer, quotechar.encode() in buffer
    mask = (data == delim) | (data == LF)
    if has_cr:
        mask |= data == CR
    if has_quote:
        mask |= data == quote
    at = np.flatnonzero(mask)
    kind = data[at]
    quoted, regular = False, True
    if has_quote:
        outside, quoted, regular = _outside_quotes(data, at, kind, delim=delim, quote=quote)
        at, kind = at[outside], kind[outside]
    width = np.ones(len(at), dtype=np.int64)
    if has_cr and len(at):
        at, kind, width = _join_crlf(at, kind, width)
        if not final and kind[-1] == CR and at[-1] == len(buffer) - 1:  # its LF may come with the next bytes
            at, kind, width = at[:-1], kind[:-1], width[:-1]
    last = np.flatnonzero(kind != delim)
    fields = np.diff(last, prepend=-1)
    ends = at[last]
    after = ends + width[last]
    consumed = int(after[-1]) if len(after) else 0
    starts = np.concatenate((np.zeros(1, dtype=np.int64), after))[: len(ends)]
    rest_fields = len(at) - (int(last[-1]) + 1 if len(last) else 0) + 1
    if final and consumed < len(buffer) and not quoted:
        starts, ends = np.append(starts, consumed), np.append(ends, len(buffer))
        fields, consumed, rest_fields = np.append(fields, rest_fields), len(buffer), 0
    lines = line_ends(buffer, consumed) if has_quote else len(last)
    keep = _not_blank(buffer, data, starts, ends, fields)
    if keep is not None:
        starts, ends, fields = starts[keep], ends[keep], fields[keep]
    return Split(starts, ends, fields, consumed, rest_fields, quoted, lines, regular, has_quote)


def line_ends(buffer: bytes, stop: int) -> int:
    """How many lines end before ``stop``, those inside quotes included."""
    ends = buffer.count(b"\n", 0, stop)
    if b"\r" in buffer:
        ends += buffer.count(b"\r", 0, stop) - buffer.count(b"\r\n", 0, stop)
    return ends


def _join_crlf(
    at: Positions, kind: NDArray[np.uint8], width: Positions
) -> tuple[Positions, NDArray[np.uint8], Positions]:
    """CR LF is one line end of width two, found at the CR."""
    pair = (kind[:-1] == CR) & (kind[1:] == LF) & (at[1:] == at[:-1] + 1)
    width[:-1][pair] = 2
    keep = np.concatenate((np.ones(1, dtype=np.bool_), ~pair))
    return at[keep], kind[keep], width[keep]


def _outside_quotes(
    data: NDArray[np.uint8], at: Positions, kind: NDArray[np.uint8], *, delim: int, quote: int
) -> tuple[NDArray[np.bool_], bool, bool]:
    """Which delimiters and line ends are structure; whether the buffer stops inside quotes; whether it is regular.

    When every opening quote follows a delimiter, a line end or a closing quote (a doubled quote) and every closing
    one is followed by the like, the parity of quotes so far tells inside from outside; this is checked, and only
    a buffer that fails is read field by field.
    """
    is_quote = kind == quote
    quotes = at[is_quote]
    opening, closing = quotes[::2], quotes[1::2]
    before = data[np.maximum(opening - 1, 0)]
    good = (before == delim) | (before == LF) | (before == CR) | (before == quote) | (opening == 0)
    after = data[np.minimum(closing + 1, len(data) - 1)]
    good_end = (after == delim) | (after == LF) | (after == CR) | (after == quote) | (closing == len(data) - 1)
    if good.all() and good_end.all():
        inside = np.cumsum(is_quote, dtype=np.uint8) & 1  # wraps at 256, an even number: parity survives
        return (inside == 0) & ~is_quote, bool(len(quotes) & 1), True
    return (*_outside_quoted_fields(data.tobytes(), at, is_quote, delim=delim, quote=quote), False)


def _outside_quoted_fields(
    buffer: bytes, at: Positions, is_quote: NDArray[np.bool_], *, delim: int, quote: int
) -> tuple[NDArray[np.bool_], bool]:
    """The same for quotes anywhere, at a fifth of the speed: quoted fields are found one after the other.

    Outside them every delimiter and line end is structure, so the next quoted field is the next quote after one;
    a quote elsewhere, as in ``5" pipe``, is a character.
    """
    fields = [match.span() for match in _quoted_field(delim, quote).finditer(b"\n" + buffer)]
    if not fields:
        return ~is_quote, False
    # The match begins at the delimiter; the line end put in front shifts it to the quote in the buffer.
    spans = np.array(fields, dtype=np.int64)
    begin, stop = spans[:, 0], spans[:, 1] - 1
    which = np.searchsorted(begin, at, side="right") - 1
    inside = (which >= 0) & (at < stop[which])
    opened_last = buffer[int(begin[-1]) : int(stop[-1])]
    quoted = int(stop[-1]) == len(buffer) and opened_last.count(bytes([quote])) % 2 == 1
    return ~inside & ~is_quote, quoted


@cache
def _quoted_field(delim: int, quote: int) -> re.Pattern[bytes]:
    delimiter, q = re.escape(bytes([delim])), re.escape(bytes([quote]))
    # Possessive, so that the end of a doubled quote is never taken for a closing one.
    return re.compile(
        rb"[\r\n" + delimiter + rb"]" + q + rb"(?:[^" + q + rb"]++|" + q + q + rb")*+(?:" + q + rb"|\Z)"
    )


def _not_blank(
    buffer: bytes, data: NDArray[np.uint8], starts: Positions, ends: Positions, fields: Positions
) -> NDArray[np.bool_] | None:
    """A mask without the blank lines, or None when there are none."""
    alone = np.flatnonzero(fields == 1)
    if not len(alone):
        return None
    begin, stop = starts[alone], ends[alone]
    empty = begin == stop
    first = data[np.minimum(begin, len(data) - 1)]
    blank = alone[empty].tolist()
    for index in alone[~empty & ((first == SPACE) | (first == TAB))].tolist():
        if not buffer[starts[index] : ends[index]].strip(b" \t"):
            blank.append(index)
    if not blank:
        return None
    keep = np.ones(len(fields), dtype=np.bool_)
    keep[blank] = False
    return keep


class UndecodableBytes(Exception):
    """Bytes that are no text in the stream's encoding; ``before`` is the good UTF-8 text ahead of them."""

    def __init__(self, before: bytes, encoding: str) -> None:
        super().__init__(encoding)
        self.before = before
        self.encoding = encoding


class Transcoder:
    """Any encoding to UTF-8, chunk by chunk; a byte order mark is dropped."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"
        self._begun = False
        self._clean = True  # the decoder holds no part of a character

    def convert(self, data: bytes, *, final: bool = False) -> bytes:
        if self._is_utf8 and self._begun and self._clean and data.isascii():
            return data
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(self.encoding, "ignore")
            raise UndecodableBytes(good.encode(), self.encoding) from error
        self._clean = not self._decoder.getstate()[0]
        if not self._begun and text:
            self._begun = True
            return text.removeprefix("\ufeff").encode()
        # What the decoder holds back of a UTF-8 character belongs to the next chunk, so the text is encoded anew.
        return text.encode()


@dataclass(frozen=True, slots=True)
class Batch:
    """Some complete records: the buffer they are in, where, and the number of the buffer's first line."""

    buffer: bytes
    split: Split
    first_line: int

    def line_of(self, index: int) -> int:
        """The physical line, counted from 1, on which a record begins."""
        return self.first_line + line_ends(self.buffer, int(self.split.starts[index]))


class RecordStream:
    """Chunks of UTF-8 bytes in, batches of whole records out; holds one batch and one unfinished record."""

    def __init__(self, *, delimiter: str, quotechar: str) -> None:
        self._delimiter = delimiter
        self._quotechar = quotechar
        self._parts: list[bytes] = []
        self._size = 0
        self._due = BATCH_BYTES
        self.line = 1
        self.rest_fields = 0

    def feed(self, data: bytes) -> Iterator[Batch]:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._due:
            yield self._cut(final=False)

    def finish(self) -> Iterator[Batch]:
        yield self._cut(final=True)

    def pending(self) -> bytes:
        """The bytes after the last batch."""
        return b"".join(self._parts)

    def _cut(self, *, final: bool) -> Batch:
        buffer = b"".join(self._parts)
        nul = buffer.find(b"\0")
        if nul >= 0:
            raise InvalidTable(
                f"The file has a NUL byte on line {self.line + line_ends(buffer, nul)}, so it is not a text file."
            )
        split = split_records(buffer, delimiter=self._delimiter, quotechar=self._quotechar, final=final)
        batch = Batch(buffer, split, self.line)
        rest = buffer[split.consumed :]
        self._parts, self._size = [rest] if rest else [], len(rest)
        self._due = len(rest) + BATCH_BYTES
        self.line += split.lines
        self.rest_fields = split.rest_fields if rest else 0
        if len(rest) > MAX_RECORD_BYTES or (final and rest):
            raise self._unfinished(quoted=split.rest_quoted, final=final)
        return batch

    def _unfinished(self, *, quoted: bool, final: bool) -> InvalidTable:
        if quoted and final:
            return InvalidTable(
                f"A quote ({self._quotechar}) that is opened in the row on line {self.line} is never closed.",
                hint="Close or remove that quote and upload the file again.",
            )
        if quoted:
            return InvalidTable(
                f"The row that begins on line {self.line} is longer than {MAX_RECORD_BYTES >> 20} MB; "
                f"probably a quote ({self._quotechar}) in it is never closed.",
                hint="Close or remove that quote and upload the file again.",
            )
        return InvalidTable(f"Line {self.line} is longer than {MAX_RECORD_BYTES >> 20} MB.")
