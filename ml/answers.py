"""What every model of a predictor, and a baseline, say of the rows set aside: predicted once, used by all that is
reported about them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.metrics import Answers, ClassAnswers, NumberAnswers
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class Output:
    """What one model says of the holdout, in its order: a frame of probabilities by class, or a series of numbers.

    ``seconds_per_row`` includes the preparation of the columns and the models it is stacked on.
    """

    values: Any
    seconds_per_row: float


def _outputs(predictor: Any, holdout: DataFrame) -> dict[str, Output]:
    """Every model's answer in a single pass, in which a stacked model uses what its base models have said.

    The public ``predict_proba_multi`` does the same without the times, and ``leaderboard`` without the answers.
    """
    trainer, learner = predictor._trainer, predictor._learner
    start = time.perf_counter()
    prepared = predictor.transform_features(holdout)
    preparing = time.perf_counter() - start
    answers, seconds = trainer.get_model_pred_proba_dict(
        X=prepared, models=predictor.model_names(can_infer=True), record_pred_time=True
    )
    return {
        name: Output(
            learner._post_process_predict_proba(answers[name], index=holdout.index),
            (preparing + sum(seconds[base] for base in trainer.get_minimum_model_set(name))) / len(holdout),
        )
        for name in predictor.model_names(can_infer=True)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutAnswers:
    """``best`` is the model that validation chose, ``metric`` the one it was chosen by. ``labels`` are the classes,
    in the order in which ``answers`` number them; ``positive`` is the one that binary figures are about."""

    best: str
    metric: str
    labels: tuple[Any, ...]
    positive: Any
    outputs: Mapping[str, Output]
    answers: Mapping[str, Answers]
    baseline: Answers


def answer_holdout(
    predictor: Any, *, train: DataFrame, holdout: DataFrame, target: str, problem_type: ProblemType
) -> HoldoutAnswers:
    """Have every model predict ``holdout``, in one pass."""
    with quiet_autogluon():
        labels: list[Any] = [] if problem_type is ProblemType.REGRESSION else list(predictor.class_labels)
        positive = predictor.positive_class if problem_type is ProblemType.BINARY else None
        outputs = _outputs(predictor, holdout)
        if labels:
            answers, baseline = _class_answers(predictor, outputs, train[target], holdout[target], labels, positive)
        else:
            answers, baseline = _number_answers(outputs, train[target], holdout[target])
        return HoldoutAnswers(
            best=str(predictor.model_best),
            metric=str(predictor.eval_metric.name),
            labels=tuple(labels),
            positive=positive,
            outputs=outputs,
            answers=answers,
            baseline=baseline,
        )


def _class_answers(
    predictor: Any,
    outputs: Mapping[str, Output],
    train_target: Any,
    holdout_target: Any,
    labels: list[Any],
    positive: Any,
) -> tuple[dict[str, Answers], Answers]:
    """Of every model, and of always saying the majority class, with the training shares as probabilities. Classes
    are numbered as in ``labels``."""
    from sklearn.dummy import DummyClassifier

    number = {label: index for index, label in enumerate(labels)}
    positive_index = None if positive is None else number[positive]
    truth = holdout_target.map(number).to_numpy()
    answers: dict[str, Answers] = {}
    for name, output in outputs.items():
        predicted = predictor.predict_from_proba(output.values).map(number).to_numpy()
        answers[name] = ClassAnswers(truth, predicted, output.values[labels].to_numpy(), positive_index)
    dummy = DummyClassifier(strategy="prior").fit([[0]] * len(train_target), train_target.map(number))
    blank = [[0]] * len(truth)
    return answers, ClassAnswers(truth, dummy.predict(blank), dummy.predict_proba(blank), positive_index)


def _number_answers(
    outputs: Mapping[str, Output], train_target: Any, holdout_target: Any
) -> tuple[dict[str, Answers], Answers]:
    """Of every model, and of always saying the training mean."""
    from sklearn.dummy import DummyRegressor

    truth = holdout_target.to_numpy(dtype="float64")
    answers: dict[str, Answers] = {
        name: NumberAnswers(truth, output.values.to_numpy(dtype="float64")) for name, output in outputs.items()
    }
    dummy = DummyRegressor(strategy="mean").fit([[0]] * len(train_target), train_target.to_numpy(dtype="float64"))
    return answers, NumberAnswers(truth, dummy.predict([[0]] * len(truth)))
