"""Whether a target column can be learned, and what kind of question it asks."""

from dataclasses import replace

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
_NUMBERS = (ColumnType.INTEGER, ColumnType.NUMERIC)
_WORDS = {ColumnType.DATE: "dates", ColumnType.ID: "names of rows", ColumnType.BOOLEAN: "yes and no"}


def decide_problem(summary: TargetSummary, *, wanted: ProblemType | None = None) -> ProblemDecision:
    """The problem type with a sentence that says why; with ``wanted``, that type if the column allows it.

    :raises InvalidTarget: nothing can be learned from this column, or not that; the sentence names the reason and
        its counts. What only ``wanted`` is to blame for is in ``fields`` as ``problem_type``.
    """
    _check_values(summary, summary.rows - summary.missing)
    try:
        decision = _inferred(summary)
    except InvalidTarget:
        if wanted is None:
            raise
        return _overridden(summary, wanted)
    if wanted is not None and wanted is not decision.problem_type:
        decision = _overridden(summary, wanted)
    others = tuple(kind for kind in ProblemType if kind is not decision.problem_type and _allows(summary, kind))
    return replace(decision, others=others)


def _overridden(summary: TargetSummary, wanted: ProblemType) -> ProblemDecision:
    try:
        return _as_wanted(summary, wanted)
    except InvalidTarget as error:
        raise InvalidTarget(error.message, hint=error.hint, fields={"problem_type": error.message}) from error


def _allows(summary: TargetSummary, problem_type: ProblemType) -> bool:
    try:
        _as_wanted(summary, problem_type)
    except InvalidTarget:
        return False
    return True


def _inferred(summary: TargetSummary) -> ProblemDecision:
    if summary.distinct == 2:
        _check_classes(summary)
        return _decided(
            ProblemType.BINARY,
            f"`{summary.name}` has two different values",
            f" ({_names(summary, ' and ')})",
            "so this is a yes/no question (binary classification).",
        )
    if summary.type in _NUMBERS:
        return _decide_number(summary)
    _check_learnable_text(summary, summary.rows - summary.missing)
    _check_classes(summary)
    return _multiclass(summary, "different values")


def _as_wanted(summary: TargetSummary, wanted: ProblemType) -> ProblemDecision:
    """The type that was asked for, with the same sentences of refusal as for one that is inferred."""
    found = f"`{summary.name}` has {summary.distinct:,} different values"
    if wanted is ProblemType.REGRESSION:
        if summary.type not in _NUMBERS:
            raise InvalidTarget(
                f"`{summary.name}` holds {_WORDS.get(summary.type, 'text')}, not numbers, so there is no "
                "question of how much (regression).",
                hint="Leave the problem type as inferred, or choose another target column.",
            )
        return _decided(wanted, found, "", "and you chose to predict it as a number (regression).")
    if (summary.distinct == 2) is not (wanted is ProblemType.BINARY):
        needs = "a yes/no question needs exactly two" if wanted is ProblemType.BINARY else "classes begin at three"
        raise InvalidTarget(f"{found}; {needs}.", hint="Leave the problem type as inferred, or choose another one.")
    if summary.type not in _NUMBERS:
        _check_learnable_text(summary, summary.rows - summary.missing)
    elif summary.distinct > MAX_CLASSES:
        raise InvalidTarget(
            f"{found}; at most {MAX_CLASSES} classes can be told apart.",
            hint="Predict it as a number (regression).",
        )
    _check_classes(summary)
    kind = "a yes/no question (binary" if wanted is ProblemType.BINARY else "a choice between classes (multiclass"
    return _decided(wanted, found, f" ({_names(summary)})", f"and you chose {kind} classification).")


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
