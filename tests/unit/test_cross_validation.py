"""The score of a small table."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from ml.cross_validation import FOLDS, STOPPED, CrossValidated, cross_validate, rare_rows
from ml.problem import ProblemType
from models_app.setup_presenter import cross_validation
from smartml.errors import TrainingFailed
from tests.factories import EVALUATION
from tests.unit.ml_samples import fit

BINARY, REGRESSION = ProblemType.BINARY, ProblemType.REGRESSION
pytestmark = pytest.mark.slow


def labelled(rows: int, *, learnable: bool) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(draw.normal(size=(rows, 3)), columns=list("abc"))
    worth = frame["a"] if learnable else pd.Series(draw.normal(size=rows))
    return frame.assign(outcome=np.where(worth > 0, "yes", "no"))


def validate(frame, problem_type=BINARY, metric="accuracy", *, seconds=0.0, fit_fold=None, **more):
    seen = []

    def fit_linear(rows, limit, seed, directory):
        seen.append(rows)
        return fit(
            rows, "outcome", problem_type, directory, families=("LR",), time_limit=limit, seed=seed
        ).predictor

    found = cross_validate(
        frame,
        target="outcome",
        problem_type=problem_type,
        metric=metric,
        fit_fold=fit_fold or fit_linear,
        seconds=seconds,
        seed=0,
        **more,
    )
    return found, seen


def test_every_row_is_judged_by_a_model_that_has_not_seen_it_nor_its_copy():
    frame = labelled(60, learnable=True)
    frame = pd.concat([frame, frame.head(15)], ignore_index=True)
    found, seen = validate(frame)
    assert (found.rows, found.folds, found.repeats, len(seen)) == (75, FOLDS, 1, FOLDS)
    assert sum(len(frame) - len(rows) for rows in seen) == len(frame)
    for rows in seen:
        held = frame.merge(rows.drop_duplicates(), how="left", indicator=True)["_merge"].eq("left_only").sum()
        assert held == len(frame) - len(rows)
    low, high = found.intervals["accuracy"]
    assert found.score > 0.8 > found.baseline
    assert low < found.score < high
    assert found.metrics["roc_auc"] > 0.9
    assert CrossValidated.from_dict(asdict(found)) == found


def test_labels_by_chance_do_not_beat_the_baseline():
    found, _ = validate(labelled(80, learnable=False))
    assert found.intervals["accuracy"][0] <= found.baseline


def test_numbers_are_held_against_the_mean():
    frame = labelled(60, learnable=True).drop(columns="outcome")
    frame["outcome"] = 3 * frame["a"] + 100
    found, _ = validate(frame, REGRESSION, "root_mean_squared_error")
    assert found.score < 0.5 * found.baseline
    assert found.baseline == pytest.approx(frame["outcome"].std(), rel=0.2)


def test_it_is_repeated_while_there_is_time_and_the_same_seed_gives_the_same():
    frame = labelled(40, learnable=True)
    found, seen = validate(frame, seconds=600.0)
    assert (found.repeats, len(seen)) == (3, 3 * FOLDS)
    assert not seen[0].equals(seen[FOLDS])
    once, _ = validate(frame)
    again, _ = validate(frame)
    assert once == again


def test_who_wants_the_best_so_far_does_not_wait_for_it():
    found, seen = validate(labelled(40, learnable=True), should_stop=lambda: True)
    assert (found, seen) == (STOPPED, [])


def test_a_fold_that_cannot_be_fitted_leaves_no_half_a_score_and_the_page_says_so():
    def refuse(rows, limit, seed, directory):
        raise TrainingFailed("No model could be fitted.")

    found, _ = validate(labelled(40, learnable=True), fit_fold=refuse)
    assert found.why == "one of its models could not be fitted (No model could be fitted)"
    told = cross_validation(replace(EVALUATION, not_cross_validated=found.why))
    assert f"The {EVALUATION.holdout_rows} rows held out are few" in told
    assert f"could not be made, because {found.why}. Train again" in told


def test_a_rare_answer_asks_for_it_too_unless_the_table_is_large():
    held = pd.DataFrame({"outcome": ["no"] * 300 + ["yes"] * 19})
    asked = {"target": "outcome", "problem_type": BINARY}
    assert rare_rows(held, **asked, all_rows=1600) == 19
    assert rare_rows(held, **asked, all_rows=100_000) is None
    assert rare_rows(pd.concat([held, held]), **asked, all_rows=1600) is None
    numbers = pd.DataFrame({"outcome": range(9)})
    assert rare_rows(numbers, target="outcome", problem_type=REGRESSION, all_rows=1600) is None


def test_the_page_says_which_rows_were_too_few():
    found = CrossValidated(score=0.7, baseline=0.5, rows=1600, folds=5, repeats=2)
    plain = cross_validation(replace(EVALUATION, cross_validated=found))
    assert plain.startswith(f"Only {EVALUATION.holdout_rows} rows could be held out, too few")
    rare = cross_validation(replace(EVALUATION, cross_validated=replace(found, rare_rows=12)))
    assert rare.startswith(f"Only 12 of the {EVALUATION.holdout_rows} rows held out have the rarer answer, too few")
