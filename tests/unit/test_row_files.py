"""The rows of a file as a model is given them, and answers as columns beside them."""

import io

import pytest

from ml.answer_files import answer_cells, harmless
from ml.conformal import Reach
from ml.features import Feature
from ml.row_files import read_rows
from smartml.errors import InvalidTable

FEATURES = (
    Feature(name="price", type="numeric", kind="number", dtype="float64"),
    Feature(name="day", type="date", kind="date", dtype="datetime64[ns]"),
)


def read(text: str | bytes, **options):
    source = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(source, features=FEATURES, **options))


def test_rows_come_in_chunks_in_their_order_and_what_does_not_fit_is_told():
    text = "price,day\n" + "".join(f"{i},2024-01-{1 + i % 28:02}\n" for i in range(5)) + "6\n7,2024-01-01\n"
    chunks = read(text, most=4)
    assert [len(chunk.rows) for chunk in chunks] == [4, 2]
    assert chunks[0].rows[1] == {"price": "1", "day": "2024-01-02"}
    assert chunks[1].written[1] == ["7", "2024-01-01"]
    assert [bad.line for chunk in chunks for bad in chunk.bad] == [7]


def test_numbers_and_dates_are_rewritten_where_the_file_writes_them_in_another_way():
    rows = "".join(f"1.{i}34,5;{i}0.12.2023 14:05;1.234,5\n" for i in range(1, 4))
    (chunk,) = read(f"price;day;note\n{rows}")
    assert chunk.rows[0] == {"price": "1134.5", "day": "2023-12-10T14:05:00", "note": "1.234,5"}
    assert chunk.written[0] == ["1.134,5", "10.12.2023 14:05", "1.234,5"]


def test_columns_padded_with_blanks_are_rows_for_a_model_too():
    (chunk,) = read("price   day\n 1.5    2024-01-02\n10     2024-01-03\n")
    assert chunk.rows == ({"price": "1.5", "day": "2024-01-02"}, {"price": "10", "day": "2024-01-03"})
    (chunk,) = read('"price", "day"\n"1.5", "2024-01-02"\n')
    assert chunk.rows == ({"price": "1.5", "day": "2024-01-02"},)


def test_one_row_of_words_has_a_header_above_it_and_none_has_columns():
    assert read("city,name\nRome,Ada\n")[0].rows == ({"city": "Rome", "name": "Ada"},)
    assert (read("city,name\n")[0].columns, read("city,name\n")[0].rows) == (("city", "name"), ())
    with pytest.raises(InvalidTable, match="empty"):
        read("\n")


def test_an_order_of_dates_may_be_said():
    (chunk,) = read("price,day\n1,03/04/2024 1:05 PM\n2,05/06/2024\n", date_order="mdy")
    assert [row["day"] for row in chunk.rows] == ["2024-03-04T13:05:00", "2024-05-06"]


def test_the_cells_of_an_answer():
    shares = {"a": 0.7, "b": 0.3}
    reach = Reach(level=0.9, reach=0.8)
    cells = answer_cells({"prediction": "a", "probabilities": shares}, (), classes=["a", "b"], reach=reach)
    assert cells == ["a", "0.7", "0.3", "a | b", ""]
    reach = Reach(level=0.9, reach=1.0)
    assert answer_cells({"prediction": 2.5, "probabilities": None}, (), classes=[], reach=reach) == [
        *("2.5", "1.5", "3.5", "")
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2+3", "@x", "\t=1", " =1", "|x", "%x", "-"])
def test_what_a_spreadsheet_takes_for_a_formula_is_made_harmless(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "-5", "+1.5e-3", "a=b", "x", "2024-01-01", "-.5"])
def test_other_cells_stay(cell):
    assert harmless(cell) == cell
