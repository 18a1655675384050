"""What was chosen and what was done, in words."""

from dataclasses import replace

import pytest

from ml.options import FAMILIES, METRICS, ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from ml.setup_report import SetupReport
from ml.splits import HoldoutReport
from models_app.presenters import METRIC_LABELS, present_evaluation
from models_app.records import JobSettings
from models_app.setup_presenter import FAMILY_LABELS, METRIC_NOTES, chosen, chosen_for_version, held_out
from tests.factories import EVALUATION
from tests.records import make_job, make_version

REPORTS = {
    "random": (
        HoldoutReport(kind=HoldoutKind.RANDOM, share=0.2, seed=3),
        "20 % of the rows, at random (seed 3)",
    ),
    "time": (
        HoldoutReport(
            kind=HoldoutKind.TIME,
            share=0.1987,
            seed=0,
            column="date",
            start="2024-03-01",
            validation=HoldoutKind.TIME,
            unplaced_rows=12,
        ),
        "the latest 19.9 % by `date`, from 2024-03-01; 12 rows without a value there in neither part; intervals "
        "take rows for independent, so the true ones are wider",
    ),
    "groups": (
        HoldoutReport(
            kind=HoldoutKind.GROUP,
            share=0.2,
            seed=0,
            column="shop",
            column_is_feature=False,
            groups=8,
            all_groups=1040,
        ),
        "20 % of the rows: 8 of 1,040 groups of `shop`, whole (seed 0); that column is not a feature; models were "
        "chosen on random rows, as a class would have been missing otherwise; intervals take rows for independent, "
        "so the true ones are wider",
    ),
}


@pytest.mark.parametrize(("report", "sentence"), REPORTS.values(), ids=REPORTS)
def test_the_holdout_is_described(report, sentence):
    assert held_out(report) == sentence


def test_every_choice_has_a_name_and_every_metric_a_line():
    names = {name for group in METRICS.values() for name in group}
    assert names == set(METRIC_NOTES) == set(METRIC_LABELS)
    assert {family.name for family in FAMILIES} == set(FAMILY_LABELS)


def test_what_was_asked_for_is_listed():
    settings = JobSettings(
        target="y",
        leave_out=tuple(f"c{n}" for n in range(14)),
        holdout_kind=HoldoutKind.GROUP,
        holdout_column="shop",
        class_weights=ClassWeights.BALANCED,
        problem_type=ProblemType.BINARY,
    )
    facts = {fact.label: fact.value for fact in chosen(settings, metric="F1")}
    assert facts["Holdout"] == "whole groups of `shop`, 20 % of the rows"
    assert facts["Left out"].endswith("`c11` and 2 more")
    assert facts["Models"] == "those of the preset"
    assert facts["Rare classes"].startswith("balanced")
    assert facts["Problem type"] == "chosen: yes or no (two classes)"


@pytest.mark.parametrize(
    ("preset", "ran_out", "said"),
    [
        (Preset.QUICK, False, "the same score"),
        (Preset.QUICK, True, "met its time limit"),
        (Preset.BALANCED, False, "only if none of them is cut short"),
    ],
)
def test_the_model_page_says_what_can_be_repeated(preset, ran_out, said):
    version = make_version(make_job(), preset=preset, settings=JobSettings(target="y", preset=preset))
    report = SetupReport(holdout=REPORTS["random"][0], ran_out_of_time=ran_out, threshold=0.31)
    facts = {fact.label: fact.value for fact in chosen_for_version(version, report)}
    assert said in facts["Repeatable"]
    assert "0.31" in facts["Threshold"]
    assert facts["Held out"] == "20 % of the rows, at random (seed 3)"


def test_an_old_version_says_nothing_that_is_not_known():
    assert chosen_for_version(make_version(make_job()), None) == ()


def verdict(metric, score, baseline, *, lower=False, problem=ProblemType.BINARY):
    evaluation = replace(
        EVALUATION,
        metric_name=metric,
        score=score,
        baseline=baseline,
        lower_is_better=lower,
        metrics={metric: score},
    )
    return present_evaluation(evaluation, make_version(make_job(), problem_type=problem)).verdict


def test_the_verdict_speaks_of_the_metric_that_was_chosen():
    assert "ROC AUC is 0.91; that of a guess that ignores every feature is 0.5" in verdict("roc_auc", 0.91, 0.5)
    assert "Log loss (lower is better) is 0.3" in verdict("log_loss", 0.3, 0.69, lower=True)
    assert "R² is 0.8" in verdict("r2", 0.8, -0.01, problem=ProblemType.REGRESSION)
    error = verdict("mean_absolute_error", 5.0, 10.0, lower=True, problem=ProblemType.REGRESSION)
    assert "50% smaller" in error
    assert "right 87.5% of the time" in verdict("accuracy", 0.875, 0.5)
