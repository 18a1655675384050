"""Columns that say more about the target than seems fair, and what a person can do about them."""

from collections.abc import Sequence
from dataclasses import replace

from ml.problem import ProblemType
from ml.profile_records import Check, Relation, Suspicion
from ml.profiling import TargetSummary

# From here on a column alone all but gives the answer.
HIGH = 0.975
CERTAIN_MODERATE = 0.96
# A column this strong is suspect where no other comes near it: an honest table has several that say much.
MODERATE = 0.85
_NEAR = 0.6
_WEAK = 0.02
_IMBALANCED = 0.1
_LISTED = 10


def describe(relations: Sequence[Relation], target: str, problem_type: ProblemType) -> list[Relation]:
    """The relations, strongest first, with their suspicion and sentence.

    Their ``sentence`` says "filled" until then where it is all in whether the column has a value.
    """
    honest = max((found.strength for found in relations if found.strength < MODERATE), default=0.0)
    strong = [found for found in relations if found.strength >= MODERATE]
    described = []
    for found in relations:
        suspicion: Suspicion = ""
        if found.strength >= HIGH:
            suspicion = "high"
        elif found.strength >= CERTAIN_MODERATE or (
            found.strength >= MODERATE and len(strong) == 1 and honest < _NEAR * found.strength
        ):
            suspicion = "moderate"
        sentence = _sentence(found, target, problem_type, suspicion, only_filled=found.sentence == "filled")
        described.append(replace(found, suspicion=suspicion, sentence=sentence))
    return described


def _sentence(
    found: Relation, target: str, problem_type: ProblemType, suspicion: Suspicion, *, only_filled: bool
) -> str:
    what = f"only whether `{found.column}` has a value" if only_filled else f"only `{found.column}`"
    if problem_type == ProblemType.REGRESSION:
        score = f"R² {_figure(found.score)} (guessing the mean: 0)"
    else:
        score = f"balanced accuracy {_figure(found.score)} (chance {_figure(found.baseline)})"
    if found.strength < _WEAK:
        return f"`{found.column}` alone says nothing about `{target}`: {score}."
    if not suspicion:
        return f"Knowing {what} predicts `{target}` with {score}."
    advice = "leave it out unless it is known at prediction time"
    if suspicion == "high":
        return f"Knowing {what} predicts `{target}` with {score}: {advice}."
    return f"Knowing {what} predicts `{target}` with {score}, more than seems fair: {advice}."


def check_relations(
    relations: Sequence[Relation], summary: TargetSummary, problem_type: ProblemType
) -> tuple[Check, ...]:
    """Leakage, and the balance of the classes."""
    suspects = [found for found in relations if found.is_suspect]
    checks = [_leak(found) for found in suspects[:_LISTED]]
    if len(suspects) > _LISTED:
        names = ", ".join(f"`{found.column}`" for found in suspects[_LISTED : 3 * _LISTED])
        evidence = f"The same goes for {len(suspects) - _LISTED} more columns: {names}."
        checks.append(replace(checks[-1], column=None, evidence=evidence))
    if not suspects:
        evidence = f"No column alone says more about `{summary.name}` than seems fair."
        checks = [Check(kind="leakage", status="passed", column=None, evidence=evidence, action="")]
    if problem_type != ProblemType.REGRESSION:
        checks.append(_balance(summary))
    return tuple(checks)


def _leak(found: Relation) -> Check:
    evidence = (
        f"{found.sentence.split(': ')[0].removesuffix(', more than seems fair')} ({found.suspicion} suspicion)."
    )
    action = (
        "It may be written down after the outcome, or made from it. Leave it out of training unless it is known "
        "when a prediction is asked for."
    )
    return Check(kind="leakage", status="alert", column=found.column, evidence=evidence, action=action)


def _balance(summary: TargetSummary) -> Check:
    (_, most), *_ = summary.classes
    name, least = summary.classes[-1]
    rows = summary.rows - summary.missing
    share = least / rows
    shown = name if len(name) <= 40 else name[:39] + "…"
    evidence = (
        f"The rarest of {summary.distinct} classes of `{summary.name}`, “{shown}”, has {least:,} of {rows:,} rows"
    )
    evidence += f" ({share:.1%}); the most frequent has {most:,}."
    # Each class would have 1/k of the rows.
    if share * summary.distinct >= _IMBALANCED * 2:
        return Check(kind="imbalance", status="passed", column=summary.name, evidence=evidence, action="")
    action = (
        "Accuracy says little here: a model that never predicts the rare class looks good. Judge it by balanced "
        "accuracy, and by how it does on that class."
    )
    return Check(kind="imbalance", status="alert", column=summary.name, evidence=evidence, action=action)


def _figure(value: float) -> str:
    return f"{value:.2f}"
