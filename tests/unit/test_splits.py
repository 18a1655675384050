"""Which rows are held out by time or group, and what a random holdout would have hidden."""

import numpy as np
import pandas as pd
import pytest

from ml.options import HoldoutKind
from ml.problem import ProblemType
from ml.splits import HoldoutPlan, HoldoutReport, split
from smartml.errors import TrainingFailed

BINARY, MULTICLASS, REGRESSION = ProblemType.BINARY, ProblemType.MULTICLASS, ProblemType.REGRESSION
TIME, GROUP, RANDOM = HoldoutKind.TIME, HoldoutKind.GROUP, HoldoutKind.RANDOM


def cut(frame, kind, column=None, *, problem_type=REGRESSION, leave_out=(), **changes):
    plan = HoldoutPlan(kind=kind, column=column, **changes)
    return split(frame, target="y", problem_type=problem_type, plan=plan, leave_out=leave_out)


def days(rows=300, per_day=3):
    """Rows in shuffled order, ``per_day`` for each day; the level of ``y`` rises with time."""
    number = np.random.default_rng(0).permutation(rows)
    date = pd.Timestamp("2024-01-01") + pd.to_timedelta(number // per_day, unit="D")
    return pd.DataFrame({"row": number, "date": date, "y": number * 1.0})


def patients(groups=40, visits=6, seed=0):
    """Visits of a patient look alike and share one outcome, which nothing else explains."""
    rng = np.random.default_rng(seed)
    patient = np.repeat([f"p{n}" for n in range(groups)], visits)
    traits = np.repeat(rng.normal(size=(groups, 3)), visits, axis=0) + rng.normal(
        scale=0.001, size=(len(patient), 3)
    )
    frame = pd.DataFrame(traits, columns=["a", "b", "c"]).assign(patient=patient)
    frame["y"] = np.repeat(rng.choice(["ill", "well"], groups), visits)
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


class TestTime:
    def test_the_latest_rows_are_held_out_and_equal_times_stay_together(self):
        parts = cut(days(), TIME, "date")
        assert parts.train["date"].max() < parts.holdout["date"].min()
        assert len(parts.holdout) == 60
        assert sorted([*parts.train["row"], *parts.holdout["row"]]) == list(range(300))
        assert (parts.report.start, parts.report.share) == ("2024-03-21", 0.2)
        assert parts.structure == {"time_on": "date"}
        assert parts.ignored == ()

    def test_the_cut_nearest_to_the_wanted_share_is_taken(self):
        frame = pd.DataFrame({"year": [2020] * 50 + [2021] * 22 + [2022] * 28, "y": range(100)})
        parts = cut(frame, TIME, "year", share=0.3)
        assert (parts.report.start, len(parts.holdout)) == ("2022", 28)
        assert cut(frame, TIME, "year", share=0.45).report.start == "2021"

    def test_a_share_that_equal_times_make_too_large_is_refused(self):
        frame = pd.DataFrame({"year": [2020] * 20 + [2021] * 80, "y": range(100)})
        with pytest.raises(TrainingFailed, match="2 different times, and the latest of them is that of 80%"):
            cut(frame, TIME, "year")
        with pytest.raises(TrainingFailed, match="same time"):
            cut(frame.assign(year=1), TIME, "year")

    def test_rows_without_a_time_are_in_neither_part_and_counted(self):
        frame = days()
        frame.loc[:9, "date"] = pd.NaT
        frame.loc[10:11, "y"] = np.nan
        parts = cut(frame, TIME, "date")
        assert (parts.report.unplaced_rows, parts.dropped_rows) == (10, 2)
        assert len(parts.train) + len(parts.holdout) == 288
        assert list(frame["row"].iloc[parts.places]) == list(parts.holdout["row"])

    def test_a_moment_of_the_day_is_said_with_its_time(self):
        frame = days().assign(date=lambda f: pd.Timestamp("2024-01-01") + pd.to_timedelta(f["row"], unit="h"))
        assert cut(frame, TIME, "date").report.start == "2024-01-11"
        assert cut(frame, TIME, "date", share=0.21).report.start == "2024-01-10 21:00:00"

    def test_large_whole_numbers_held_as_text_are_numbers(self):
        frame = days().assign(date=lambda f: (2**60 + f["row"]).astype(str))
        assert cut(frame, TIME, "date").train["row"].max() == 239
        with pytest.raises(TrainingFailed, match="neither dates nor numbers"):
            cut(days().assign(date="soon"), TIME, "date")

    def test_a_time_that_is_left_out_still_decides_and_is_no_feature(self):
        parts = cut(days(), TIME, "date", leave_out=["date"])
        assert parts.train["date"].max() < parts.holdout["date"].min()
        assert parts.ignored == ("date",)
        assert not parts.report.column_is_feature
        assert [list(part) for part in parts.features_only()] == [["row", "y"]] * 2

    def test_a_class_that_only_the_latest_rows_have_is_refused(self):
        frame = days().assign(y=lambda f: np.where(f["row"] > 270, "new", np.where(f["row"] % 2, "a", "b")))
        with pytest.raises(TrainingFailed, match='class of "y" that none of the others has'):
            cut(frame, TIME, "date", problem_type=MULTICLASS)
        frame["y"] = np.where(frame["row"] > 230, "late", np.where(frame["row"] > 220, "late", "early"))
        with pytest.raises(TrainingFailed, match="same class"):
            cut(frame, TIME, "date", problem_type=BINARY)

    def test_where_a_class_comes_and_goes_the_fit_validates_at_random_and_says_so(self):
        frame = days().assign(y=lambda f: np.where((f["row"] > 100) & (f["row"] % 2 == 0), "a", "b"))
        parts = cut(frame, TIME, "date", problem_type=BINARY)
        assert parts.structure == {}
        assert parts.report.validation is RANDOM

    def test_rows_with_equal_columns_have_equal_times_and_stay_together(self):
        frame = pd.concat([days(), days()])
        parts = cut(frame, TIME, "date")
        assert not set(parts.train["row"]) & set(parts.holdout["row"])

    def test_planted_a_trend_is_flattered_by_random_rows(self):
        """Remembering the nearest row looks perfect at random, and fails on the days to come."""

        def error_of_the_nearest(parts):
            known = parts.train.sort_values("row")
            nearest = np.abs(known["row"].to_numpy()[:, None] - parts.holdout["row"].to_numpy()).argmin(axis=0)
            return np.abs(known["y"].to_numpy()[nearest] - parts.holdout["y"].to_numpy()).mean()

        assert error_of_the_nearest(cut(days(), RANDOM)) < 2
        assert error_of_the_nearest(cut(days(), TIME, "date")) > 20


class TestGroups:
    def test_whole_groups_are_held_out_near_the_share_with_the_classes(self):
        parts = cut(patients(), GROUP, "patient", problem_type=BINARY, column_is_feature=False)
        assert not set(parts.train["patient"]) & set(parts.holdout["patient"])
        assert len(parts.holdout) == 48
        assert (parts.report.groups, parts.report.all_groups) == (8, 40)
        everywhere = (patients()["y"] == "ill").mean()
        assert abs((parts.holdout["y"] == "ill").mean() - everywhere) < 0.1
        assert parts.ignored == ("patient",)
        assert parts.structure == {"group_on": "patient"}
        assert "patient" not in parts.features_only()[0]

    def test_the_group_is_a_feature_when_that_is_wanted(self):
        parts = cut(patients(), GROUP, "patient", problem_type=BINARY, column_is_feature=True)
        assert parts.ignored == ()
        assert "patient" in parts.features_only()[0]

    def test_planted_random_rows_leak_what_groups_do_not(self):
        """The patient decides, no trait does: random rows look solved, whole patients are a coin's throw."""

        def share_right(parts):
            columns = ["a", "b", "c"]
            known, asked = parts.train[columns].to_numpy(), parts.holdout[columns].to_numpy()
            nearest = ((known[:, None] - asked) ** 2).sum(axis=2).argmin(axis=0)
            return (parts.train["y"].to_numpy()[nearest] == parts.holdout["y"].to_numpy()).mean()

        frame = patients(groups=60)
        assert share_right(cut(frame, RANDOM, problem_type=BINARY, leave_out=["patient"])) == 1.0
        assert share_right(cut(frame, GROUP, "patient", problem_type=BINARY)) < 0.8

    def test_too_few_groups_are_said(self):
        frame = pd.DataFrame({"shop": list("abcd") * 25, "y": range(100)})
        with pytest.raises(TrainingFailed, match=r'"shop" has 4 different values; at least 5 groups'):
            cut(frame, GROUP, "shop")

    def test_a_class_of_one_group_and_a_group_of_most_rows_are_said(self):
        frame = patients().assign(y=lambda f: np.where(f["patient"] == "p3", "rare", "usual"))
        with pytest.raises(TrainingFailed, match="class of the target is in only one group"):
            cut(frame, GROUP, "patient", problem_type=BINARY)

    def test_one_large_group_stays_in_training(self):
        frame = pd.DataFrame({"shop": ["big"] * 70 + [f"s{n}" for n in range(30)], "y": range(100)})
        parts = cut(frame, GROUP, "shop")
        assert "big" not in set(parts.holdout["shop"])
        assert len(parts.holdout) == 20

    def test_rows_without_a_group_are_in_neither_part(self):
        frame = patients()
        frame.loc[:4, "patient"] = None
        assert cut(frame, GROUP, "patient", problem_type=BINARY).report.unplaced_rows == 5

    def test_the_same_seed_holds_the_same_groups_out_and_another_others(self):
        first, again, other = (
            set(cut(patients(), GROUP, "patient", problem_type=BINARY, seed=seed).holdout["patient"])
            for seed in (1, 1, 2)
        )
        assert first == again != other

    def test_numbers_serve_as_groups_and_columns_of_any_name(self):
        frame = patients().rename(columns={"patient": "self"})
        frame["self"] = frame["self"].str[1:].astype(int)
        parts = cut(frame, GROUP, "self", problem_type=BINARY)
        assert not set(parts.train["self"]) & set(parts.holdout["self"])


class TestRandom:
    def test_columns_left_out_are_gone_before_equal_rows_are_looked_for(self):
        """Without its row number a table of few different rows has many equal ones: they stay on one side."""
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"row": range(600), "x": rng.integers(0, 60, 600)})
        frame["y"] = frame["x"] * 2.0
        parts = cut(frame, RANDOM, leave_out=["row"])
        assert list(parts.train) == ["x", "y"]
        assert not set(parts.train["x"]) & set(parts.holdout["x"])
        assert parts.structure == {}
        assert parts.report.share == pytest.approx(0.2, abs=0.02)

    @pytest.mark.parametrize("problem_type", [BINARY, REGRESSION])
    def test_a_column_less_holds_the_same_rows_out(self, problem_type):
        """Two versions with the same seed are judged by the same rows, but for those that became equal."""
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"noise": rng.normal(size=900), "x": rng.normal(size=900).round(2)})
        frame["y"] = rng.choice(["p", "q"], 900) if problem_type is BINARY else frame["x"].round(1)
        whole, part = (
            set(cut(frame, RANDOM, problem_type=problem_type, leave_out=names).places) for names in ([], ["noise"])
        )
        equal = frame[frame.duplicated(["x", "y"], keep=False)].index
        unique = set(frame.drop(index=equal).index)
        assert len(equal) > 200
        assert len(whole & part & unique) > 0.8 * len(whole & unique)


def test_a_column_that_is_not_there_or_is_the_target_is_said():
    for column in ("absent", "y", None):
        with pytest.raises(TrainingFailed, match="not in this table"):
            cut(days(), TIME, column)


def test_a_report_survives_json():
    report = cut(days(), TIME, "date").report
    values = {name: getattr(report, name) for name in report.__slots__}
    assert HoldoutReport.from_dict({**values, "later": 1}) == report


def test_each_row_held_out_knows_its_group_where_whole_groups_are():
    held = cut(patients(), GROUP, "patient", problem_type=BINARY, column_is_feature=False)
    units, patient = held.groups_held_out(), held.holdout["patient"]
    assert len(units) == len(patient)
    assert pd.DataFrame({"unit": units, "patient": patient}).drop_duplicates()["unit"].is_unique
    assert units.max() + 1 == held.report.groups
    assert cut(patients(), RANDOM, problem_type=BINARY).groups_held_out() is None
