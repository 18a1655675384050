"""Split off the holdout and fit. Runs in a process of its own; AutoGluon is imported inside the functions.

Every choice inside the fit (model, ensemble weights) uses validation data, cut from the training rows: by
AutoGluon, or here where rows stand more than once. The holdout that ``split_holdout`` sets aside is never given to
it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.callbacks import FitEvent, Listener, ProgressCallback
from ml.cores import usable_cores
from ml.fast import FastChoice, answer_with, choose
from ml.fit_log import overheard
from ml.holdout import row_keys, split_holdout
from ml.interruption import stopping_early
from ml.left_out import NO_TIME, LeftOut
from ml.options import is_usable, usual_metric
from ml.problem import Preset, ProblemType
from ml.quiet import quiet_autogluon
from smartml.errors import TrainingFailed, trace_without_values

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["FitEvent", "FitResult", "fit", "split_holdout"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """``predictor`` is a fitted ``TabularPredictor``; ``best_model`` was chosen by validation alone.
    ``fit_seconds``: what the time limit is about, without loading the libraries.
    ``stopped_early``: the person wanted what there was before all models were tried.

    ``ran_out_of_time``: a model was left out, or may have been cut short, by the clock, so that fitting again need
    not give the same. ``threshold`` of a yes/no question: see ``ml.setup_report``.
    """

    predictor: Any
    fit_seconds: float
    metric: str
    best_model: str
    stopped_early: bool = False
    ran_out_of_time: bool = False
    threshold: float | None = None
    left_out: tuple[LeftOut, ...] = ()
    fast: FastChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """What a preset means to AutoGluon.

    ``time_share``: the part of the time limit AutoGluon is given. Bagged presets check the clock once a bag, and
    Balanced refits its models on all rows afterwards, so they overrun what they are given.
    """

    fit: dict[str, Any]
    hyperparameters: str
    bagged: bool
    time_share: float


# A fit that has taken so many times its limit is ended with what it has; the model that runs has a moment more.
_OVERDUE = 1.15
# From this share of its time on a fit may have been cut short: a bag divides what is left among its folds.
_CUT_SHARE = {False: 0.8, True: 0.5}
_BAGGED: dict[str, Any] = {
    "dynamic_stacking": False,  # it fits everything twice to look for leakage that one stack level cannot have
    "num_stack_levels": 0,
}
_RECIPES = {
    # Forests and neighbours make the predictor 20 times larger and slower for no gain in score.
    Preset.QUICK: _Recipe(
        fit={"presets": "medium_quality", "excluded_model_types": ["RF", "XT", "KNN"]},
        hyperparameters="default",
        bagged=False,
        time_share=1.0,
    ),
    Preset.BALANCED: _Recipe(
        # A forest does not look at the clock: one took the rest of the limit and 37 s of refitting after it.
        fit={"presets": "good_quality", "excluded_model_types": ["RF", "XT"], **_BAGGED},
        hyperparameters="light",
        bagged=True,
        time_share=0.75,
    ),
    Preset.BEST: _Recipe(
        fit={"presets": "best_quality", **_BAGGED}, hyperparameters="zeroshot", bagged=True, time_share=0.9
    ),
}


def fit(
    train: DataFrame,
    *,
    target: str,
    problem_type: ProblemType,
    preset: Preset,
    time_limit: float,
    directory: Path,
    seed: int,
    on_event: Callable[[FitEvent], None],
    families: Sequence[str] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    metric: str | None = None,
    balance_classes: bool = False,
    structure: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
    on_line: Callable[[str], None] = lambda line: None,
) -> FitResult:
    """Fit within about ``time_limit`` seconds; the predictor is written to ``directory``.

    ``families`` restricts the fit to these AutoGluon model keys ("GBM", "CAT", ...). A model that fails is left
    out (its event has no score); nothing fitted at all is a TrainingFailed. Once ``should_stop`` says so no further
    model is begun and the fit ends with what it has (but never without a model). What ``on_event`` raises stops the
    fit and comes out of here unchanged.

    ``metric`` (the usual one when None) decides between models. ``balance_classes`` weighs each training row by the
    inverse share of its class; validation and later scores stay unweighted. ``structure`` and ``ignored``: see
    ``ml.splits.Split``. ``on_line`` hears what the fit says, see ``ml.fit_log``; it must not raise.
    """
    recipe = _RECIPES[preset]
    metric = metric or usual_metric(problem_type)
    with quiet_autogluon(), overheard(on_line):
        from autogluon.tabular import TabularPredictor

        _check_classes(train, target=target, problem_type=problem_type, bagged=recipe.bagged)
        learned, validation = train, None
        if not recipe.bagged and not structure:
            learned, validation = _cut_validation(train, target, problem_type, seed)
        predictor = TabularPredictor(
            label=target,
            problem_type=problem_type.value,
            eval_metric=metric,
            path=str(directory),
            verbosity=1,
            sample_weight="balance_weight" if balance_classes else None,
            learner_kwargs={"label_count_threshold": 1, "random_state": seed, "ignored_columns": list(ignored)},
        )
        ready = time.monotonic()
        # The limit is of fitting: loading the libraries takes none of it.
        budget = max(time_limit * recipe.time_share, 1.0)

        def ends(listener: Listener) -> bool:
            if should_stop():
                return True
            if time.monotonic() <= ready + _OVERDUE * time_limit:
                return False
            listener.why_it_stops = NO_TIME
            return True

        with Listener.open(on_event, metric) as listener, stopping_early(listener, lambda: ends(listener)):
            try:
                predictor.fit(
                    learned,
                    tuning_data=validation,
                    time_limit=budget,
                    num_cpus=usable_cores(),
                    num_gpus=0,
                    fit_strategy="sequential",
                    validation_structure=dict(structure) if structure else None,
                    callbacks=[ProgressCallback.create(listener.token)],
                    **_seeded(recipe, seed, families),
                )
            except Exception as error:  # AutoGluon raises anything; every kind becomes one sentence
                listener.reraise()
                raise _explained(error, listener, time_limit) from error
            listener.reraise()
        spent = time.monotonic() - ready
        _check_result(predictor, train, listener, time_limit)
        _settle_tie(predictor)
        result = FitResult(
            predictor=predictor,
            fit_seconds=spent,
            metric=metric,
            best_model=str(predictor.model_best),
            stopped_early=listener.stops and listener.why_it_stops != NO_TIME,
            threshold=float(predictor.decision_threshold) if problem_type is ProblemType.BINARY else None,
            left_out=tuple(listener.left_out.values()),
            ran_out_of_time=listener.stops or bool(listener.skipped) or spent > _CUT_SHARE[recipe.bagged] * budget,
        )
    on_event(FitEvent(kind="fit_finished", metric=metric, model=result.best_model, fit_seconds=result.fit_seconds))
    return result


def quickened(fitted: FitResult, rows: DataFrame, *, limit_ms: float) -> FitResult:
    """The same fit with the best of its models that answers one row within the limit. ``rows``: of the training."""
    with quiet_autogluon():
        choice = choose(fitted.predictor, rows, limit_ms=limit_ms)
    threshold = None if fitted.threshold is None else float(fitted.predictor.decision_threshold)
    return replace(fitted, best_model=choice.model, threshold=threshold, fast=choice)


def _seeded(recipe: _Recipe, seed: int, families: Sequence[str] | None) -> dict[str, Any]:
    """The preset's arguments with the seed in every place AutoGluon reads one from.

    Bags seed their fold models themselves (``model_random_seed``, plus the fold's number); a model outside a bag
    only takes its family's own hyperparameter.
    """
    from autogluon.tabular.configs.hyperparameter_configs import get_hyperparameter_config
    from autogluon.tabular.registry import ag_model_registry

    arguments = dict(recipe.fit)
    hyperparameters: dict[str, Any] = get_hyperparameter_config(recipe.hyperparameters)
    # Whose library is not installed, AutoGluon would try, fail and show as a failed model.
    hyperparameters = {family: configs for family, configs in hyperparameters.items() if is_usable(family)}
    if families is not None:
        hyperparameters = {family: hyperparameters.get(family, {}) for family in families}
        arguments.pop("excluded_model_types", None)
    if recipe.bagged:
        arguments["ag_args_ensemble"] = {"fold_fitting_strategy": "sequential_local", "model_random_seed": seed}
        return {**arguments, "hyperparameters": hyperparameters}
    seeded = {}
    for family, configs in hyperparameters.items():
        name = ag_model_registry.key_to_cls(family).seed_name
        variants = configs if isinstance(configs, list) else [configs]
        seeded[family] = [{name: seed, **variant} if name else variant for variant in variants]
    return {**arguments, "hyperparameters": seeded}


def _cut_validation(
    train: DataFrame, target: str, problem_type: ProblemType, seed: int
) -> tuple[DataFrame, DataFrame | None]:
    """The rows to learn from and those to choose by, equal ones on one side; None where the library's own cut does,
    as no row stands twice, or where a class has one row, which it leaves to the learning."""
    from autogluon.core.utils.utils import default_holdout_frac

    is_rare = problem_type is not ProblemType.REGRESSION and train[target].value_counts().min() < 2
    if is_rare or len(set(row_keys(train).tolist())) == len(train):
        return train, None
    share = default_holdout_frac(len(train))
    return split_holdout(train, target=target, problem_type=problem_type, share=share, seed=seed)


def _check_classes(train: DataFrame, *, target: str, problem_type: ProblemType, bagged: bool) -> None:
    """Refuse a class that AutoGluon would drop without a word: bags need two rows of each."""
    if problem_type is ProblemType.REGRESSION or not bagged:
        return
    rare = train[target].value_counts().loc[lambda counts: counts < 2]
    if len(rare):
        raise TrainingFailed(
            f'A class of "{target}" has only one row left for training, and this preset needs two.',
            hint="Use the preset Quick, or add more rows of that class.",
        )


def _check_result(predictor: Any, train: DataFrame, listener: Listener, time_limit: float) -> None:
    if not predictor.model_names(can_infer=True):
        raise _nothing_trained(listener, time_limit)
    if predictor.problem_type == ProblemType.REGRESSION:
        return
    lost = set(train[predictor.label].unique()) - set(predictor.class_labels)
    if lost:
        raise TrainingFailed(
            f'A class of "{predictor.label}" has too few rows to be learned.',
            hint="Merge it with another class, remove its rows, or add more of them.",
        )


def _settle_tie(predictor: Any) -> None:
    """Of models with the very same validation score take the simplest, and of those the first.

    AutoGluon takes the one that has predicted fastest, which may be another one the next time.
    """
    trainer = predictor._trainer
    names = trainer.get_model_names(can_infer=True)
    scores = trainer.get_models_attribute_dict(models=names, attribute="val_score")
    known = {name: score for name, score in scores.items() if score is not None}
    tied = [name for name, score in known.items() if score == max(known.values())]
    if len(tied) < 2 or predictor.model_best not in tied:
        return
    simplest = min(tied, key=lambda name: len(trainer.get_minimum_model_set(name)))
    if simplest == predictor.model_best:
        return
    answer_with(predictor, simplest)


def _explained(error: Exception, listener: Listener, time_limit: float) -> TrainingFailed:
    logger.warning("the fit ended with %s", trace_without_values(error))
    if "No models were trained" in str(error):
        return _nothing_trained(listener, time_limit)
    if isinstance(error, MemoryError):
        return _no_memory()
    return TrainingFailed(
        "The training stopped with an unexpected fault of the learning library.",
        hint="Try another preset; if it happens again, tell the operator the job's id.",
    )


def _nothing_trained(listener: Listener, time_limit: float) -> TrainingFailed:
    reasons = set(listener.failed.values())
    if reasons == {"NoValidFeatures"}:
        return TrainingFailed(
            "No column besides the target holds anything to learn from.",
            hint="Upload a table whose other columns vary from row to row.",
        )
    if any("Memory" in reason for reason in reasons):
        return _no_memory()
    if reasons and not listener.skipped and "TimeLimitExceeded" not in reasons:
        return TrainingFailed(
            "Every model that was tried failed on this table.",
            hint="Look for columns with odd values in the column list, or try another preset.",
        )
    seconds = round(time_limit)
    return TrainingFailed(
        f"No model could be fitted within {seconds} {'second' if seconds == 1 else 'seconds'}.",
        hint="Give it more time, or choose the preset Quick.",
    )


def _no_memory() -> TrainingFailed:
    return TrainingFailed(
        "There was not enough memory to train on this table.",
        hint="Leave out columns, use fewer rows or the preset Quick, or ask the operator for more memory.",
    )
