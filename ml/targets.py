"""Whether a target column can be learned, and what kind of question it asks."""

from ml.column_types import ColumnType
from ml.problem import ProblemDecision, ProblemType
from ml.profiling import TargetSummary
from smartml.errors import InvalidTarget

MIN_ROWS = 30
# A class needs rows on both sides of the holdout split and in every fold.
MIN_CLASS_ROWS = 10
MAX_CLASSES = 100
# Up to so many different whole numbers are taken for classes: grades, stars, a number of doors.
FEW_INTEGERS = 10
_NAMES_SHOWN = 5
_NAME_LENGTH = 40


def decide_problem(summary: TargetSummary) -> ProblemDecision:
    """The problem type with a sentence that says why.

    :raises InvalidTarget: nothing can be learned from this column; the sentence names the reason and its counts.
    """
    usable = summary.rows - summary.missing
    _check_values(summary, usable)
    if summary.distinct == 2:
        _check_classes(summary)
        return _decided(
            ProblemType.BINARY,
            f"`{summary.name}` has two different values",
            f" ({_names(summary, ' and ')})",
            "so this is a yes/no question (binary classification).",
        )
    if summary.type in (ColumnType.INTEGER, ColumnType.NUMERIC):
        return _decide_number(summary)
    _check_learnable_text(summary, usable)
    _check_classes(summary)
    return _multiclass(summary, "different values")


def _check_values(summary: TargetSummary, usable: int) -> None:
    if usable == 0:
        raise InvalidTarget(f"`{summary.name}` is empty: none of the {summary.rows:,} rows has a value in it.")
    if summary.distinct == 1:
        where = f"all {usable:,} rows" if not summary.missing else f"all {usable:,} rows that have one"
        raise InvalidTarget(
            f"`{summary.name}` has the same value ({_names(summary)}) in {where}, so there is nothing to predict."
        )
    if usable < MIN_ROWS:
        raise InvalidTarget(
            f"Only {usable:,} of {summary.rows:,} rows have a value in `{summary.name}`; "
            f"at least {MIN_ROWS} are needed to train and check a model.",
            hint="Add more rows, or choose a target column with more values.",
        )


def _decide_number(summary: TargetSummary) -> ProblemDecision:
    smallest = summary.smallest_class
    few = not summary.has_fractions and summary.distinct <= FEW_INTEGERS
    if few and smallest and smallest[1] >= MIN_CLASS_ROWS:
        return _multiclass(summary, "different whole numbers")
    kind = "numbers" if summary.has_fractions else "whole numbers"
    rare = ""
    if few and smallest:
        rare = f", and {smallest[0]} stands in only {_rows(smallest[1])}: too few to be a class of its own"
    return _decided(
        ProblemType.REGRESSION,
        f"`{summary.name}` holds {kind} with {summary.distinct:,} different values",
        rare,
        "so this is a question of how much (regression).",
    )


def _check_learnable_text(summary: TargetSummary, usable: int) -> None:
    if summary.type == ColumnType.DATE:
        raise InvalidTarget(
            f"`{summary.name}` holds dates ({summary.distinct:,} different ones), which cannot be predicted."
        )
    if summary.distinct >= usable:
        raise InvalidTarget(
            f"`{summary.name}` has a different value in every one of its {usable:,} rows, so it names rows and "
            "cannot be predicted."
        )
    if summary.distinct > MAX_CLASSES:
        raise InvalidTarget(
            f"`{summary.name}` has {summary.distinct:,} different texts in {usable:,} rows; "
            f"at most {MAX_CLASSES} classes can be told apart."
        )


def _check_classes(summary: TargetSummary) -> None:
    rare = [(name, count) for name, count in reversed(summary.classes) if count < MIN_CLASS_ROWS]
    if not rare:
        return
    named = ", ".join(f"{_short(name)} ({_rows(count)})" for name, count in rare[:_NAMES_SHOWN])
    more = f" and {len(rare) - _NAMES_SHOWN} more" if len(rare) > _NAMES_SHOWN else ""
    raise InvalidTarget(
        f"`{summary.name}` has {'a class' if len(rare) == 1 else f'{len(rare)} classes'} with fewer than "
        f"{MIN_CLASS_ROWS} rows: {named}{more}.",
        hint="Add rows of these classes, merge them with others or remove them; or choose another target column.",
    )


def _multiclass(summary: TargetSummary, what: str) -> ProblemDecision:
    return _decided(
        ProblemType.MULTICLASS,
        f"`{summary.name}` has {summary.distinct:,} {what}",
        f" ({_names(summary)})",
        "so this is a choice between classes (multiclass classification).",
    )


def _decided(problem_type: ProblemType, found: str, values: str, conclusion: str) -> ProblemDecision:
    """``values`` is the part of the sentence that shows the column's data."""
    return ProblemDecision(
        problem_type=problem_type, reason=f"{found}{values}, {conclusion}", plain_reason=f"{found}, {conclusion}"
    )


def _names(summary: TargetSummary, joiner: str = ", ") -> str:
    names = sorted(_short(name) for name, _ in summary.classes[:_NAMES_SHOWN])
    return joiner.join(names) + (", …" if summary.distinct > len(names) else "")


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
