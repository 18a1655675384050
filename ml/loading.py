"""An unpacked model into memory, in a process that holds no secret: from here on its pickles are opened."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml import bundle
from ml.prediction import Feature
from ml.problem import ProblemType

# Imported before a predictor's memory is measured, or the first one would be charged for the library.
_LIBRARY_OF_MODEL = {"LightGBM": "lightgbm", "CatBoost": "catboost", "XGBoost": "xgboost", "NeuralNet": "torch"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A predictor in memory, and the features it asks for. ``unused`` are the other columns of its training."""

    predictor: Any
    features: tuple[Feature, ...]
    problem_type: ProblemType
    unused: frozenset[str] = frozenset()


def import_libraries(home: Path) -> None:
    """The libraries that the models of an unpacked predictor need."""
    for name, library in _LIBRARY_OF_MODEL.items():
        if any(home.glob(f"models/{name}*")):
            importlib.import_module(library)


def load(directory: Path) -> Loaded:
    """What ``ml.bundle.unpack`` has made, loaded and kept in memory. Call it within ``quiet_autogluon``."""
    metadata = bundle.read_metadata(directory)
    bundle.check_versions(metadata)
    from autogluon.tabular import TabularPredictor

    home = directory / bundle.PREDICTOR
    # check_versions has decided; AutoGluon's own check would refuse patch releases.
    predictor = TabularPredictor.load(str(home), verbosity=1, require_version_match=False)
    predictor.persist(models="best", max_memory=None)
    features = tuple(Feature.from_dict(feature) for feature in metadata["features"])
    return Loaded(predictor, features, ProblemType(metadata["problem_type"]), bundle.unused_columns(metadata))
