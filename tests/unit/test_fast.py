"""The best model that is quick enough, and what is said of the one that was given up."""

import pytest

from ml import bundle, fast
from ml.fast import FastChoice
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from models_app.setup_presenter import quickness
from tests.unit.ml_samples import cancer, fit, split


@pytest.mark.slow
def test_the_best_of_the_quick_models_is_kept_alone_and_without_one_the_quickest(tmp_path, monkeypatch):
    train, holdout = split(cancer(), "outcome", ProblemType.BINARY)
    fitted = fit(train, "outcome", ProblemType.BINARY, tmp_path / "fit", families=("GBM", "LR", "KNN"))
    predictor, rows = fitted.predictor, train.drop(columns="outcome")
    best = fitted.best_model
    with quiet_autogluon():
        assert 0 < fast.one_row_ms(predictor, best, rows, limit_ms=1e6) < 1e5
        unlimited = fast.choose(predictor, rows, limit_ms=1e6)
        assert (unlimited.model, unlimited.best, unlimited.is_met) == (best, best, True)

        scores = fast._validation_scores(predictor)
        others = sorted(set(scores) - {best, "WeightedEnsemble_L2"}, key=scores.__getitem__)
        times = {**dict.fromkeys(scores, 40.0), **dict.fromkeys(others, 4.0), others[0]: 2.0}
        monkeypatch.setattr(fast, "one_row_ms", lambda predictor, name, rows, *, limit_ms: times[name])
        quick = fast.choose(predictor, rows, limit_ms=5)
        assert (quick.is_met, quick.best, quick.best_ms) == (True, best, 40.0)
        assert scores[quick.model] == max(scores[name] for name in others)
        assert str(predictor.model_best) == quick.model
        assert FastChoice.from_dict({**{n: getattr(quick, n) for n in FastChoice.__dataclass_fields__}}) == quick

        none = fast.choose(predictor, rows, limit_ms=1)
        assert (none.is_met, none.model, none.model_ms) == (False, others[0], 2.0)
        stored = bundle.prepare_for_storage(predictor, tmp_path / "stored")
        models = {path.name for path in (stored / "predictor/models").iterdir() if path.is_dir()}
        assert models == {others[0]}
        assert len(predictor.predict(holdout)) == len(holdout)


def test_what_was_given_up_is_said():
    choice = {"limit_ms": 5.0, "is_met": True, "model": "LightGBM", "model_ms": 3.14159, "model_score": 0.9}
    choice |= {"best": "WeightedEnsemble_L2", "best_ms": 40.0, "best_score": 0.91}
    said = quickness(FastChoice(**choice))
    assert said == (
        "`LightGBM` takes 3.14 ms for one row, where 5 ms were asked for. Given up for it: `WeightedEnsemble_L2`, "
        "with a validation score of 0.91 instead of 0.9 and 40 ms for one row"
    )
    assert quickness(FastChoice(**{**choice, "best": "LightGBM"})).endswith("it is the best model besides")
    slow = quickness(FastChoice(**{**choice, "is_met": False}))
    assert slow.startswith("no model answers one row within 5 ms; `LightGBM` is the quickest, 3.14 ms. Given up")
