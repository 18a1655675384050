"""Each column against the target: scores, leakage suspects, and what they are told in."""

import json
import random

import numpy as np
import pytest

from ml import relation
from ml.column_types import ColumnType
from ml.problem import ProblemType
from ml.profile_records import TargetRelation
from ml.relation import relate
from smartml.errors import InvalidTarget
from tests.unit.profile_tables import write_table

ROWS = 600


def binary(rows=ROWS):
    numbers = random.Random(9)
    truth = [numbers.random() < 0.4 for _ in range(rows)]
    return {
        "outcome": ["yes" if true else "no" for true in truth],
        "helps": [f"{numbers.gauss(1.0 * true, 1):.3f}" for true in truth],
        "noise": [f"{numbers.gauss(0, 1):.3f}" for _ in truth],
        "code": [numbers.choice("abcde") for _ in truth],
        "afterwards": [f"r{numbers.randrange(9)}" if true else "" for true in truth],
        "same": ["1" if true else "0" for true in truth],
        "amount": [str(numbers.randrange(1, 50) + 100 * true) for true in truth],
        "key": [f"u{i}" for i in range(rows)],
    }


def by_name(found):
    return {one.column: one for one in found.relations}


def test_leaks_are_told_from_what_merely_helps(tmp_path):
    found = relate(write_table(tmp_path / "t.csv", binary()), target="outcome", overrides={})
    assert (found.problem_type, found.rows, found.rows_used) == (ProblemType.BINARY, ROWS, ROWS)
    relations = by_name(found)
    assert {name for name, one in relations.items() if one.is_suspect} == {"afterwards", "same", "amount"}
    assert {one.suspicion for one in relations.values() if one.is_suspect} == {"high"}
    assert 0.6 < relations["helps"].score < 0.8
    for name in ("noise", "code", "key"):
        assert relations[name].score == pytest.approx(0.5, abs=0.09)
    strengths = [one.strength for one in found.relations]
    assert strengths == sorted(strengths, reverse=True)
    assert relations["same"].sentence == (
        "Knowing only `same` predicts `outcome` with balanced accuracy 1.00 (chance 0.50): leave it out unless it "
        "is known at prediction time."
    )
    assert "only whether `afterwards` has a value" in relations["afterwards"].sentence
    assert {check.column for check in found.checks if check.kind == "leakage"} == {"afterwards", "same", "amount"}
    assert TargetRelation.from_dict(json.loads(json.dumps(found.as_dict(), allow_nan=False))) == found


def test_numbers_are_predicted_with_r2(tmp_path):
    numbers = random.Random(4)
    values = [numbers.uniform(0, 100) for _ in range(ROWS)]
    columns = {
        "price": [f"{value:.2f}" for value in values],
        "tax": [f"{value * 1.2:.3f}" for value in values],
        "area": [f"{value + numbers.gauss(0, 25):.2f}" for value in values],
        "day": [f"2024-01-{numbers.randrange(10, 28)}" for _ in values],
    }
    found = relate(write_table(tmp_path / "t.csv", columns), target="price", overrides={})
    relations = by_name(found)
    assert found.problem_type == ProblemType.REGRESSION
    assert (relations["tax"].metric, relations["tax"].baseline, relations["tax"].suspicion) == ("R²", 0.0, "high")
    assert 0.3 < relations["area"].score < 0.8
    assert not relations["area"].is_suspect
    assert relations["day"].score < 0.1
    assert [check.kind for check in found.checks] == ["leakage"]


def test_a_strong_column_is_suspect_only_where_none_comes_near_it(tmp_path):
    numbers = random.Random(6)
    truth = [i % 2 for i in range(1000)]

    def nearly(share):
        return [str(true if numbers.random() < share else 1 - true) for true in truth]

    columns = {"y": list(map(str, truth)), "strong": nearly(0.95), "weak": nearly(0.6)}
    alone = by_name(relate(write_table(tmp_path / "a.csv", columns), target="y", overrides={}))
    assert (alone["strong"].suspicion, alone["weak"].suspicion) == ("moderate", "")
    columns["other"] = nearly(0.94)
    among = by_name(relate(write_table(tmp_path / "b.csv", columns), target="y", overrides={}))
    assert {one.suspicion for one in among.values()} == {""}


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_known_tables_have_no_suspects(tmp_path, name):
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    columns = {column: [str(value) for value in frame[column].tolist()] for column in frame}
    found = relate(write_table(tmp_path / "t.csv", columns), target="target", overrides={})
    assert len(found.relations) == len(columns) - 1
    assert not any(one.is_suspect for one in found.relations)
    assert {check.status for check in found.checks} == {"passed"}


def test_groups_stay_on_one_side(tmp_path):
    numbers = random.Random(8)
    people = [i // 10 for i in range(800)]
    sick = {person: person % 2 for person in range(80)}
    columns = {
        "sick": [str(sick[person]) for person in people],
        "patient_id": [str((person * 37) % 101) for person in people],
        "voice": [f"{(person * 37 % 101) + numbers.gauss(0, 0.01):.3f}" for person in people],
        "noise": [f"{numbers.random():.4f}" for _ in people],
    }
    found = relate(write_table(tmp_path / "t.csv", columns), target="sick", overrides={})
    assert found.group_column == "patient_id"
    assert "`patient_id`" in found.note
    # A voice names its person, whose other rows tell the answer; new persons it tells nothing about.
    assert by_name(found)["voice"].score < 0.7


def test_imbalance_is_told(tmp_path):
    numbers = random.Random(2)
    columns = {
        "fraud": ["yes" if i % 40 == 0 else "no" for i in range(ROWS)],
        "noise": [f"{numbers.random():.4f}" for _ in range(ROWS)],
    }
    found = relate(write_table(tmp_path / "t.csv", columns), target="fraud", overrides={})
    [check] = [check for check in found.checks if check.kind == "imbalance"]
    assert check.status == "alert"
    assert "15 of 600 rows" in check.evidence


def test_rows_of_a_large_table_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(relation, "ROWS", 500)
    path = write_table(tmp_path / "t.csv", binary(5000))
    found = relate(path, target="outcome", overrides={})
    assert (found.rows, found.rows_used) == (5000, 500)
    assert "500 of 5,000 rows, spread evenly" in found.note
    assert by_name(found)["same"].suspicion == "high"


def test_a_chosen_type_of_the_target_decides(tmp_path):
    numbers = np.random.default_rng(1)
    columns = {
        "grade": [str(value) for value in numbers.integers(1, 21, 2000)],
        "noise": [str(value) for value in numbers.normal(size=2000)],
    }
    path = write_table(tmp_path / "t.csv", columns)
    assert relate(path, target="grade", overrides={}).problem_type == ProblemType.REGRESSION
    chosen = relate(path, target="grade", overrides={"grade": ColumnType.CATEGORY})
    assert chosen.problem_type == ProblemType.MULTICLASS


def test_gaps_in_the_target_are_left_out(tmp_path):
    columns = binary()
    columns["outcome"] = ["" if i % 3 == 0 else value for i, value in enumerate(columns["outcome"])]
    found = relate(write_table(tmp_path / "t.csv", columns), target="outcome", overrides={})
    assert (found.rows, found.rows_used) == (400, 400)
    assert by_name(found)["same"].score == 1.0


@pytest.mark.parametrize("target", ["nothing", "key"])
def test_an_impossible_target_is_refused(tmp_path, target):
    path = write_table(tmp_path / "t.csv", binary())
    with pytest.raises(InvalidTarget):
        relate(path, target=target, overrides={})


def test_many_columns_are_done_in_parts(tmp_path):
    numbers = np.random.default_rng(3)
    values = numbers.normal(size=(60, 250)).round(2)
    columns = {f"c{i}": [str(value) for value in values[:, i]] for i in range(250)}
    columns["y"] = [str(int(value > 0)) for value in values[:, 7]]
    found = relate(write_table(tmp_path / "t.csv", columns), target="y", overrides={})
    assert len(found.relations) == 250
    assert found.relations[0].column == "c7"
