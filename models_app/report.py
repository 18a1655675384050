"""The report of one version: a model card as one HTML file that needs nothing else, neither scripts nor this app.

It is written at the end of a training from what the page of the model shows, and kept beside the model.
"""

import base64
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from django.template.loader import render_to_string

from datasets.records import Dataset
from ml.bundle import library_versions
from ml.diagnosis import Diagnosis
from ml.evaluation import Evaluation
from ml.figure_drawing import draw_svg
from ml.overriding import ChosenType
from ml.prediction import Feature
from ml.problem import ProblemType
from models_app.figures import FigureView, coverage_sentence, figures_of
from models_app.presenters import EvaluationView, present_evaluation
from models_app.records import ModelVersion
from models_app.setup_presenter import PROBLEM_LABELS, chosen_for_version, cross_validation

_SMALL_HOLDOUT = 100
_SMALL_CLASS = 20
_SHOWN_FEATURES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFigure:
    """A figure with its picture as an address that holds the whole picture; empty where a table says it best."""

    view: FigureView
    image: str


def draw(diagnosis: Diagnosis, problem_type: ProblemType) -> tuple[DrawnFigure, ...]:
    """Every figure of a version. Loads matplotlib, so it belongs to the process that trains."""
    error_name = "mean absolute error" if problem_type is ProblemType.REGRESSION else "share of wrong answers"
    return tuple(_draw(view) for view in figures_of(diagnosis, error_name=error_name))


def _draw(view: FigureView) -> DrawnFigure:
    if view.plot is None:
        return DrawnFigure(view=view, image="")
    picture = base64.b64encode(draw_svg(view.plot)).decode()
    return DrawnFigure(view=view, image=f"data:image/svg+xml;base64,{picture}")


def render(
    *,
    model_name: str,
    version: ModelVersion,
    dataset: Dataset,
    evaluation: Evaluation,
    diagnosis: Diagnosis,
    figures: Sequence[DrawnFigure],
    features: Sequence[Feature],
    unused: Sequence[str],
    chosen_types: Sequence[ChosenType],
) -> bytes:
    """The report as UTF-8."""
    view = present_evaluation(evaluation, version)
    coverage = diagnosis.get("coverage")
    is_number = version.problem_type is ProblemType.REGRESSION
    context = {
        "model_name": model_name,
        "version": version,
        "dataset": dataset,
        "evaluation": view,
        "problem": PROBLEM_LABELS[version.problem_type],
        "chosen": chosen_for_version(version, evaluation.setup),
        "chosen_types": chosen_types,
        "coverage": coverage and coverage_sentence(coverage, diagnosis["rows"], is_number=is_number),
        "figures": figures,
        "features": features[:_SHOWN_FEATURES],
        "more_features": max(0, len(features) - _SHOWN_FEATURES),
        "unused": unused,
        "small_table": cross_validation(evaluation),
        "limits": limits(view, version, diagnosis),
        "libraries": library_versions(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    return render_to_string("models_app/report.html", context).encode()


def limits(view: EvaluationView, version: ModelVersion, diagnosis: Diagnosis) -> tuple[str, ...]:
    """What the score does not say, as far as it can be told from the numbers."""
    evaluation = view.evaluation
    found = []
    if not view.beats_baseline:
        found.append("It is no better than a guess that ignores every feature: do not rely on it.")
    is_checked = evaluation.cross_validated is not None or bool(evaluation.not_cross_validated)
    if evaluation.holdout_rows < _SMALL_HOLDOUT and not is_checked:
        found.append(
            f"Only {evaluation.holdout_rows:,} rows were held out, so the score is rough: read its interval first."
        )
    found += _rare_classes(diagnosis)
    if evaluation.seen_rows:
        found.append(
            f"{evaluation.seen_rows:,} of the rows held out equal a row that was fitted, so the score flatters it."
        )
    if evaluation.stopped_early:
        found.append("Its owner ended the fitting before every model had been tried.")
    elif evaluation.setup is not None and evaluation.setup.ran_out_of_time:
        found.append("The fitting met its time limit: a longer one may give a better model.")
    found.append(
        f"The score holds for rows like those of {version.dataset_name}. Values outside the ranges and categories "
        "below were never seen, and what has changed since the data were collected is not in it."
    )
    found.append(
        "It has learned what goes together in the data, not what causes what; a column that is known only after "
        f"the fact would make it look better than it can be when {version.target} has to be predicted."
    )
    found.append(
        "The rows held out were scored once. Whoever trains again and again until they look better has chosen by "
        "them, and their score is no longer an honest one."
    )
    return tuple(found)


def _rare_classes(diagnosis: Diagnosis) -> list[str]:
    rare = [each for each in diagnosis.get("classes", []) if each["rows"] < _SMALL_CLASS]
    if not rare:
        return []
    named = ", ".join(f"“{each['label']}” ({each['rows']:,})" for each in rare[:5])
    more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
    return [f"Few rows held out are of {named}{more}: what is said about them is rough."]
