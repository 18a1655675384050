"""Parquet files as CSV: values, memory, and what is refused."""

import csv
import io
import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import parquet
from ml.containers import ContainerKind, Limits, kind_of, members, open_member
from smartml.errors import InvalidTable, SmartMLError, TooLarge

LIMITS = Limits(max_output_bytes=50 * 2**20, max_ratio=100)


def written(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def pieces(data: bytes, limits: Limits = LIMITS) -> list[bytes]:
    assert kind_of(data[:4096], "table.parquet") is ContainerKind.PARQUET
    file = io.BytesIO(data)
    [member] = members(file, ContainerKind.PARQUET, limits)
    return list(open_member(file, ContainerKind.PARQUET, member, limits))


def as_rows(table: pa.Table, **options: object) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(pieces(written(table, **options))).decode(), newline="")))


def column(values: list[object], kind: pa.DataType | None = None) -> list[str]:
    """How these values of one column come out."""
    return [row[0] for row in as_rows(pa.table({"c": pa.array(values, kind), "other": ["x"] * len(values)}))[1:]]


def refusal(data: bytes, limits: Limits = LIMITS) -> SmartMLError:
    with pytest.raises(SmartMLError) as caught:
        pieces(data, limits)
    assert caught.value.hint
    return caught.value


MOMENT = datetime(2024, 2, 29, 13, 5)


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([1, 2**62, None], None, ["1", str(2**62), ""]),
        ([0.1, math.nan, None, 1e300], None, ["0.1", "", "", "1e+300"]),
        ([0.1], pa.float32(), ["0.1"]),
        ([0.5], pa.float16(), ["0.5"]),
        ([True, False, None], None, ["true", "false", ""]),
        (["007", "", None, 'a,"b"\nc\r', "é"], None, ["007", "", "", 'a,"b"\nc\r', "é"]),
        ([Decimal("1E-11"), Decimal(7)], pa.decimal128(38, 11), ["0.00000000001", "7.00000000000"]),
        ([date(2024, 2, 29), None], None, ["2024-02-29", ""]),
        ([MOMENT], pa.timestamp("ns"), ["2024-02-29 13:05:00"]),
        ([MOMENT.replace(microsecond=4)], pa.timestamp("ns"), ["2024-02-29 13:05:00.000004"]),
        ([1], pa.timestamp("ns"), ["1970-01-01 00:00:00.000000001"]),
        ([MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "Europe/Zurich"), ["2024-02-29 13:05:00Z"]),
        ([time(7, 30)], None, ["07:30:00.000000"]),
        ([timedelta(days=1, microseconds=5)], None, ["86400.000005"]),
        ([[1, None], [], None], None, ["[1, null]", "[]", ""]),
        ([{"a": 1, "b": "é"}], None, ['{"a": 1, "b": "é"}']),
        ([None, None], None, ["", ""]),
        ([b"abc", None], None, ["abc", ""]),
        ([b"0123456789abcdef"], pa.uuid(), ["30313233-3435-3637-3839-616263646566"]),
        (["a", "b", "a", None], pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a", ""]),
        ([5, 6, 5], pa.dictionary(pa.int8(), pa.int64()), ["5", "6", "5"]),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else None,
)
def test_values_are_written_as_they_should_be_read(
    values: list[object], kind: pa.DataType | None, texts: list[str]
):
    assert column(values, kind) == texts


def test_names_are_quoted_and_kept_when_they_repeat():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=['a,"b', "x", "x"])
    assert as_rows(table) == [['a,"b', "x", "x"], ["1", "2", "3"]]


def test_a_table_without_rows_keeps_its_header():
    assert as_rows(pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())})) == [["a", "b"]]


def test_row_groups_come_one_after_the_other():
    rows = as_rows(pa.table({"i": range(1000), "s": [f"v{i}" for i in range(1000)]}), row_group_size=77)
    assert rows[1:] == [[str(i), f"v{i}"] for i in range(1000)]


def test_pieces_stay_small_and_come_early():
    data = written(pa.table({"i": range(200_000), "s": ["some text"] * 200_000}))
    found = pieces(data)
    assert len(found) > 20
    assert max(map(len, found)) < 2**20


def test_long_texts_that_repeat_do_not_unfold_in_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 2**20)
    long = "x" * 100_000
    data = written(pa.table({"s": pa.array([long, "y"] * 200)}))
    assert len(data) < 200_000
    found = pieces(data)
    assert max(map(len, found)) <= 2**20 + 100_000
    assert sum(map(len, found)) > 20_000_000


DATA = written(pa.table({"a": list(range(100)), "b": ["x"] * 100}))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (DATA[:-1], "ends too early"),
        (DATA[: len(DATA) // 2], "ends too early"),
        (DATA[:-8] + b"\xff\xff\xff\x7f" + DATA[-4:], "damaged"),
        (DATA[:30] + bytes(60) + DATA[90:], "damaged"),
        (DATA[:-4] + b"PARE", "encrypted"),
        (written(pa.table({"pic": [b"\xff\x00"]})), "“pic” of the Parquet file holds binary data"),
        (written(pa.table({}).select([])), "no columns"),
    ],
    ids=["cut", "half", "bad footer length", "bad pages", "encrypted", "binary column", "no columns"],
)
def test_files_that_cannot_be_read_are_refused(data: bytes, sentence: str):
    error = refusal(data)
    assert isinstance(error, InvalidTable)
    assert sentence in error.message


def test_bombs_are_refused():
    zeros = written(pa.table({"a": [0.0] * 3_000_000}), use_dictionary=False, compression="zstd")
    assert "100 times" in refusal(zeros).message
    constant = written(pa.table({"a": [1] * 3_000_000}))
    assert isinstance(refusal(constant, Limits(max_output_bytes=10**6)), TooLarge)
    assert isinstance(refusal(constant, Limits(max_output_bytes=4 * 10**6)), TooLarge)  # known on the way only


VALUES = st.fixed_dictionaries(
    {
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "s": st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8),
        "d": st.none() | st.dates(),
        "m": st.none() | st.decimals(-(10**9), 10**9, places=6),
        "n": st.none() | st.lists(st.integers(0, 9), max_size=3),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=20), st.integers(1, 30))
def test_what_is_written_is_read(records: list[dict[str, object]], group: int):
    schema = pa.schema(
        [
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("s", pa.string()),
            ("d", pa.date32()),
            ("m", pa.decimal128(20, 6)),
            ("n", pa.list_(pa.int64())),
        ]
    )
    rows = as_rows(pa.Table.from_pylist(records, schema), row_group_size=group)
    assert rows[0] == schema.names
    readers = {"i": int, "f": float, "s": str, "d": date.fromisoformat, "m": Decimal, "n": json.loads}
    for texts, record in zip(rows[1:], records, strict=True):
        for text, (name, read) in zip(texts, readers.items(), strict=True):
            assert (text == "") if record[name] is None else (read(text) == record[name])
