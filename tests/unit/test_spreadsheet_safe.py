"""Formulas become texts on their way to a spreadsheet; everything else stays as it is."""

import csv
import io

import pytest

from ml.reading import as_csv
from ml.spreadsheet_safe import for_spreadsheets, made_safe

ROWS = [
    ["=name", "amount", "note"],
    ["=1+1", "-5", "+41 44 555"],
    ["@SUM(A1)", "+3.5e-7", "plain = fine"],
    ["\tx", "-1,234.50", "two\n=lines"],
    ["\rx", "-", 'a "quote", é'],
    ["", "1.5", "-cmd|' /C calc'!A0"],
]
SAFE = [
    ["'=name", "amount", "note"],
    ["'=1+1", "-5", "'+41 44 555"],
    ["'@SUM(A1)", "+3.5e-7", "plain = fine"],
    ["'\tx", "-1,234.50", "two\n=lines"],
    ["'\rx", "'-", 'a "quote", é'],
    ["", "1.5", "'-cmd|' /C calc'!A0"],
]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_file_is_made_safe_wherever_it_is_cut(size):
    data = as_csv(ROWS)
    made = b"".join(for_spreadsheets(data[start : start + size] for start in range(0, len(data), size)))
    assert list(csv.reader(io.StringIO(made.decode(), newline=""))) == SAFE


def test_numbers_are_no_formulas():
    for number in ("-1", "+1", "-1.5", "-.5", "-1e9", "-1'234.5", "-1 234,5"):
        assert made_safe(number) == number
    for formula in ("-1+2", "--1", "-A1", "+", "-1 234 555 x", "=1"):
        assert made_safe(formula) == f"'{formula}"
