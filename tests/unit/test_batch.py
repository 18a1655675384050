"""A whole file predicted by the child's own code: the rows of the file, and what a form would have said of each."""

import csv
import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import ThreadpoolController

from ml import batch, bundle
from ml.batch_lines import SEPARATOR, Answers, lines
from ml.conformal import Reach, interval_of, set_of
from ml.drift import reference_of
from ml.loading import load
from ml.prediction import check_rows, feature_schema, used_features
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from ml.reading import as_csv
from ml.serving import _Loaded, _predict
from ml.value_formats import PLAIN
from smartml.errors import InvalidInput
from tests.unit.ml_samples import diabetes, fit, split, wine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["wine", "diabetes"])
def stored(request, tmp_path_factory):
    """Directory of an unpacked model, the rows held out, target, problem type."""
    frame, target, problem_type = {
        "wine": (wine(), "cultivar", ProblemType.MULTICLASS),
        "diabetes": (diabetes(), "progression", ProblemType.REGRESSION),
    }[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    train, holdout = split(frame, target, problem_type)
    predictor = fit(train, target, problem_type, directory / "fit").predictor
    types = dict.fromkeys(frame.columns, "numeric")
    features = feature_schema(train, target=target, columns_types=types, used=used_features(predictor))
    model = directory / "model"
    bundle.prepare_for_storage(predictor, model)
    metadata = {
        "format": bundle.FORMAT,
        "versions": bundle.library_versions(),
        "features": [feature.as_dict() for feature in features],
        "problem_type": problem_type,
    }
    (model / bundle.METADATA).write_text(json.dumps(metadata))
    (directory / "reference.json").write_text(json.dumps(reference_of(train, features)))
    return directory, holdout, target, problem_type


def predict(stored, rows, tmp_path, **changes):
    directory, _, target, _ = stored
    table, result = tmp_path / "table.csv", tmp_path / "result.csv"
    table.write_bytes(as_csv(rows))
    said = []
    request = {
        "model": str(directory / "model"),
        "table": str(table),
        "rows": len(rows) - 1,
        "result": str(result),
        "formats": asdict(PLAIN),
        "reach": {"level": 0.9, "reach": 0.6},
        "target": target,
        "reference": str(directory / "reference.json"),
        **changes,
    }
    summary = batch.carry_out(request, said.append)
    with result.open(newline="") as file:
        return summary, list(csv.reader(file)), said


def test_a_file_is_predicted_as_a_form_would(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "PART_ROWS", 10)
    directory, holdout, target, problem_type = stored
    names = [str(name) for name in holdout.columns]
    cells = [[str(value) for value in row] for row in holdout.itertuples(index=False)]
    cells[1][0], cells[2][0], cells[3][1] = "no number", "", "1e9"
    summary, written, said = predict(stored, [names, *cells], tmp_path)
    assert [row[: len(names)] for row in written] == [names, *cells]
    assert summary["rows"] == len(cells)
    assert summary["odd_rows"] == sum(row[-1] != "" for row in written[1:]) >= 3
    assert any("rows predicted" in each["stage"] for each in said)

    loaded = load(directory / "model")
    is_regression = problem_type is ProblemType.REGRESSION
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    for row in rows:
        del row[target]
    checked = check_rows(loaded.features, rows)
    with quiet_autogluon():
        answers = _predict(
            _Loaded(loaded.predictor, loaded.features, is_regression, 0, ThreadpoolController()), checked.rows
        )
    reach = Reach(level=0.9, reach=0.6)
    header = written[0]
    for row, answer, about in zip(written[1:], answers, checked.findings, strict=True):
        found = dict(zip(header, row, strict=True))
        assert found["findings"] == " ".join(each.message for each in about)
        if is_regression:
            assert float(found["prediction"]) == answer["prediction"]
            bounds = interval_of(answer["prediction"], reach)
            assert [float(found[f"prediction_{end}"]) for end in ("low", "high")] == [bounds.low, bounds.high]
            continue
        assert found["prediction"] == answer["prediction"]
        shares = answer["probabilities"]
        assert {name: float(found[f"probability_{name}"]) for name in shares} == shares
        assert found["prediction_set"] == " | ".join(set_of(shares, reach).classes)
    score = summary["score"]
    assert (score["rows"], score["known_rows"], score["other_rows"]) == (len(cells), len(cells), 0)
    assert score["interval"][0] < score["score"] < score["interval"][1] or not is_regression
    if not is_regression:
        right = [
            row[names.index(target)] == dict(zip(header, row, strict=True))["prediction"] for row in written[1:]
        ]
        assert score["score"] == pytest.approx(sum(right) / len(right)) or score["metric"] != "accuracy"
    assert summary["drift"]["rows"] == len(cells)


def test_a_strict_file_is_refused_without_a_word_of_its_values(stored, tmp_path):
    _, holdout, target, _ = stored
    names = [str(name) for name in holdout.columns if name != target]
    cells = [[str(value) for value in row] for row in holdout[names].head(3).itertuples(index=False)]
    cells[1][0] = "secret"
    with pytest.raises(InvalidInput) as refused:
        predict(stored, [names, *cells], tmp_path, mode="strict")
    assert "Row 2" in refused.value.message
    assert names[0] in refused.value.message
    assert "secret" not in refused.value.message
    with pytest.raises(InvalidInput, match="columns are not those"):
        predict(stored, [["other", *names[1:]], *cells[:1]], tmp_path, mode="strict")
    summary, written, _ = predict(stored, [["other", *names[1:]], *cells[2:]], tmp_path, reference=None, reach=None)
    assert {each["column"] for each in summary["table_findings"]} == {"other", names[0]}
    assert (summary["drift"], summary["score"], len(written)) == (None, None, 2)


@pytest.mark.parametrize("reach", [0.0, 0.35, 0.6, 0.9, 1.0])
def test_a_file_names_the_likely_classes_as_a_form_does_where_there_are_none_too(reach):
    classes = ("benign", "malignant", "unclear")
    shares = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], 200)
    answers = Answers(labels=shares.argmax(axis=1), shares=shares)
    texts = [pa.array([str(number) for number in range(len(shares))])]
    limit = Reach(level=0.9, reach=reach)
    written = bytes(lines(texts, answers, classes, limit, [None] * len(shares))).decode()
    found = [row[-2] for row in csv.reader(written.splitlines())]
    expected = [set_of(dict(zip(classes, row.tolist(), strict=True)), limit).classes for row in shares]
    assert found == [SEPARATOR.join(names) for names in expected]
    assert ("" in found) == (reach in (0.0, 0.35, 0.6))
