"""Small frames from scikit-learn's package data, and fits of one model family that take a second or two."""

from pathlib import Path
from typing import Any

from ml import training
from ml.problem import Preset, ProblemType

SEED = 7


def cancer(rows: int = 240) -> Any:
    """Binary, target ``outcome`` ("benign" or "malignant"), three numeric columns."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data[["mean radius", "mean texture", "mean smoothness"]].copy()
    frame["outcome"] = data.target.map({0: "malignant", 1: "benign"})
    return frame.head(rows)


def wine() -> Any:
    """Three classes, target ``cultivar`` (integers)."""
    from sklearn.datasets import load_wine

    data = load_wine(as_frame=True)
    frame = data.data[["alcohol", "flavanoids", "proline"]].copy()
    frame["cultivar"] = data.target
    return frame


def diabetes() -> Any:
    """Regression, target ``progression``."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True, scaled=False)
    frame = data.data[["age", "bmi", "bp", "s5"]].copy()
    frame["progression"] = data.target
    return frame


def fit(train: Any, target: str, problem_type: ProblemType, directory: Path, **changes: Any) -> training.FitResult:
    """A quick fit of the linear model alone, unless told otherwise."""
    arguments: dict[str, Any] = {
        "preset": Preset.QUICK,
        "time_limit": 20,
        "seed": SEED,
        "on_event": lambda event: None,
        "families": ("LR",),
        **changes,
    }
    return training.fit(train, target=target, problem_type=problem_type, directory=directory, **arguments)


def split(frame: Any, target: str, problem_type: ProblemType, **changes: Any) -> tuple[Any, Any]:
    arguments: dict[str, Any] = {"share": 0.2, "seed": SEED, **changes}
    return training.split_holdout(frame, target=target, problem_type=problem_type, **arguments)
