"""The signs between the fields of a table: delimiter, escape character, comments, and where the table begins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ml.column_types import BLANKS, ValueFormat
from ml.dialects import parse_records
from ml.records import Layout, Mask, Positions, Split, split_records
from ml.value_formats import is_date, is_numeric
from smartml.errors import InvalidTable

# When several delimiters fit equally well, the rarer in prose and numbers comes first.
DELIMITERS = ("\t", "|", ";", ",")
# Only where none of these fits.
_RARE_DELIMITERS = ("\x01", "\x1f", "^", "~", " ")
_ENOUGH_ALIKE = 0.5
_CLEARLY_ALIKE = 0.8
_NEARLY_ALL_ALIKE = 0.95
_LOOKED_AT = 200
_MOST_PREAMBLE = 100
_COMMENTS = ("#", "//", "%", "--", "!")
_DECIMAL_COMMA = re.compile(r"[^,]*[0-9],[0-9][^,]*|[^,]*")
_SPACED = ValueFormat(thousands=" ")


def find_layout(text: bytes, quotechar: str, *, complete: bool, delimiter: str | None = None) -> tuple[Layout, int]:
    """The layout, and where in the text the table begins, behind lines that are no part of it.

    :param delimiter: what the file itself says about it.
    :raises InvalidTable: there is no table in this text.
    """
    if delimiter is not None:
        return _with_escapes(text, Layout(delimiter, quotechar), complete=complete), 0
    plain = Layout(",", quotechar, escapechar="\\" if _needs_escapes(text, quotechar, complete=complete) else "")
    plain = replace(plain, skip_blanks=_quotes_behind_blanks(text, plain, complete=complete))
    for comment in _COMMENTS:
        if _is_comment(text, comment):
            layout, start = _find(text, replace(plain, comment=comment), complete=complete)
            if not _comments_fit(text, layout):
                return _with_escapes(text, layout, complete=complete), start
    layout, start = _find(text, plain, complete=complete)
    return _with_escapes(text[start:], layout, complete=complete), start


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a delimiter cuts the records: fields of the first one, the share of records with as many, the mode.

    ``counts`` are the fields of each record; one more and empty, as all records but the header have it, counts not.
    """

    layout: Layout
    split: Split
    counts: Positions
    width: int
    share: float
    mode: int
    mode_share: float

    @property
    def delimiter(self) -> str:
        return self.layout.delimiter


def _fit(text: bytes, layout: Layout, *, complete: bool) -> _Fit:
    split = split_records(text, layout, final=complete)
    counts = split.fields
    if not len(counts):
        counts = np.array([split.rest_fields], dtype=np.int64)
        return _Fit(layout, split, counts, split.rest_fields, 1.0, split.rest_fields, 1.0)
    counts = _without_overhang(text, split, layout)
    width = int(counts[0])
    after = counts[1:] if len(counts) > 1 else counts
    mode, times = _mode(after)
    return _Fit(layout, split, counts, width, float((after == width).mean()), mode, times / len(after))


def _mode(counts: Positions) -> tuple[int, int]:
    values, times = np.unique(counts, return_counts=True)
    return int(values[times.argmax()]), int(times.max())


def _without_overhang(text: bytes, split: Split, layout: Layout) -> Positions:
    counts = split.fields
    mode, _ = _mode(counts)
    common = counts == mode
    if (
        mode == 1
        or common[0]
        or not (counts == mode - 1).any()
        or not _end_empty(text, split, layout)[common].all()
    ):
        return counts
    return np.where(common, mode - 1, counts)


def _end_empty(text: bytes, split: Split, layout: Layout) -> Mask:
    last = np.frombuffer(text, dtype=np.uint8)[np.maximum(split.ends - 1, 0)]
    empty: Mask = (split.ends > split.starts) & (last == ord(layout.delimiter))
    return empty


def _find(text: bytes, layout: Layout, *, complete: bool) -> tuple[Layout, int]:
    fits = _fits(text, layout, complete=complete)
    wide = [fit for fit in fits if fit.width > 1 and fit.share >= _ENOUGH_ALIKE]
    best = max(wide, key=lambda fit: (round(fit.share, 2), fit.width), default=None)
    if best and best.delimiter == "," and len(wide) > 1:
        best = _unless_decimal_commas(text, wide)
    prose = _is_prose(text)
    if best and (len(best.counts) > 1 or not prose):
        return best.layout, 0
    later = None if _is_number_column(text) else _below_preamble(text, fits)
    if later is not None:
        return later
    runs = _blank_runs(text, layout, complete=complete)
    if runs is not None:
        return runs.layout, 0
    if _is_lined_up(text):
        raise InvalidTable(
            "The columns of this file are lined up with blanks (fixed width); no sign stands between them.",
            hint="Open it in a spreadsheet program as fixed width, save it as CSV and upload that.",
        )
    rare = _rare_delimiter(text, layout, complete=complete)
    if rare is not None:
        return rare.layout, 0
    if prose:
        raise InvalidTable("This file is a text, not a table: its lines do not share a delimiter and columns.")
    _refuse_other_width(text, fits)
    wide = [fit for fit in fits if fit.width > 1]
    if wide and max(fit.share for fit in wide) > 0.1:
        return max(wide, key=lambda fit: (fit.share, fit.width)).layout, 0  # ragged, as reading will say
    # One column: its delimiter is whichever does not occur in it, the comma where possible.
    return max(reversed(fits), key=lambda fit: fit.share if fit.width == 1 else 0.0).layout, 0


def _fits(text: bytes, layout: Layout, *, complete: bool) -> list[_Fit]:
    found = [delimiter for delimiter in DELIMITERS if delimiter.encode() in text]
    fits = [_fit(text, replace(layout, delimiter=delimiter), complete=complete) for delimiter in found]
    absent = [delimiter for delimiter in DELIMITERS if delimiter not in found]
    if absent:  # all that do not occur cut alike
        alike = _fit(text, replace(layout, delimiter=absent[0]), complete=complete)
        fits += [replace(alike, layout=replace(layout, delimiter=delimiter)) for delimiter in absent]
    return sorted(fits, key=lambda fit: DELIMITERS.index(fit.delimiter))


def _unless_decimal_commas(text: bytes, wide: Sequence[_Fit]) -> _Fit:
    """The comma, unless another delimiter fits and leaves commas only between digits."""
    comma = next(fit for fit in wide if fit.delimiter == ",")
    for other in wide:
        if other is comma or other.share < comma.share - 0.05:
            continue
        if all(_DECIMAL_COMMA.fullmatch(value) for row in _first_rows(text, other) for value in row):
            return other
    return comma


def _first_rows(text: bytes, fit: _Fit, start: int = 0) -> list[list[str]]:
    indices = range(start, min(len(fit.split.starts), start + _LOOKED_AT))
    return parse_records(text, fit.split, indices, fit.layout)


def _below_preamble(text: bytes, fits: Sequence[_Fit]) -> tuple[Layout, int] | None:
    """The table under some lines that are none of it: records alike in width from some line on, to the end.

    One line of words that has a field less than those under it is rather a header that lacks a name: nothing is
    clear then.
    """
    found: list[tuple[float, int, _Fit, int]] = []
    for fit in fits:
        mode, _ = _mode(fit.counts)
        first = int(np.argmax(fit.counts == mode))
        rest = fit.counts[first:]
        share = float((rest == mode).mean())
        if mode > 1 and 0 < first <= _MOST_PREAMBLE and len(rest) >= 2 and share >= _CLEARLY_ALIKE:
            found.append((round(share, 2), mode, fit, first))
    for _, mode, fit, first in sorted(found, key=lambda one: one[:2], reverse=True):
        [above] = parse_records(text, fit.split, [first - 1], fit.layout)
        rows = _first_rows(text, fit, first)
        named = not any(map(_is_value, rows[0]))
        over_values = named and any(_is_value(value) for row in rows[1:] for value in row)
        could_be_header = len(above) > 1 and all(value.strip() and not _is_value(value) for value in above)
        if could_be_header and not over_values and (len(above) == mode - 1 or not named):
            continue
        start = int(fit.split.starts[first])
        if not _is_prose(text[start:]):
            return fit.layout, start
    return None


def _is_value(text: str) -> bool:
    text = text.strip(BLANKS)
    return is_numeric(text) or is_numeric(text.replace(",", ".", 1)) or is_date(text, ValueFormat(date_order="ymd"))


def _rare_delimiter(text: bytes, layout: Layout, *, complete: bool) -> _Fit | None:
    """A delimiter that is none as a rule, where it cuts all lines alike; the blank only between numbers."""
    for delimiter in _RARE_DELIMITERS:
        if delimiter.encode() not in text:
            continue
        fit = _fit(text, replace(layout, delimiter=delimiter), complete=complete)
        if fit.width < 2 or len(fit.counts) < 3 or fit.share < _NEARLY_ALL_ALIKE:
            continue
        if delimiter != " " or _is_spaced_numbers(text, fit):
            return fit
    return None


def _blank_runs(text: bytes, layout: Layout, *, complete: bool) -> _Fit | None:
    """Columns padded with blanks: a run of them is a delimiter where it cuts nearly all lines alike.

    Values are mostly numbers, or else each stands in a column of the page that is its own: then no value holds a
    blank. Where a single blank cuts the lines alike too, it is the delimiter.
    """
    if b"  " not in text:
        return None
    fit = _fit(text, replace(layout, delimiter=" ", skip_blanks=True), complete=complete)
    if fit.width < 2 or len(fit.counts) < 3 or fit.share < _NEARLY_ALL_ALIKE:
        return None
    if _fit(text, replace(layout, delimiter=" "), complete=complete).share >= _NEARLY_ALL_ALIKE:
        return None
    return fit if _is_spaced_numbers(text, fit) or _columns_on_page(text) == fit.width else None


def _is_spaced_numbers(text: bytes, fit: _Fit) -> bool:
    rows = _first_rows(text, fit)[1:]
    cells = [cell for row in rows for cell in row]
    if sum(map(is_numeric, cells)) < len(cells) / 2:
        return False
    lines = [" ".join(row) for row in rows]
    return not all(is_date(line) or is_numeric(line, _SPACED) for line in lines)


def _refuse_other_width(text: bytes, fits: Sequence[_Fit]) -> None:
    longer = max(fits, key=lambda fit: (fit.width > fit.mode > 1) * fit.mode_share)
    if longer.width > longer.mode > 1 and longer.mode_share >= _CLEARLY_ALIKE:
        raise InvalidTable(
            f"The header row has {longer.width} fields, but most of the lines after it have {longer.mode}.",
            hint="Take out of the header row what is too much, or put the missing values in, and upload it again.",
        )
    titled = max(fits, key=lambda fit: (fit.mode > fit.width) * fit.mode_share)
    if titled.mode > titled.width and titled.mode_share >= _CLEARLY_ALIKE and not _is_number_column(text):
        fields = "1 field" if titled.width == 1 else f"{titled.width} fields"
        raise InvalidTable(
            f"The first line has {fields}, but most of the lines after it have {titled.mode}.",
            hint="Remove what stands above the header row, or complete it, and upload the file again.",
        )


def _lines(text: bytes) -> list[str]:
    lines = text[:65536].decode(errors="ignore").splitlines()[:_LOOKED_AT]
    return [line for line in lines if line.strip()]


def _is_lined_up(text: bytes) -> bool:
    """Whether all lines have blanks at the same places, some of them several in a row."""
    lines = _lines(text)
    return _columns_on_page(text) > 1 and sum("  " in line.strip() for line in lines) >= len(lines) / 2


def _columns_on_page(text: bytes) -> int:
    """How many blocks of characters stand beside each other, with blanks between them in every line; 0 for a few
    lines, or lines with tabs."""
    lines = [line.rstrip() for line in _lines(text)]
    if len(lines) < 3 or any("\t" in line for line in lines):
        return 0
    width = max(map(len, lines))
    filled = [False, *(any(at < len(line) and line[at] != " " for line in lines) for at in range(width))]
    return sum(not now and after for now, after in pairwise(filled))


def _is_prose(text: bytes) -> bool:
    """A first line that reads as a sentence, and lines of several words after it."""
    lines = _lines(text)
    words = lines[0].split() if lines else []
    sentence = len(words) >= 6 or (len(words) >= 3 and words[-1][-1] in ".!?:,")
    others = sorted(len(line.split()) for line in lines[1:])
    return sentence and (not others or others[len(others) // 2] >= 4)


def _is_number_column(text: bytes) -> bool:
    """One column of numbers with decimal commas."""
    return len(_lines(text)) > 1 and all(
        re.fullmatch(r"\s*[+-]?[0-9]*,?[0-9]+\s*", line) for line in _lines(text)[1:]
    )


def _is_comment(text: bytes, comment: str) -> bool:
    """Whether lines begin with this sign; of signs but # (which means nothing else) the first line has to."""
    sign = re.escape(comment.encode())
    if re.match(rb"\s*" + sign, text):
        return True
    return comment == "#" and re.search(rb"[\r\n]#", text) is not None


def _comments_fit(text: bytes, layout: Layout) -> bool:
    """Whether the lines with the comment sign have the fields of the table, and so are part of it.

    In a table of one column every line fits: there only a blank behind the sign, above the table, makes a comment.
    """
    sign = layout.comment.encode()
    plain = split_records(text, replace(layout, comment=""), final=True)
    signed = [index for index, start in enumerate(plain.starts.tolist()) if text.startswith(sign, start)]
    others = np.delete(plain.fields, signed)
    if not len(others) or not signed:
        return True
    mode, _ = _mode(others)
    if mode == 1:
        leading = signed == list(range(len(signed)))
        spaced = all(text.startswith(sign + b" ", int(plain.starts[index])) for index in signed)
        return not (leading and spaced)
    alike = [index for index in signed if plain.fields[index] == mode]
    return len(alike) > len(signed) / 2 or _is_signed_header(text, plain, layout, signed, alike)


def _is_signed_header(
    text: bytes, plain: Split, layout: Layout, signed: Sequence[int], alike: Sequence[int]
) -> bool:
    """Whether the last of the comments above the table is its header, as in ``#chromosome,position``."""
    last = len(signed) - 1
    if list(alike) != [last] or list(signed) != list(range(len(signed))) or last + 1 >= len(plain.starts):
        return False
    header, first = parse_records(text, plain, [last, last + 1], replace(layout, comment=""))
    return not any(map(_is_value, header)) and any(map(_is_value, first))


def _quotes_behind_blanks(text: bytes, layout: Layout, *, complete: bool) -> bool:
    """Whether quoted values have blanks ahead of their quote, as in ``"a", "b"``.

    Nearly all quotes behind a delimiter and blanks are closed where a field ends; no fewer lines are alike then.
    """
    quote = re.escape(layout.quotechar.encode())
    opened = rb"[,;|\t]\x20++" + quote
    count = len(re.findall(opened, text))
    inside = rb"(?:[^" + quote + rb"]++|" + quote * 2 + rb")*+"
    closed = re.findall(opened + inside + quote + rb"\x20*+(?=[,;|\t\r\n]|\Z)", text)
    if not count or len(closed) < _NEARLY_ALL_ALIKE * count:
        return False
    layouts = (layout, replace(layout, skip_blanks=True))
    plain, skipping = (
        max((fit.width > 1) * fit.share for fit in _fits(text, each, complete=complete)) for each in layouts
    )
    return skipping >= max(plain, _CLEARLY_ALIKE)


def _needs_escapes(text: bytes, quotechar: str, *, complete: bool) -> bool:
    """Whether more records are alike if the backslash escapes delimiters and quotes."""
    if not re.search(rb"\\[,;|\t\"']", text):
        return False
    plain, escaped = (
        max((fit.width > 1) * fit.share for fit in _fits(text, Layout(",", quotechar, sign), complete=complete))
        for sign in ("", "\\")
    )
    return escaped >= _CLEARLY_ALIKE and escaped > plain


def _with_escapes(text: bytes, layout: Layout, *, complete: bool) -> Layout:
    """The layout, with the backslash as escape character where quotes make sense with it only."""
    if layout.escapechar or not re.search(
        rb"\\[" + re.escape((layout.delimiter + layout.quotechar).encode()) + rb"]", text
    ):
        return layout
    plain = _fit(text, layout, complete=complete)
    escaped = _fit(text, replace(layout, escapechar="\\"), complete=complete)
    if escaped.split.rest_quoted and complete:
        return layout
    better = escaped.share > plain.share or len(escaped.split.unclosed) < len(plain.split.unclosed)
    same = escaped.share == plain.share and len(escaped.counts) == len(plain.counts)
    irregular = same and not plain.split.regular and escaped.width == plain.width
    return escaped.layout if better or irregular else layout
