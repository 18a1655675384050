"""Which problem a target asks, and the sentence for every one that cannot be learned."""

import re

import pytest

from ml.column_types import ColumnType
from ml.problem import ProblemType
from ml.profiling import TargetSummary
from ml.targets import decide_problem
from smartml.errors import InvalidTarget


def summary(classes, *, kind=ColumnType.CATEGORY, missing=0, rows=None, distinct=None, fractions=False):
    ordered = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    present = sum(classes.values())
    return TargetSummary(
        name="y",
        rows=rows if rows is not None else present + missing,
        missing=missing,
        distinct=distinct if distinct is not None else len(classes),
        type=kind,
        classes=tuple(ordered),
        smallest_class=ordered[-1] if ordered else None,
        has_fractions=fractions,
    )


INTEGER, NUMERIC, TEXT = ColumnType.INTEGER, ColumnType.NUMERIC, ColumnType.TEXT

DECISIONS = {
    "zero and one": (
        summary({"0": 549, "1": 342}, kind=INTEGER), ProblemType.BINARY,
        "`y` has two different values (0 and 1), so this is a yes/no question (binary classification).",
    ),
    "yes and no with gaps": (
        summary({"yes": 20, "no": 40}, kind=ColumnType.BOOLEAN, missing=7), ProblemType.BINARY,
        "`y` has two different values (no and yes), so this is a yes/no question (binary classification).",
    ),
    "two fractions": (
        summary({"0.5": 20, "1.5": 40}, kind=NUMERIC, fractions=True), ProblemType.BINARY,
        "`y` has two different values (0.5 and 1.5), so this is a yes/no question (binary classification).",
    ),
    "three words": (
        summary({"a": 50, "b": 50, "c": 50}), ProblemType.MULTICLASS,
        "`y` has 3 different values (a, b, c), so this is a choice between classes (multiclass classification).",
    ),
    "few whole numbers": (
        summary({"1": 50, "2": 50, "3": 50}, kind=INTEGER), ProblemType.MULTICLASS,
        "`y` has 3 different whole numbers (1, 2, 3), so this is a choice between classes "
        "(multiclass classification).",
    ),
    "few whole numbers, one rare": (
        summary({"1": 50, "2": 50, "9": 1}, kind=INTEGER), ProblemType.REGRESSION,
        "`y` holds whole numbers with 3 different values, and 9 stands in only 1 row: too few to be a class of its "
        "own, so this is a question of how much (regression).",
    ),
    "many whole numbers": (
        summary({str(n): 20 for n in range(200)}, kind=INTEGER), ProblemType.REGRESSION,
        "`y` holds whole numbers with 200 different values, so this is a question of how much (regression).",
    ),
    "few fractions": (
        summary({"1.5": 20, "2.5": 20, "3.5": 20}, kind=NUMERIC, fractions=True), ProblemType.REGRESSION,
        "`y` holds numbers with 3 different values, so this is a question of how much (regression).",
    ),
    "a hundred classes": (
        summary({f"c{n:03}": 10 for n in range(100)}), ProblemType.MULTICLASS,
        "`y` has 100 different values (c000, c001, c002, c003, c004, …), so this is a choice between classes "
        "(multiclass classification).",
    ),
}  # fmt: skip

REFUSALS = {
    "empty": (summary({}, missing=50), "`y` is empty: none of the 50 rows has a value in it."),
    "constant": (
        summary({"a": 50}), "`y` has the same value (a) in all 50 rows, so there is nothing to predict.",
    ),
    "constant with gaps": (
        summary({"a": 50}, missing=3),
        "`y` has the same value (a) in all 50 rows that have one, so there is nothing to predict.",
    ),
    "too few": (
        summary({"a": 15, "b": 14}, missing=100),
        "Only 29 of 129 rows have a value in `y`; at least 30 are needed to train and check a model.",
    ),
    "all different": (
        summary({f"name {n}": 1 for n in range(50)}, kind=TEXT),
        "`y` has a different value in every one of its 50 rows, so it names rows and cannot be predicted.",
    ),
    "row numbers": (
        summary({str(n): 1 for n in range(50)}, kind=ColumnType.ID),
        "`y` has a different value in every one of its 50 rows, so it names rows and cannot be predicted.",
    ),
    "dates": (
        summary({f"2024-01-{n:02}": 2 for n in range(1, 29)}, kind=ColumnType.DATE),
        "`y` holds dates (28 different ones), which cannot be predicted.",
    ),
    "rare class": (
        summary({"a": 50, "b": 50, "G": 4}), "`y` has a class with fewer than 10 rows: G (4 rows).",
    ),
    "rare class of two": (
        summary({"a": 50, "b": 1}), "`y` has a class with fewer than 10 rows: b (1 row).",
    ),
    "many rare classes": (
        summary({"a": 50, **{f"r{n}": 2 for n in range(7)}}),
        "`y` has 7 classes with fewer than 10 rows: r6 (2 rows), r5 (2 rows), r4 (2 rows), r3 (2 rows), "
        "r2 (2 rows) and 2 more.",
    ),
    "too many classes": (
        summary({f"c{n}": 20 for n in range(101)}),
        "`y` has 101 different texts in 2,020 rows; at most 100 classes can be told apart.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions(name):
    given, problem_type, reason = DECISIONS[name]
    decision = decide_problem(given)
    assert (decision.problem_type, decision.reason) == (problem_type, reason)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    given, message = REFUSALS[name]
    with pytest.raises(InvalidTarget) as caught:
        decide_problem(given)
    assert caught.value.message == message
    assert caught.value.hint.endswith(".")


def test_long_values_are_shortened_in_sentences():
    decision = decide_problem(summary({"a" * 500: 20, "b" * 500: 20, "c": 20}))
    assert len(decision.reason) < 250


GRADES = summary({"1": 50, "2": 40, "3": 30}, kind=INTEGER)
PRICES = summary({}, kind=INTEGER, rows=500, distinct=480)
OVERRIDES = {
    "few whole numbers as a number": (
        GRADES, ProblemType.REGRESSION,
        "`y` has 3 different values, and you chose to predict it as a number (regression).",
    ),
    "few fractions as classes": (
        summary({"0.5": 20, "1.0": 20, "1.5": 40}, kind=NUMERIC, fractions=True), ProblemType.MULTICLASS,
        "`y` has 3 different values (0.5, 1.0, 1.5), and you chose a choice between classes (multiclass "
        "classification).",
    ),
    "zero and one as a number, one of them rare": (
        summary({"0": 100, "1": 3}, kind=INTEGER), ProblemType.REGRESSION,
        "`y` has 2 different values, and you chose to predict it as a number (regression).",
    ),
    "what is inferred anyhow": (
        GRADES, ProblemType.MULTICLASS,
        "`y` has 3 different whole numbers (1, 2, 3), so this is a choice between classes "
        "(multiclass classification).",
    ),
}  # fmt: skip
IMPOSSIBLE = {
    "text as a number": (summary({"a": 50, "b": 50, "c": 50}), ProblemType.REGRESSION, "holds text, not numbers"),
    "yes and no as a number": (
        summary({"yes": 50, "no": 50}, kind=ColumnType.BOOLEAN), ProblemType.REGRESSION, "holds yes and no, not"
    ),
    "three values as yes or no": (GRADES, ProblemType.BINARY, "needs exactly two"),
    "two values as several classes": (
        summary({"0": 50, "1": 50}, kind=INTEGER), ProblemType.MULTICLASS, "classes begin at three"
    ),
    "many numbers as classes": (PRICES, ProblemType.MULTICLASS, "480 different values; at most 100 classes"),
    "a rare number as a class": (
        summary({"1": 50, "2": 50, "9": 1}, kind=INTEGER), ProblemType.MULTICLASS, "fewer than 10 rows: 9 (1 row)"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("column", "wanted", "reason"), OVERRIDES.values(), ids=OVERRIDES)
def test_another_problem_type_can_be_chosen_where_it_makes_sense(column, wanted, reason):
    decision = decide_problem(column, wanted=wanted)
    assert (decision.problem_type, decision.reason) == (wanted, reason)


@pytest.mark.parametrize(("column", "wanted", "sentence"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_problem_type_is_refused_at_its_own_field(column, wanted, sentence):
    with pytest.raises(InvalidTarget, match=re.escape(sentence)) as refused:
        decide_problem(column, wanted=wanted)
    assert list(refused.value.fields) == ["problem_type"]


def test_what_no_problem_type_could_mend_is_the_targets_fault():
    for wanted in ProblemType:
        with pytest.raises(InvalidTarget, match="same value") as refused:
            decide_problem(summary({"7": 60}, kind=INTEGER), wanted=wanted)
        assert refused.value.fields == {}


def test_the_other_possibilities_are_named():
    assert decide_problem(GRADES).others == (ProblemType.REGRESSION,)
    assert decide_problem(PRICES).others == ()
    assert decide_problem(summary({"a": 50, "b": 50, "c": 50})).others == ()
