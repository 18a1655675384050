"""Whether AutoGluon's distilled models would be worth having where answers must be quick (``ml.fast``).

For each table and seed the Quick preset is fitted, and ``distill`` makes students of its best model, one family
after the other. Printed are each model's validation score, by which the app would choose, its score on rows held
out, what one row costs (of computing, so that a busy machine does not matter), what is wrong with its answers
(probabilities outside of 0 to 1, one round of trees), and below which limits a student would be taken.

    AG_CPU_COUNT=1 python -m benchmarks.students FILE:TARGET:TYPE [FILE:TARGET:TYPE:COLUMN,COLUMN] --rows 4000

TYPE is binary, multiclass or regression; the columns are left out. Give it so much time that no fit is cut.
"""

import argparse
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml import fast, training
from ml.problem import Preset, ProblemType
from ml.quiet import quiet_autogluon

FAMILIES = ("GBM", "CAT", "NN_TORCH")
_TIMED = 41


@dataclass(frozen=True, kw_only=True)
class _Model:
    name: str
    validation: float  # AutoGluon's sign: more is better
    holdout: float
    cost_ms: float
    fault: str

    @property
    def is_student(self) -> bool:
        return "_DSTL" in self.name


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.students", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="FILE:TARGET:TYPE[:COLUMNS]")
    parser.add_argument("--rows", type=int, default=0, help="a sample of so many rows; 0: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=120, help="for the fit, and for each family of students")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="of the students")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    if not asked.tables:
        print("No table was given: see python -m benchmarks.students --help")
    for table in asked.tables:
        path, target, kind, *dropped = table.split(":")
        frame = pd.read_csv(path).drop(columns=dropped[0].split(",") if dropped else [])
        for seed in asked.seeds:
            some = frame.sample(asked.rows, random_state=seed) if 0 < asked.rows < len(frame) else frame
            print(f"-- {Path(path).name}, {target}, {len(some)} rows, seed {seed}, load {os.getloadavg()[0]:.1f}")
            _once(some, target, ProblemType(kind), seed=seed, seconds=asked.seconds, families=asked.families)


def _once(
    frame: pd.DataFrame, target: str, kind: ProblemType, *, seed: int, seconds: float, families: list[str]
) -> None:
    train, holdout = training.split_holdout(frame, target=target, problem_type=kind, share=0.2, seed=seed)
    with tempfile.TemporaryDirectory(prefix="students_") as scratch:
        fitted = training.fit(
            train,
            target=target,
            problem_type=kind,
            preset=Preset.QUICK,
            time_limit=seconds,
            directory=Path(scratch) / "predictor",
            seed=seed,
            on_event=lambda event: None,
        )
        cut = ", out of time" if fitted.ran_out_of_time else ""
        print(f"fitted in {fitted.fit_seconds:.0f} s{cut}", flush=True)
        with quiet_autogluon():
            for family in families:
                _distil(fitted, family, seed=seed, seconds=seconds)
            models = [
                _measured(fitted.predictor, name, holdout) for name in fast._validation_scores(fitted.predictor)
            ]
    for model in sorted(models, key=lambda model: -model.validation):
        print(
            f"  {model.name:34} validation {model.validation:<11.6g} held out {model.holdout:<11.6g} "
            f"one row {model.cost_ms:6.2f} ms {model.fault}"
        )
    _say_choices(models, teacher=next(model for model in models if model.name == fitted.best_model))


def _distil(fitted: training.FitResult, family: str, *, seed: int, seconds: float) -> None:
    """By the trainer, which can be told the teacher: the predictor would take an earlier student that is better."""
    trainer = fitted.predictor._trainer
    np.random.seed(seed)  # the rows are made up with this one
    begun = time.monotonic()
    try:
        made = trainer.distill(
            teacher=fitted.best_model,
            hyperparameters={family: {}},
            time_limit=seconds,
            models_name_suffix=family,
            verbosity=0,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is asked here
        made = [repr(error)]
    fitted.predictor._learner.save_trainer(trainer=trainer)
    taken = time.monotonic() - begun
    print(f"{family}: {', '.join(made) or 'none'} after {taken:.0f} of {seconds:.0f} s", flush=True)


def _measured(predictor: Any, name: str, holdout: pd.DataFrame) -> _Model:
    score = predictor.evaluate(holdout, model=name, silent=True)[predictor.eval_metric.name]
    return _Model(
        name=name,
        validation=fast._validation_scores(predictor)[name],
        holdout=float(score),
        cost_ms=_cost_ms(predictor, name, holdout.head(1)),
        fault=_fault(predictor, name, holdout),
    )


def _cost_ms(predictor: Any, name: str, row: pd.DataFrame) -> float:
    predictor.persist([name], max_memory=None)
    predictor.predict(row, model=name)
    taken = []
    for _ in range(_TIMED):
        begun = time.process_time()
        predictor.predict(row, model=name)
        taken.append(1000 * (time.process_time() - begun))
    predictor.unpersist()
    return min(taken)  # what else the machine does makes it more, never less


def _fault(predictor: Any, name: str, holdout: pd.DataFrame) -> str:
    found = []
    if predictor.problem_type != ProblemType.REGRESSION:
        said = predictor.predict_proba(holdout, model=name).to_numpy()
        outside = int(((said < 0) | (said > 1)).any(axis=1).sum())
        if outside:
            found.append(f"{outside} of {len(said)} rows outside of 0 to 1, from {said.min():.3f}")
    if predictor._trainer.load_model(name).params_trained.get("num_boost_round", 2) < 2:
        found.append("one round of trees")
    return "; ".join(found)


def _say_choices(models: list[_Model], *, teacher: _Model) -> None:
    """For every limit under which the best model of the fit is too slow: whether a student would be the best."""
    costs = sorted({model.cost_ms for model in models if model.cost_ms < teacher.cost_ms})
    said = False
    for limit, above in zip(costs, [*costs[1:], teacher.cost_ms], strict=False):
        quick = [model for model in models if model.cost_ms <= limit]
        best = max(quick, key=lambda model: model.validation)
        fitted = [model for model in quick if not model.is_student]
        if not best.is_student:
            continue
        said = True
        other = max(fitted, key=lambda model: model.validation) if fitted else None
        instead = "no model" if other is None else _scores(other)
        print(f"  from {limit:.2f} to {above:.2f} ms: {_scores(best)} instead of {instead}")
    if not said:
        print(f"  no student would be taken at any limit below the {teacher.cost_ms:.2f} ms of {teacher.name}")


def _scores(model: _Model) -> str:
    return f"{model.name} ({model.validation:.6g}, held out {model.holdout:.6g})"


if __name__ == "__main__":
    main()
