"""What can be chosen for a training, and that the libraries know it under these names."""

import numpy as np
import pytest

from ml import options
from ml.metrics import ClassAnswers, NumberAnswers
from ml.options import FAMILIES, METRICS, model_keys, offered_families, usual_metric
from ml.problem import ProblemType


def test_every_metric_is_one_that_is_computed_and_every_computed_one_is_offered():
    two, three = np.array([0, 1]), np.eye(3)
    computed = {
        ProblemType.BINARY: ClassAnswers(two, two, np.eye(2), 1).names,
        ProblemType.MULTICLASS: ClassAnswers(np.arange(3), np.arange(3), three, None).names,
        ProblemType.REGRESSION: NumberAnswers(two, two).names,
    }
    for kind, names in METRICS.items():
        assert set(names) == set(computed[kind])
        assert usual_metric(kind) == names[0]


@pytest.mark.parametrize("kind", ProblemType)
def test_autogluon_knows_every_metric_by_its_name(kind):
    from autogluon.core.metrics import get_metric

    for name in METRICS[kind]:
        assert get_metric(name, problem_type=kind.value).name == name


def test_autogluon_knows_every_family():
    from autogluon.tabular.registry import ag_model_registry

    assert {key for family in FAMILIES for key in family.libraries} <= set(ag_model_registry.keys)


def test_only_what_is_installed_and_allowed_is_offered(monkeypatch):
    monkeypatch.setattr(options, "_is_installed", lambda library: library in ("lightgbm", "sklearn", "torch"))
    assert [family.name for family in offered_families()] == [
        "lightgbm",
        "neural_nets",
        "forests",
        "linear",
        "neighbours",
    ]
    assert [family.name for family in offered_families(["GBM", "CAT", "RF"])] == ["lightgbm", "forests"]
    assert model_keys(["forests", "neural_nets", "catboost"]) == ("NN_TORCH", "RF", "XT")
    assert model_keys(["forests"], ["RF"]) == ("RF",)
    assert model_keys([], ["GBM"]) == ("GBM",)
    assert model_keys([]) == ()
    assert not options.is_usable("CAT")
    assert options.is_usable("SOMETHING_ELSE")
