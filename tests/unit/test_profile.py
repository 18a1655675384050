"""Profiles of tables: figures as pandas and scipy have them, whether a table is small or sampled."""

import io
import json
import random

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml import profile as profile_module
from ml import sampling
from ml.column_types import ColumnType, ValueFormat
from ml.profile import profile_table
from ml.profile_records import CHECK_TITLES, ColumnProfile, TableProfile, column_as_dict
from ml.profiling import full_schema
from tests.unit.profile_tables import column, profile, write_table

ROWS = 3000


def mixed(rows=ROWS):
    numbers = random.Random(3)
    return {
        "serial": [str(i) for i in range(rows)],
        "amount": [f"{numbers.lognormvariate(3, 1):.3f}" if numbers.random() > 0.1 else "" for _ in range(rows)],
        "whole": [str(numbers.randrange(-500, 500)) for _ in range(rows)],
        "few": [str(numbers.randrange(0, 6)) for _ in range(rows)],
        "city": [numbers.choice(["Bern", "Oslo", "NA", "Graz"]) for _ in range(rows)],
        "day": [f"201{numbers.randrange(10)}-0{numbers.randrange(1, 10)}-1{i % 10}" for i in range(rows)],
        "note": [" ".join(numbers.choices(["red", "blue", "old", "new", "big"], k=4)) for _ in range(rows)],
        "flag": [numbers.choice(["yes", "no"]) for _ in range(rows)],
    }


@pytest.fixture
def sampled(monkeypatch):
    """Every table counts as large."""
    take = sampling.take_sample
    monkeypatch.setattr(profile_module, "take_sample", lambda path, **kw: take(path, **kw, rows=600, whole_bytes=0))


def read(columns):
    text = "\n".join([",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))])
    return pd.read_csv(io.StringIO(text), skip_blank_lines=False)


@pytest.mark.parametrize("name", ["amount", "whole", "few", "serial"])
def test_figures_of_numbers_are_those_of_pandas(tmp_path, name):
    columns = mixed()
    found = column(profile(tmp_path / "t.csv", columns, overrides={name: ColumnType.NUMERIC}), name)
    series = read(columns)[name]
    assert (found.missing, found.unique, found.unique_is_exact) == (series.isna().sum(), series.nunique(), True)
    assert found.mean == pytest.approx(series.mean(), rel=1e-12)
    assert found.std == pytest.approx(series.std(), rel=1e-12)
    assert (float(found.minimum), float(found.maximum)) == (series.min(), series.max())
    assert (found.zeros, found.negatives) == ((series == 0).sum(), (series < 0).sum())
    for quantile, share in {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}.items():
        assert found.quantiles[quantile] == pytest.approx(series.quantile(share), rel=1e-12)
    assert sum(found.histogram.counts) == series.notna().sum()
    assert len(found.histogram.edges) == len(found.histogram.counts) + 1
    counts, _ = np.histogram(series.dropna(), bins=np.array(found.histogram.edges))
    assert counts.tolist() == list(found.histogram.counts)


def test_top_values_and_gaps_are_counted(tmp_path):
    columns = mixed()
    table = profile(tmp_path / "t.csv", columns)
    city, note = column(table, "city"), column(table, "note")
    values = pd.Series(columns["city"])
    assert dict(city.top) == values[values != "NA"].value_counts().to_dict()
    assert (city.missing, city.disguised_missing) == ((values == "NA").sum(),) * 2
    assert city.disguises == (("NA", city.missing),)
    counts = pd.Series(columns["note"]).value_counts()
    assert [count for _, count in note.top] == counts.head(10).tolist()
    assert all(counts[text] == count for text, count in note.top)
    assert note.longest == max(map(len, columns["note"]))


def test_dates_have_bounds_and_a_histogram_of_days(tmp_path):
    columns = mixed()
    day = column(profile(tmp_path / "t.csv", columns), "day")
    assert (day.type, day.minimum, day.maximum) == (ColumnType.DATE, min(columns["day"]), max(columns["day"]))
    assert sum(day.histogram.counts) == ROWS
    assert day.histogram.edges[0] == day.minimum
    assert day.histogram.edges[-1] > day.maximum


def test_a_sampled_table_has_the_exact_figures_of_the_whole(tmp_path, sampled):
    columns = mixed(20_000)
    path = write_table(tmp_path / "t.csv", columns)
    seen = []
    table = profile_table(path, overrides={}, on_columns=seen.extend)
    frame = read(columns)
    for found in table.columns:
        series = frame[found.name]
        assert not found.is_preliminary
        assert (found.rows, found.missing) == (20_000, series.isna().sum()), found.name
        assert found.unique == pytest.approx(series.nunique(), rel=0.1)
    amount = column(table, "amount")
    assert amount.mean == pytest.approx(frame["amount"].mean(), rel=1e-9)
    assert amount.std == pytest.approx(frame["amount"].std(), rel=1e-9)
    assert float(amount.maximum) == frame["amount"].max()
    assert 500 < amount.sampled_rows < 700
    assert amount.quantiles["p50"] == pytest.approx(frame["amount"].median(), rel=0.15)
    assert dict(column(table, "city").top) == frame["city"].value_counts().to_dict()
    assert column(table, "city").sampled_rows == 0
    assert column(table, "city").disguises == (("NA", frame["city"].isna().sum()),)
    assert [found.is_preliminary for found in seen] == [True, False] * 8
    assert (table.duplicate_rows, table.duplicate_rows_exact) == (0, True)
    assert list(tmp_path.iterdir()) == [path]


def test_what_no_sample_has_is_still_found(tmp_path, sampled):
    rows = 30_000
    columns = {
        "n": [*map(str, range(rows - 1)), "12.5"],
        "late": ["1"] * (rows - 2) + ["many", "3"],
        "rare": ["a", "b"] * (rows // 2 - 1) + ["c", "?"],
        "gap": [*(f"v{i}" for i in range(rows - 3)), "nan", "NULL", " "],
        "day": ["2024-01-01"] * (rows - 1) + ["2024-02-30"],
    }
    table = profile(tmp_path / "t.csv", columns)
    assert {found.name: str(found.type) for found in table.columns} == {
        "n": "numeric",
        "late": "category",
        "rare": "category",
        "gap": "text",
        "day": "category",
    }
    assert (column(table, "rare").missing, column(table, "gap").missing) == (1, 3)
    assert column(table, "gap").disguised_missing == 2
    assert column(table, "n").maximum == str(rows - 2)


@pytest.mark.parametrize("large", [False, True])
def test_types_are_those_of_the_schema(tmp_path, large, request):
    if large:
        request.getfixturevalue("sampled")
    rows = 2000
    columns = {
        "code": [f"{i % 90:05}" for i in range(rows)],
        "big": [str(2**62 + i) for i in range(rows)],
        "huge": [str(2**64 + i % 50) for i in range(rows)],
        "user_id": [str(i) for i in range(rows)],
        "token": [f"u{i}x" for i in range(rows)],
        "soft": [str(i / 7)[:6] if i % 9 else "unknown" for i in range(rows)],
        "blank": [f" {i} " for i in range(rows)],
        "bool": ["True", "FALSE"] * (rows // 2),
        "none": [""] * rows,
        "time": [f"2024-01-01T10:{i % 60:02}:{i % 59:02}Z" for i in range(rows)],
        "words": [f"the {i} th" for i in range(rows)],
        "signed": [f"+{i}" for i in range(rows)],
        "under": [f"1_{i:03}" for i in range(rows)],
        "exp": [f"{i}e-3" for i in range(rows)],
        "quoted": [f'a "{i % 7}",\nb' for i in range(rows)],
    }
    path = write_table(tmp_path / "t.csv", columns)
    schema = {found.name: found for found in full_schema(path)}
    for found in profile_table(path, overrides={}).columns:
        expected = schema[found.name]
        assert (found.name, found.type, found.missing) == (found.name, expected.type, expected.missing)
        assert (found.minimum, found.maximum) == (expected.minimum, expected.maximum), found.name


def test_integers_beyond_doubles_keep_every_digit(tmp_path):
    big = column(profile(tmp_path / "t.csv", {"big": [str(2**62 + i) for i in range(500)]}), "big")
    assert (big.minimum, big.maximum) == (str(2**62), str(2**62 + 499))
    assert big.unique == 500


def test_decimal_commas_and_other_dates(tmp_path):
    formats = ValueFormat(decimal=",", thousands=".", date_order="dmy")
    columns = {
        "price": [f"1.{i:03},5" for i in range(600)],
        "day": [f"{1 + i % 28:02}/{1 + i % 12:02}/2024" for i in range(600)],
    }
    table = profile(tmp_path / "t.csv", columns, formats=formats)
    price, day = table.columns
    assert (price.type, price.minimum, price.maximum, price.mean) == (
        ColumnType.NUMERIC,
        "1000.5",
        "1599.5",
        1300.0,
    )
    assert (day.type, day.minimum, day.maximum) == (ColumnType.DATE, "2024-01-01", "2024-12-28")


def test_overrides_change_what_is_shown(tmp_path):
    columns = {"zip": ["8001", "8002", "3000"] * 200, "size": [*["1", "2.5"] * 299, "big", "2"]}
    table = profile(tmp_path / "t.csv", columns, overrides={"zip": ColumnType.CATEGORY, "size": ColumnType.NUMERIC})
    zip_code, size = table.columns
    assert (zip_code.type, zip_code.detected_type, zip_code.mean) == (ColumnType.CATEGORY, ColumnType.INTEGER, None)
    assert zip_code.top[0] == ("3000", 200)
    assert (size.type, size.detected_type, size.not_of_type) == (ColumnType.NUMERIC, ColumnType.CATEGORY, 1)
    assert size.maximum == "2.5"


def test_one_row(tmp_path):
    table = profile(tmp_path / "t.csv", {"a": ["1"], "b": [""], "c": ["x"]})
    assert (table.rows, table.duplicate_rows) == (1, 0)
    assert [found.present for found in table.columns] == [1, 0, 1]
    assert table.columns[0].std is None
    assert table.suggestion is None
    assert TableProfile.from_dict(json.loads(json.dumps(table.as_dict(), allow_nan=False))) == table


def test_one_column_of_gaps(tmp_path):
    table = profile(tmp_path / "t.csv", {"a": [""] * 50})
    assert (table.columns[0].missing, table.columns[0].unique, table.associations) == (50, 0, None)


NAMES = ['say "hi"', "it's", "größe, länge", "a`b", "日本", "x; DROP TABLE part", "line\nbreak", "{}"]


def test_any_name_will_do(tmp_path):
    table = profile(tmp_path / "t.csv", {name: [str(i % 7) for i in range(60)] for name in NAMES})
    assert [found.name for found in table.columns] == NAMES


def test_two_thousand_columns(tmp_path):
    columns = {f"c{i}": [str((i * j) % 13 / 4) for j in range(40)] for i in range(2000)}
    seen = []
    table = profile(tmp_path / "t.csv", columns, on_columns=lambda some: seen.append(len(some)))
    assert (len(table.columns), sum(seen)) == (2000, 2000)
    assert len(seen) > 1
    assert len(table.associations.names) == 40
    assert "40 columns with the fewest gaps" in table.associations.note
    assert len(table.checks) < 200


def test_a_wide_table_that_does_not_fit_is_looked_at_in_parts(tmp_path, sampled):
    columns = {f"c{i}": [str(i * j % 1009) for j in range(1500)] for i in range(30)}
    columns["last"] = columns["c29"]
    table = profile(tmp_path / "t.csv", columns)
    assert [found.rows for found in table.columns] == [1500] * 31
    assert ("c29", "last") in table.duplicate_columns


def test_progress_goes_up_and_can_stop_the_work(tmp_path, sampled):
    path = write_table(tmp_path / "t.csv", mixed(5000))
    shares = []
    profile_table(path, overrides={}, on_progress=lambda stage, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] <= 1

    def stop(stage, share):
        if stage == "rows":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile_table(path, overrides={}, on_progress=stop)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("large", [False, True])
def test_duplicate_rows_are_those_of_pandas(tmp_path, large, request):
    if large:
        request.getfixturevalue("sampled")
    numbers = random.Random(1)
    columns = {name: [str(numbers.randrange(12)) for _ in range(4000)] for name in "abcd"}
    table = profile(tmp_path / "t.csv", columns)
    assert table.duplicate_rows == pd.DataFrame(columns).duplicated().sum()
    assert table.duplicate_rows_exact


def test_associations_are_those_of_scipy(tmp_path):
    columns = mixed(2000)
    table = profile(tmp_path / "t.csv", columns)
    frame = read(columns)
    names, matrix = table.associations.names, table.associations.matrix
    assert len(names) == 8

    def figure(a, b):
        return matrix[names.index(a)][names.index(b)]

    assert figure("whole", "few") == pytest.approx(stats.spearmanr(frame["whole"], frame["few"]).statistic)
    both = frame[["amount", "whole"]].dropna()
    assert figure("amount", "whole") == pytest.approx(stats.spearmanr(both["amount"], both["whole"]).statistic)
    crossed = pd.crosstab(frame["city"], frame["flag"])
    chi2 = stats.chi2_contingency(crossed, correction=False).statistic
    n, (r, k) = crossed.to_numpy().sum(), crossed.shape
    phi2 = max(0, chi2 / n - (k - 1) * (r - 1) / (n - 1))
    size = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    assert figure("city", "flag") == pytest.approx((phi2 / size) ** 0.5)
    groups = [group for _, group in frame.groupby("flag")["whole"]]
    between = sum(len(g) * (g.mean() - frame["whole"].mean()) ** 2 for g in groups)
    total = ((frame["whole"] - frame["whole"].mean()) ** 2).sum()
    eta2 = 1 - (1 - between / total) * (len(frame) - 1) / (len(frame) - 2)
    assert figure("whole", "flag") == pytest.approx(max(0, eta2) ** 0.5)
    assert all(matrix[i][j] == matrix[j][i] for i in range(len(names)) for j in range(i))


def test_a_profile_goes_to_json_and_back(tmp_path):
    table = profile(tmp_path / "t.csv", mixed(300))
    assert TableProfile.from_dict(json.loads(json.dumps(table.as_dict(), allow_nan=False))) == table
    first = table.columns[1]
    assert ColumnProfile.from_dict(json.loads(json.dumps(column_as_dict(first)))) == first
    assert {check.kind for check in table.checks} | {"leakage", "imbalance"} == set(CHECK_TITLES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b", "survived", "c"], "survived"),
        (["x", "y", "price"], "price"),
        (["one", "two", "three"], "three"),
        (["feature", "target", "price"], "target"),
    ],
)
def test_a_target_is_suggested_by_name_and_place(tmp_path, names, expected):
    numbers = random.Random(5)
    columns = {name: [f"{numbers.gauss(0, 1):.3f}" for _ in range(200)] for name in names}
    suggestion = profile(tmp_path / "t.csv", columns).suggestion
    assert suggestion.column == expected
    assert f"`{expected}`" in suggestion.reason
    assert all(column != expected for column, _ in suggestion.others)


def test_a_column_that_numbers_the_rows_is_no_target(tmp_path):
    numbers = random.Random(5)
    columns = {"size": list(map(str, range(900, 1100))), "note": [f"word {n} and {n}" for n in range(200)]}
    assert profile(tmp_path / "t.csv", columns).suggestion is None
    columns["size"] = [str(numbers.randrange(900, 1100)) for _ in range(200)]
    assert profile(tmp_path / "t.csv", columns).suggestion.column == "size"


@pytest.mark.parametrize("kind", [None, *ColumnType])
def test_associations_are_the_same_when_the_columns_are_read_again(tmp_path, monkeypatch, kind):
    numbers = random.Random(8)
    columns = mixed(700) | {
        "gaps": [numbers.choice(["1", "2.5", "unknown", "NA", "x", ""]) for _ in range(700)],
        "padded": [numbers.choice([" a", "b ", "c"]) for _ in range(700)],
        "huge": [numbers.choice(["1e400", "9007199254740993", "12345678901234567890"]) for _ in range(700)],
        "months": [numbers.choice(["2020-01-01", "2020-02-01", "none"]) for _ in range(700)],
    }
    overrides = {} if kind is None else dict.fromkeys(["whole", "city", "gaps", "months", "few"], kind)
    at_once = profile(tmp_path / "t.csv", columns, overrides=overrides)
    compare = profile_module.associations_of
    monkeypatch.setattr(
        profile_module, "associations_of", lambda small, columns, compared: compare(small, columns, None)
    )
    assert profile(tmp_path / "t.csv", columns, overrides=overrides) == at_once
