"""The feature schema, and what a row is told about itself."""

import csv
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.column_types import COLUMN_TYPES
from ml.prediction import Feature, Mode, check_row, check_rows, feature_schema, to_frame, used_features
from ml.problem import ProblemType
from ml.profiling import full_schema, read_frame
from ml.value_checks import check_value
from smartml.errors import InvalidInput
from tests.unit.ml_samples import cancer, fit

FRAME = pd.DataFrame(
    {
        "age": pd.Series([20, 30, 41, 30], dtype="int64"),
        "fare": [7.5, None, 80.25, 8.0],
        "port": ["Southampton", "Cherbourg", "Southampton", None],
        "alone": [True, True, False, True],
        "joined": pd.to_datetime(["2020-01-01", "2021-06-15", "2024-02-29", None]),
        "seen": pd.to_datetime(["2020-01-01 10:00", "2021-06-15 11:30", "2024-02-29 00:00", "2022-01-01 00:00"]),
        "note": ["a few words", "others", "more of them", "last"],
        "y": [0, 1, 0, 1],
    }
)
TYPES = {
    "age": "integer",
    "fare": "numeric",
    "port": "category",
    "alone": "boolean",
    "joined": "date",
    "seen": "date",
    "note": "text",
    "y": "integer",
}
SCHEMA = feature_schema(FRAME, target="y", columns_types=TYPES)
ROW = {
    "age": "33",
    "fare": "10.5",
    "port": "Cherbourg",
    "alone": "no",
    "joined": "2022-03-04",
    "seen": "2022-03-04T05:06",
    "note": "hello",
}

# The columns of a file, with every type and the ways to write its values.
COUNT = 24
TYPED = {
    "name_id": [str(n) for n in range(COUNT)],
    "code": [f"u{n:03}" for n in range(COUNT)],
    "zip": [f"0{n % 7}" for n in range(COUNT)],
    "whole": [str(n - 5) for n in range(COUNT)],
    "gaps": ["" if n == 3 else str(n) for n in range(COUNT)],
    "large_gaps": ["NA" if n == 4 else f"90071992547409{n}" for n in range(COUNT)],
    "x": [f"{n}.25e-3" if n % 2 else f" {n}." for n in range(COUNT)],
    "x_gaps": ["-" if n == 5 else f".{n}5" for n in range(COUNT)],
    "ok": ["Yes" if n % 2 else "NO" for n in range(COUNT)],
    "true": ["" if n == 6 else "True" if n % 2 else "false" for n in range(COUNT)],
    "port": [f" port {n % 3}" for n in range(COUNT)],
    "note": [f"some words {n}" for n in range(COUNT)],
    "day": [f"2024-02-{n + 1:02}" for n in range(COUNT)],
    "at": [
        ("2024-01-01T10:00+02:00", "2024-01-01 23:30:00-05:30", "2024-01-02T01:00:00Z", "2024-01-03 04:05",
         "2024-01-04T05:06:07.123456", "2024-01-05T05:06:07.5+02:00", "2024-01-06", "?")[n % 8]
        for n in range(COUNT)
    ],
    "latest": ["2024-01-05T05:06:07.75+02:00" if n % 2 else "2024-01-05T05:06:07.25" for n in range(COUNT)],
}  # fmt: skip


def by_name(schema=SCHEMA):
    return {feature.name: feature for feature in schema}


class TestFeatureSchema:
    def test_the_target_is_not_a_feature(self):
        assert [feature.name for feature in SCHEMA] == ["age", "fare", "port", "alone", "joined", "seen", "note"]

    def test_whole_numbers(self):
        age = by_name()["age"]
        assert (age.kind, age.type, age.is_whole) == ("number", "integer", True)
        assert (age.minimum, age.maximum, age.default) == (20, 41, 30)
        assert isinstance(age.default, int)

    def test_numbers_with_gaps(self):
        fare = by_name()["fare"]
        assert (fare.minimum, fare.maximum, fare.default, fare.missing_share) == (7.5, 80.25, 8.0, 0.25)
        assert not fare.is_whole

    def test_categories_by_frequency(self):
        port = by_name()["port"]
        assert port.categories == ("Southampton", "Cherbourg")
        assert port.categories_complete
        assert port.default == "Southampton"

    def test_only_the_fifty_most_frequent_categories_are_kept(self):
        values = [f"c{n:02}" for n in range(60) for _ in range(60 - n)]
        (feature,) = feature_schema(pd.DataFrame({"c": values}), target="y", columns_types={"c": "category"})
        assert feature.categories == tuple(f"c{n:02}" for n in range(50))
        assert not feature.categories_complete

    def test_booleans_dates_and_text(self):
        found = by_name()
        assert (found["alone"].kind, found["alone"].default) == ("boolean", True)
        assert (found["joined"].minimum, found["joined"].maximum) == ("2020-01-01", "2024-02-29")
        assert (found["joined"].default, found["seen"].minimum) == ("2021-06-15", "2020-01-01T10:00:00")
        assert (found["note"].kind, found["note"].default, found["note"].categories) == ("text", None, ())

    def test_columns_without_a_value(self):
        frame = pd.DataFrame({"number": pd.Series([None] * 3, dtype="float64"), "word": pd.Series([None] * 3)})
        number, word = feature_schema(frame, target="y", columns_types={"number": "numeric", "word": "category"})
        assert (number.default, number.missing_share) == (None, 1.0)
        assert (word.default, word.categories) == (None, ())

    def test_infinity_is_not_a_bound(self):
        frame = pd.DataFrame({"x": [1.0, math.inf, -math.inf, 3.0]})
        (feature,) = feature_schema(frame, target="y", columns_types={"x": "numeric"})
        assert (feature.minimum, feature.maximum) == (1.0, 3.0)

    def test_it_goes_through_json_unchanged(self):
        for feature in SCHEMA:
            text = json.dumps(feature.as_dict(), allow_nan=False)
            assert Feature.from_dict(json.loads(text)) == feature

    @pytest.mark.slow
    def test_columns_the_predictor_does_not_use_are_left_out(self, tmp_path):
        frame = cancer().assign(constant=1, empty=None)
        predictor = fit(frame, "outcome", ProblemType.BINARY, tmp_path / "p").predictor
        used = used_features(predictor)
        assert set(used) == {"mean radius", "mean texture", "mean smoothness"}
        schema = feature_schema(frame, target="outcome", columns_types={}, used=used)
        assert tuple(feature.name for feature in schema) == used


class TestCheckRow:
    def test_a_good_row_is_coerced_without_findings(self):
        row, findings = check_row(SCHEMA, ROW)
        assert row == {
            "age": 33,
            "fare": 10.5,
            "port": "Cherbourg",
            "alone": False,
            "joined": "2022-03-04T00:00:00",
            "seen": "2022-03-04T05:06:00",
            "note": "hello",
        }
        assert findings == ()
        assert json.dumps(row, allow_nan=False)

    def test_values_of_json_are_taken_as_they_are(self):
        row, findings = check_row(SCHEMA, {**ROW, "age": 33, "fare": 10.5, "alone": False})
        assert (row["age"], row["fare"], row["alone"]) == (33, 10.5, False)
        assert findings == ()

    @pytest.mark.parametrize(("value", "word"), [("YES", "yes"), (True, "yes"), ("0", "no"), (False, "no")])
    def test_a_boolean_is_said_in_the_columns_own_words(self, value, word):
        frame = pd.DataFrame({"member": ["yes", "no", "no"]})
        schema = feature_schema(frame, target="y", columns_types={"member": "boolean"})
        assert check_row(schema, {"member": value}) == ({"member": word}, ())
        with pytest.raises(InvalidInput):
            check_row(schema, {"member": "perhaps"})

    @pytest.mark.parametrize("value", ["", " NA ", "null", "-", None, float("nan")])
    def test_what_counts_as_missing_in_a_file_is_missing_here(self, value):
        assert check_row(SCHEMA, {**ROW, "fare": value}) == ({**check_row(SCHEMA, ROW)[0], "fare": None}, ())

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("age", "thirty", "not a number"),
            ("fare", "3,5", "not a number"),
            ("fare", "1_0", "not a number"),
            ("age", "٣٣", "not a number"),
            ("fare", "infinity", "not a number the model can use"),
            ("fare", "1e999", "not a number the model can use"),
            ("age", "9" * 30, "not a number the model can use"),
            ("age", "9" * 400, "not a number the model can use"),
            ("fare", "9" * 400, "not a number the model can use"),
            ("alone", "perhaps", "neither yes nor no"),
            ("joined", "31.03.2026", "not a date"),
            ("joined", "0001-01-01", "not a date the model can use"),
        ],
    )
    def test_wrong_types_are_named_at_their_field(self, field, value, message):
        with pytest.raises(InvalidInput) as refused:
            check_row(SCHEMA, {**ROW, field: value})
        assert list(refused.value.fields) == [field]
        assert message in refused.value.fields[field]

    def test_all_wrong_fields_are_named_at_once(self):
        with pytest.raises(InvalidInput) as refused:
            check_row(SCHEMA, {**ROW, "age": "x", "alone": "x" * 500})
        assert set(refused.value.fields) == {"age", "alone"}
        assert len(refused.value.fields["alone"]) < 100

    def test_a_gap_stays_where_training_rows_had_gaps(self):
        row, findings = check_row(SCHEMA, {**ROW, "fare": " ", "port": ""})
        assert (row["fare"], row["port"]) == (None, None)
        assert findings == ()

    def test_a_gap_where_there_never_was_one_gets_the_usual_value_and_is_said(self):
        row, (finding,) = check_row(SCHEMA, {**ROW, "age": ""})
        assert row["age"] == 30
        assert (finding.field, finding.kind) == ("age", "missing")
        assert "30" in finding.message

    def test_an_absent_field_is_said_even_where_gaps_are_known(self):
        values = {name: value for name, value in ROW.items() if name != "fare"}
        row, (finding,) = check_row(SCHEMA, values)
        assert row["fare"] is None
        assert (finding.field, finding.kind) == ("fare", "missing")

    def test_an_empty_row_is_answered(self):
        row, findings = check_row(SCHEMA, {})
        assert set(row) == set(ROW)
        assert {finding.field for finding in findings} == set(ROW)

    def test_a_misspelt_field_is_said_with_the_nearest(self):
        values = {("fair" if name == "fare" else name): value for name, value in ROW.items()}
        _, findings = check_row(SCHEMA, values)
        unknown = next(finding for finding in findings if finding.kind == "unknown")
        assert unknown.field == "fair"
        assert 'Did you mean "fare"?' in unknown.message

    def test_an_unseen_category_is_said_with_the_nearest(self):
        row, (finding,) = check_row(SCHEMA, {**ROW, "port": "southampton"})
        assert row["port"] == "southampton"
        assert finding.kind == "unseen_category"
        assert 'Did you mean "Southampton"?' in finding.message

    def test_nothing_is_unseen_in_an_incomplete_list(self):
        schema = (Feature(name="c", type="category", kind="category", dtype="object", categories_complete=False),)
        assert check_row(schema, {"c": "whatever"})[1] == ()

    @pytest.mark.parametrize(
        ("field", "value"),
        [("age", "19"), ("fare", "80.26"), ("joined", "2030-01-01"), ("seen", "2019-12-31T23:00:00+00:00")],
    )
    def test_values_out_of_range_are_said(self, field, value):
        _, (finding,) = check_row(SCHEMA, {**ROW, field: value})
        assert (finding.field, finding.kind) == (field, "out_of_range")

    def test_a_fraction_of_a_whole_number_is_rounded_and_said(self):
        row, (finding,) = check_row(SCHEMA, {**ROW, "age": "33.4"})
        assert row["age"] == 33
        assert isinstance(row["age"], int)
        assert finding.kind == "rounded"


class TestToFrame:
    def test_the_dtypes_are_those_of_the_training_rows(self):
        row, _ = check_row(SCHEMA, ROW)
        frame = to_frame(SCHEMA, [row, row])
        assert frame.dtypes.to_dict() == FRAME.drop(columns="y").dtypes.to_dict()
        assert frame.loc[1, "joined"] == pd.Timestamp("2022-03-04")

    def test_gaps_widen_the_dtypes_that_cannot_hold_them(self):
        frame = to_frame(SCHEMA, [dict.fromkeys(ROW)])
        assert frame.isna().all(axis=None)
        assert str(frame["age"].dtype) == "float64"

    def test_the_time_counts_as_written_and_its_offset_is_dropped(self):
        row, _ = check_row(SCHEMA, {**ROW, "seen": "2022-03-04T05:06:00+02:00"})
        assert to_frame(SCHEMA, [row]).loc[0, "seen"] == pd.Timestamp("2022-03-04 05:06")

    def test_a_row_of_the_file_typed_by_a_person_is_the_row_the_model_learned(self, tmp_path):
        rows = [dict(zip(TYPED, values, strict=True)) for values in zip(*TYPED.values(), strict=True)]
        path = tmp_path / "table.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, TYPED, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        schema = full_schema(path)
        types = {column.name: str(column.type) for column in schema}
        assert set(types.values()) == set(COLUMN_TYPES)
        frame = read_frame(path, schema)
        features = feature_schema(frame, target="none", columns_types=types)
        for index, values in enumerate(rows):
            row, findings = check_row(features, values)
            assert findings == ()
            pd.testing.assert_frame_equal(
                to_frame(features, [row]), frame.iloc[[index]].reset_index(drop=True), obj=f"row {index}"
            )


AGE, FARE, PORT = (by_name()[name] for name in ("age", "fare", "port"))
SMALL = (AGE, FARE, PORT)


class TestCheckRows:
    def test_a_value_of_the_wrong_type_counts_as_missing_and_is_said(self):
        checked = check_rows(SMALL, [{"age": "x", "fare": "1,234.0", "port": "Cherbourg"}])
        assert checked.rows == ({"age": 30, "fare": None, "port": "Cherbourg"},)
        (found,) = checked.findings
        assert [(each.field, each.kind) for each in found] == [("age", "wrong_type"), ("fare", "wrong_type")]
        assert "usual value 30" in found[0].message
        assert "counts as missing" in found[1].message
        assert checked.table_findings == ()

    def test_columns_of_all_rows_are_spoken_of_once(self):
        rows = [{"Age": 3, "port": "Cherbourg", "colour": "red"}, {"Age": 4, "port": "Cherbourg", "fare": 10}]
        checked = check_rows(SMALL, rows)
        assert checked.rows == (
            {"age": 30, "fare": None, "port": "Cherbourg"},
            {"age": 30, "fare": 10, "port": "Cherbourg"},
        )
        assert [[each.field for each in row] for row in checked.findings] == [["fare"], []]
        assert [(each.field, each.kind) for each in checked.table_findings] == [
            ("age", "missing"),
            ("Age", "unknown"),
            ("colour", "unknown"),
        ]
        assert 'it is called "Age" here' in checked.table_findings[0].message
        assert 'Did you mean "age"?' in checked.table_findings[1].message

    def test_strict_refuses_whatever_there_is_to_say(self):
        good = {"age": 30, "fare": 8, "port": "Cherbourg"}
        assert check_rows(SMALL, [good, good], mode=Mode.STRICT).rows == (good, good)
        with pytest.raises(InvalidInput) as refused:
            check_rows(SMALL, [good, {**good, "age": 99, "port": "Mars"}], mode=Mode.STRICT)
        assert list(refused.value.fields) == ["rows.1.age", "rows.1.port"]
        with pytest.raises(InvalidInput) as refused:
            check_rows(SMALL, [{"age": "x", "fare": 8}], mode=Mode.STRICT)
        assert list(refused.value.fields) == ["rows.*.port", "rows.0.age"]
        assert "usual value" not in refused.value.fields["rows.0.age"]

    def test_the_other_columns_of_the_training_are_nothing_odd_and_no_slip_of_a_name(self):
        unused = {"ages", "y"}
        rows = [{"age": 30, "fare": 8, "port": "Cherbourg", "ages": "old", "y": 1}] * 2
        checked = check_rows(SMALL, rows, mode=Mode.STRICT, unused=unused)
        assert (checked.findings, checked.table_findings) == (((), ()), ())
        assert checked.rows[0] == {"age": 30, "fare": 8, "port": "Cherbourg"}
        (absent,) = check_rows(SMALL, [{"ages": "old", "fare": 8, "port": None}], unused=unused).table_findings
        assert (absent.field, "ages" in absent.message) == ("age", False)
        with pytest.raises(InvalidInput) as refused:
            check_rows(SMALL, [{**rows[0], "z": 1}], mode=Mode.STRICT, unused=unused)
        assert list(refused.value.fields) == ["rows.*.z"]

    def test_at_most_a_hundred_faults_are_listed(self):
        with pytest.raises(InvalidInput) as refused:
            check_rows(SMALL, [{"age": 99, "fare": 99, "port": "Mars"}] * 60, mode=Mode.STRICT)
        assert len(refused.value.fields) == 100

    def test_a_file_that_has_nothing_to_do_with_the_model_is_answered_shortly(self):
        checked = check_rows(SMALL, [{f"column {number}": number for number in range(3000)}])
        assert len(checked.table_findings) < 30
        assert "2980 more columns" in checked.table_findings[-1].message

    def test_a_row_that_is_none_is_named(self):
        with pytest.raises(InvalidInput) as refused:
            check_rows(SMALL, [{}, ["age", 3]])  # type: ignore[list-item]
        assert list(refused.value.fields) == ["rows.1"]

    @pytest.mark.parametrize("true", [True, np.True_, pd.Series([True]).iloc[0]])
    def test_true_is_said_in_the_columns_own_words(self, true):
        for words, own in (
            (("Y", "N"), "Y"),
            (("True", "False", "Unknown"), "True"),
            (("yes", "no"), "yes"),
            (("Maybe", "No", "Yes"), "Yes"),
        ):
            feature = Feature(name="c", type="category", kind="category", dtype="object", categories=words)
            assert check_rows((feature,), [{"c": true}]).rows == ({"c": own},)
        flag = Feature(name="c", type="integer", kind="number", dtype="int64", minimum=0, maximum=1, default=0)
        assert check_rows((flag,), [{"c": true}, {"c": "no"}]).rows == ({"c": 1}, {"c": 0})
        assert check_rows((AGE,), [{"age": true}]).findings[0][0].kind == "wrong_type"

    def test_numbers_that_name_a_category_are_that_category(self):
        feature = Feature(name="c", type="category", kind="category", dtype="object", categories=("3", "4.0"))
        checked = check_rows((feature,), [{"c": 3}, {"c": 3.0}, {"c": 4.0}, {"c": np.float64(3)}])
        assert [row["c"] for row in checked.rows] == ["3", "3", "4.0", "3"]
        assert checked.findings == ((),) * 4

    def test_what_a_file_has_for_missing_among_numbers_is_missing(self):
        assert check_rows((FARE,), [{"fare": "unknown"}]).findings == ((),)

    @given(st.one_of(st.floats().map(str), st.integers(-50, 50).map(str), st.from_regex(r"[-+0-9.e_ ]{0,6}")))
    @settings(max_examples=200, deadline=None)
    def test_many_rows_are_read_as_each_alone(self, text):
        for feature in (AGE, FARE):
            checked = check_rows((feature,), [{feature.name: "30"}, {feature.name: text}, {feature.name: text}])
            value, oddities = check_value(feature, text)
            assert [row[feature.name] for row in checked.rows[1:]] == [value, value]
            assert [each.field for each in checked.findings[2]] == [each.field for each in oddities]

    @given(st.one_of(st.floats(), st.floats(5, 90), st.integers(), st.integers(5, 90), st.booleans()))
    @settings(max_examples=200, deadline=None)
    def test_numbers_of_json_are_read_as_check_value_has_them(self, number):
        for feature in (AGE, FARE):
            checked = check_rows((feature,), [{feature.name: number}])
            value, oddities = check_value(feature, number)
            assert repr(checked.rows[0][feature.name]) == repr(value)
            assert [each.field for each in checked.findings[0]] == [each.field for each in oddities]

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_whatever_is_sent_is_answered_or_refused_with_a_reason(self, data):
        names = st.sampled_from([*ROW, "AGE", "other", ""])
        rows = data.draw(st.lists(st.dictionaries(names, ANYTHING), max_size=4))
        for mode in Mode:
            try:
                checked = check_rows(SCHEMA, rows, mode=mode)
            except InvalidInput as refused:
                if mode is Mode.LENIENT or not refused.fields:
                    raise
                continue
            assert len(checked.rows) == len(checked.findings) == len(rows)
            json.dumps(checked.rows, allow_nan=False)
            assert list(to_frame(SCHEMA, checked.rows).columns) == list(ROW)
            singly = [check_rows(SCHEMA, [row]).rows[0] for row in rows]
            assert list(checked.rows) == singly


ODD_TEXTS = ["9" * 5000, "1e999", "9999-12-31", "1677-01-01", "2024-02-30", "NaT", "-inf", "0x1", "1_0", "\ud800"]
OF_FRAMES = [pd.NA, pd.NaT, np.int8(3), np.float32(0.1), np.datetime64("2024-01-01T00:00:00", "ns"), np.nan]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(ODD_TEXTS),
    st.integers(min_value=10**4500, max_value=10**4501),
    st.datetimes(),
    st.dates(),
    st.decimals(),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.just({"a": 1}),
    st.sampled_from(OF_FRAMES),
)
