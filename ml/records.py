"""Splitting bytes into records: the one place that knows where a row of a CSV file begins and ends.

Everything here works on UTF-8, where delimiter, quote and line ends are single ASCII bytes; other encodings are
converted first. The rules of quoting are those of Python's ``csv`` module: a quote opens a quoted field only at
its beginning, is doubled to stand for itself, and is an ordinary character anywhere else. Line ends are LF, CRLF
and CR, in any mix; inside quotes they are content. A line of blanks only is not a record, nor is one that begins
with the comment sign. Behind an escape character every character is content, a line end too. Where the layout
says so, blanks ahead of a field are skipped; if the delimiter is the blank, then a run of blanks is one delimiter,
and none at the start or the end of a record.

One rule is stricter than the ``csv`` module's: a quoted field that goes over several lines has to end where a field
ends, or else its quote was never closed. ``1,"Smith`` above ``2,"Jones"`` is one bad line and a good one, not one
row that has swallowed the other.
"""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

LF, CR, SPACE, TAB = 0x0A, 0x0D, 0x20, 0x09
# A record longer than this is an unclosed quote, not data; it bounds memory.
MAX_RECORD_BYTES = 4 << 20

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]
_NONE: Positions = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Layout:
    """The signs that lay out records: ASCII characters, of which ``comment`` may have several; "" for none.

    ``skip_blanks``: blanks ahead of a field are no part of it.
    """

    delimiter: str
    quotechar: str = '"'
    escapechar: str = ""
    comment: str = ""
    skip_blanks: bool = False

    @property
    def has_runs(self) -> bool:
        """Whether a run of blanks is one delimiter."""
        return self.skip_blanks and self.delimiter == " "


@dataclass(frozen=True, slots=True)
class Split:
    """The complete records of a buffer that starts at the start of a record, blank and comment lines left out.

    ``starts`` and ``ends`` frame each record without its line end; ``fields`` counts its fields; ``unclosed`` are
    the indices of those with a quote that is not closed. ``consumed`` is where the incomplete rest begins,
    ``rest_fields`` the fields seen in it, ``rest_quoted`` whether it stops inside quotes, ``lines`` the line ends
    in the consumed part. ``regular`` says that every quote in the buffer stands where RFC 4180 wants it and nothing
    is escaped, ``has_quotes`` that there are any. ``blank`` and ``comments`` count the lines that are left out.
    """

    starts: Positions
    ends: Positions
    fields: Positions
    unclosed: Positions
    consumed: int
    rest_fields: int
    rest_quoted: bool
    lines: int
    regular: bool
    has_quotes: bool
    blank: int
    comments: int


def split_records(buffer: bytes, layout: Layout, *, final: bool) -> Split:
    """Split a buffer; with ``final`` the rest is a record too unless it stops inside quotes."""
    delim = ord(layout.delimiter)
    data = np.frombuffer(buffer, dtype=np.uint8)
    has_cr = b"\r" in buffer
    has_quote = bool(layout.quotechar) and layout.quotechar.encode() in buffer
    has_escape = bool(layout.escapechar) and layout.escapechar.encode() in buffer
    has_comment = bool(layout.comment) and _has_comment(buffer, layout.comment.encode())
    mask = (data == delim) | (data == LF)
    if has_cr:
        mask |= data == CR
    if has_quote:
        mask |= data == ord(layout.quotechar)
    at = np.flatnonzero(mask)
    kind = data[at]
    quoted, regular, broken = False, True, _NONE
    if has_quote or has_escape:
        plain = not has_escape and not has_comment
        outside, quoted, regular, broken = _structure(buffer, data, at, kind, layout, may_be_plain=plain)
        at, kind = at[outside], kind[outside]
    width = np.ones(len(at), dtype=np.int64)
    if has_cr and len(at):
        at, kind, width = _join_crlf(at, kind, width)
        if not final and kind[-1] == CR and at[-1] == len(buffer) - 1:  # its LF may come with the next bytes
            at, kind, width = at[:-1], kind[:-1], width[:-1]
    trailing, tail = np.zeros(len(at), dtype=np.int64), 0
    if layout.has_runs and len(at):
        at, kind, width, trailing, tail = _join_runs(at, kind, width, len(buffer))
    last = np.flatnonzero(kind != delim)
    fields = np.diff(last, prepend=-1)
    ends = at[last] - trailing[last]
    after = at[last] + width[last]
    consumed = int(after[-1]) if len(after) else 0
    starts = np.concatenate((np.zeros(1, dtype=np.int64), after))[: len(ends)]
    rest_fields = len(at) - (int(last[-1]) + 1 if len(last) else 0) + 1
    if final and consumed < len(buffer) and not quoted:
        starts, ends = np.append(starts, consumed), np.append(ends, len(buffer) - tail)
        fields, consumed, rest_fields = np.append(fields, rest_fields), len(buffer), 0
    lines = line_ends(buffer, consumed) if has_quote or has_escape else len(last)
    keep, blank, comments = _kept(buffer, data, starts, ends, fields, layout.comment if has_comment else "")
    if keep is not None:
        starts, ends, fields = starts[keep], ends[keep], fields[keep]
    unclosed = _NONE
    if len(broken):
        unclosed = np.unique(np.searchsorted(starts, broken[broken < consumed], side="right") - 1)
    return Split(
        starts, ends, fields, unclosed, consumed, rest_fields, quoted, lines, regular, has_quote, blank, comments
    )


def line_ends(buffer: bytes, stop: int) -> int:
    """How many lines end before ``stop``, those inside quotes included."""
    ends = buffer.count(b"\n", 0, stop)
    if b"\r" in buffer:
        ends += buffer.count(b"\r", 0, stop) - buffer.count(b"\r\n", 0, stop)
    return ends


def lines_before(buffer: bytes, positions: Positions) -> Positions:
    """The same for many positions, none of them between a CR and its LF."""
    data = np.frombuffer(buffer, dtype=np.uint8)
    ends = data == LF
    if b"\r" in buffer:
        lone = data == CR
        lone[:-1] &= ~ends[1:]
        ends |= lone
    return np.searchsorted(np.flatnonzero(ends), positions, side="left")


def unclosed_from(buffer: bytes, layout: Layout) -> int:
    """Where the quote stands inside which the buffer stops."""
    last = -1
    for match in _tokens(layout).finditer(b"\n" + buffer):
        last = match.start()  # the line end put in front shifts the delimiter ahead of the quote to the quote
    return last


def _has_comment(buffer: bytes, comment: bytes) -> bool:
    return buffer.startswith(comment) or b"\n" + comment in buffer or b"\r" + comment in buffer


def _join_crlf(
    at: Positions, kind: NDArray[np.uint8], width: Positions
) -> tuple[Positions, NDArray[np.uint8], Positions]:
    """CR LF is one line end of width two, found at the CR."""
    pair = (kind[:-1] == CR) & (kind[1:] == LF) & (at[1:] == at[:-1] + 1)
    width[:-1][pair] = 2
    keep = np.concatenate((np.ones(1, dtype=np.bool_), ~pair))
    return at[keep], kind[keep], width[keep]


def _join_runs(
    at: Positions, kind: NDArray[np.uint8], width: Positions, end: int
) -> tuple[Positions, NDArray[np.uint8], Positions, Positions, int]:
    """Of each run of blanks the first one, and none of a run at the start or the end of a record.

    Then how many blanks each line end has ahead of it, and how many stand at the ``end`` of the buffer.
    """
    touches = np.concatenate((at[:1] == 0, at[:-1] + width[:-1] == at[1:]))
    keep = np.flatnonzero((kind != SPACE) | ~touches)
    # Behind each sign that is kept: the next one, and where the run ends that the sign begins.
    following = np.append(keep[1:], len(at))
    run_end = at[following - 1] + 1
    next_at, next_kind = np.append(at, end)[following], np.append(kind, LF)[following]
    dropped = (kind[keep] == SPACE) & (next_kind != SPACE) & (run_end == next_at)
    blanks = np.where(dropped, next_at - at[keep], 0)
    tail = int(blanks[-1]) if len(blanks) else 0
    trailing = np.concatenate((np.zeros(1, dtype=np.int64), blanks[:-1]))[~dropped] if len(keep) else blanks
    keep = keep[~dropped]
    return at[keep], kind[keep], width[keep], trailing, tail


def _structure(
    buffer: bytes,
    data: NDArray[np.uint8],
    at: Positions,
    kind: NDArray[np.uint8],
    layout: Layout,
    *,
    may_be_plain: bool,
) -> tuple[Mask, bool, bool, Positions]:
    """Which delimiters and line ends are structure; whether the buffer stops inside quotes; whether it is regular;
    where quotes stand that are not closed.

    When every opening quote follows a delimiter, a line end or a closing quote (a doubled quote) and every closing
    one is followed by the like, the parity of quotes so far tells inside from outside; this is checked, and only
    a buffer that fails is read field by field, and one with escapes or comments.
    """
    delim, quote = ord(layout.delimiter), ord(layout.quotechar or "\0")
    is_quote = kind == quote if layout.quotechar else np.zeros(len(kind), dtype=np.bool_)
    if may_be_plain:
        quotes = at[is_quote]
        opening, closing = quotes[::2], quotes[1::2]
        before = data[np.maximum(opening - 1, 0)]
        good = (before == delim) | (before == LF) | (before == CR) | (before == quote) | (opening == 0)
        after = data[np.minimum(closing + 1, len(data) - 1)]
        good_end = (after == delim) | (after == LF) | (after == CR) | (after == quote) | (closing == len(data) - 1)
        if good.all() and good_end.all():
            inside = np.cumsum(is_quote, dtype=np.uint8) & 1  # wraps at 256, an even number: parity survives
            return (inside == 0) & ~is_quote, bool(len(quotes) & 1), True, _NONE
    return _structure_by_tokens(buffer, at, is_quote, layout)


def _structure_by_tokens(
    buffer: bytes, at: Positions, is_quote: Mask, layout: Layout
) -> tuple[Mask, bool, bool, Positions]:
    """The same at a fifth of the speed: quoted fields, comments and escapes are found one after the other.

    Outside them every delimiter and line end is structure, so the next quoted field is the next quote after one;
    a quote elsewhere, as in ``5" pipe``, is a character.
    """
    tokens, broken, quoted = [], [], False
    for match in _tokens(layout).finditer(b"\n" + buffer):
        tokens.append(match.span())
        if match.lastgroup == "broken":
            broken.append(match.start())
        quoted = match.lastgroup == "rest"
    if not tokens:
        return ~is_quote, False, False, _NONE
    # A token begins at the sign ahead of it, which the line end put in front has shifted by one.
    spans = np.array(tokens, dtype=np.int64)
    begin, stop = spans[:, 0], spans[:, 1] - 1
    which = np.searchsorted(begin, at, side="right") - 1
    inside = (which >= 0) & (at < stop[which])
    return ~inside & ~is_quote, quoted, False, np.array(broken, dtype=np.int64)


@cache
def _tokens(layout: Layout) -> re.Pattern[bytes]:
    """What begins at a delimiter or line end (a quoted field, a comment) or at an escape character.

    The group tells how a quoted field ends: ``rest`` with the buffer, ``broken`` not where a field ends, so that
    nothing behind its quote can be trusted until the line ends.
    """
    delimiter = re.escape(layout.delimiter.encode())
    sign = rb"[\r\n" + delimiter + rb"]"
    blanks = rb"\x20*+" if layout.skip_blanks else rb""
    before, behind = sign + blanks, (sign if layout.has_runs else blanks + sign)
    escape = re.escape(layout.escapechar.encode())
    kinds = []
    if escape:
        # Shifted like the others: what is escaped is content, and so is nothing else.
        kinds.append(escape + rb"(?:\r\n|[\s\S])")
    if layout.comment:
        kinds.append(rb"[\r\n]" + re.escape(layout.comment.encode()) + rb"[^\r\n]*+")
    if layout.quotechar:
        q = re.escape(layout.quotechar.encode())
        escaped = rb"|" + escape + rb"[\s\S]" if escape else rb""
        rest = (escape + rb"?" if escape else rb"") + rb"(?P<rest>\Z)"
        # Possessive, so that the end of a doubled quote is never taken for a closing one.
        body = rb"(?:[^" + q + escape + rb"]++|" + q + q + escaped + rb")*+"
        line = rb"(?:[^" + q + escape + rb"\r\n]++|" + q + q + escaped + rb")*+"
        kinds += [
            before + q + body + rb"(?:" + q + rb"(?=" + behind + rb"|" + blanks + rb"\Z)|" + rest + rb")",
            before + q + line + q,
            before + q + rb"(?P<broken>)[^\r\n]*+",
        ]
    return re.compile(rb"|".join(kinds))


def _kept(
    buffer: bytes, data: NDArray[np.uint8], starts: Positions, ends: Positions, fields: Positions, comment: str
) -> tuple[Mask | None, int, int]:
    """A mask without blank lines and comments, or None when there are none; and how many of each there are."""
    comments: list[int] = []
    if comment and len(starts):
        sign = comment.encode()
        first = data[np.minimum(starts, len(data) - 1)]
        for index in np.flatnonzero((first == sign[0]) & (ends > starts)).tolist():
            if buffer.startswith(sign, int(starts[index])):
                comments.append(index)
    blank = _blank(buffer, data, starts, ends, fields)
    if not blank and not comments:
        return None, 0, 0
    keep = np.ones(len(fields), dtype=np.bool_)
    keep[blank] = False
    keep[comments] = False
    return keep, len(blank), len(comments)


def _blank(
    buffer: bytes, data: NDArray[np.uint8], starts: Positions, ends: Positions, fields: Positions
) -> list[int]:
    alone = np.flatnonzero(fields == 1)
    if not len(alone):
        return []
    begin, stop = starts[alone], ends[alone]
    empty = begin == stop
    first = data[np.minimum(begin, len(data) - 1)]
    blank: list[int] = alone[empty].tolist()
    for index in alone[~empty & ((first == SPACE) | (first == TAB))].tolist():
        if not buffer[starts[index] : ends[index]].strip(b" \t"):
            blank.append(index)
    return blank
