"""The serving process, driven over its pipes as the web process drives it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from ml import bundle, quick_row, serving
from ml.evaluation import evaluate
from ml.prediction import check_row, feature_schema, used_features
from ml.problem import Preset, ProblemType
from tests.unit.ml_samples import diabetes, fit, split, wine

ROOT = Path(__file__).resolve().parents[2]
BUDGET = 2**30

pytestmark = pytest.mark.slow


class Child:
    """``python -m ml.serving`` with an environment that holds nothing of this process's."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ml.serving"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def send(self, line: bytes):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, **request):
        return self.send(json.dumps(request).encode())

    def close(self):
        output, errors = self.process.communicate(timeout=20)
        return output, errors.decode()


@pytest.fixture(scope="module")
def shared_child():
    child = Child()
    yield child
    output, _ = child.close()
    assert output == b""
    assert child.process.returncode == 0


@pytest.fixture
def child(shared_child):
    """One process for all tests (its imports take seconds), with nothing loaded."""
    for key in shared_child.ask(op="status")["keys"]:
        shared_child.ask(op="unload", key=key)
    return shared_child


def mixed_table() -> pd.DataFrame:
    """A table of every kind of column, as text: what a person's CSV holds. Target ``bought``."""
    rng = np.random.default_rng(5)
    rows = 300
    age = rng.integers(18, 80, rows)
    member = rng.random(rows) < 0.5
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, rows), unit="D")
    frame = pd.DataFrame(
        {
            "age": age.astype(str),
            "visits": np.where(rng.random(rows) < 0.2, "", rng.integers(0, 9, rows).astype(str)),
            "spent": np.where(rng.random(rows) < 0.1, "", np.round(rng.gamma(2, 30, rows), 2).astype(str)),
            "city": rng.choice(["Leeds", "York", "Hull", ""], rows),
            "member": np.where(member, "yes", "no"),
            "trial": np.where(rng.random(rows) < 0.1, "", rng.choice(["true", "false"], rows)),
            "joined": day.strftime("%Y-%m-%d"),
            "code": np.char.zfill(rng.integers(0, 40, rows).astype(str), 5),
        }
    )
    frame["bought"] = np.where((age > 45) ^ member ^ (rng.random(rows) < 0.1), "yes", "no")
    return frame


def store(frame, target, problem_type, types, home, **changes):
    """Fit, cut down, pack and unpack, as a training and a first prediction do. Returns the predictor too."""
    train, holdout = split(frame, target, problem_type)
    result = fit(train, target, problem_type, home / "fit", **changes)
    evaluation = evaluate(result.predictor, train=train, holdout=holdout, target=target, problem_type=problem_type)
    features = feature_schema(train, target=target, columns_types=types, used=used_features(result.predictor))
    metadata = bundle.build_metadata(
        target=target, problem_type=problem_type, evaluation=evaluation, features=features, unused_features=()
    )
    bundle.pack(bundle.prepare_for_storage(result.predictor, home / "out"), home / "m.zip", metadata=metadata)
    bundle.unpack(home / "m.zip", home / "model", sha256=bundle.sha256_of(home / "m.zip"))
    return result.predictor, features, holdout


@pytest.fixture(scope="module")
def wines(tmp_path_factory):
    home = tmp_path_factory.mktemp("wines")
    return store(wine(), "cultivar", ProblemType.MULTICLASS, {}, home), home / "model"


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    home = tmp_path_factory.mktemp("patients")
    return store(diabetes(), "progression", ProblemType.REGRESSION, {}, home), home / "model"


@pytest.fixture(scope="module")
def customers(tmp_path_factory):
    """A model trained on what ``read_frame`` makes of a CSV, with rows of the file that it has not seen."""
    from ml.profiling import full_schema, read_frame

    home = tmp_path_factory.mktemp("customers")
    mixed_table().to_csv(home / "table.csv", index=False, lineterminator="\n")
    schema = full_schema(home / "table.csv")
    frame = read_frame(home / "table.csv", schema)
    types = {column.name: str(column.type) for column in schema}
    stored = store(frame, "bought", ProblemType.BINARY, types, home, families=("CAT", "LR"))
    return stored, home / "model", home / "table.csv", frame


def rows_of(features, frame):
    return [{feature.name: row[feature.name] for feature in features} for row in frame.to_dict("records")]


def test_answers_are_the_predictors_own(child, wines, patients):
    for key, ((predictor, features, holdout), directory) in {"w": wines, "p": patients}.items():
        assert child.ask(op="load", key=key, directory=str(directory), budget_bytes=BUDGET)["loaded"] == key
        answers = child.ask(op="predict", key=key, rows=rows_of(features, holdout))["predictions"]
        if key == "w":
            shares = predictor.predict_proba(holdout)
            assert [answer["prediction"] for answer in answers] == predictor.predict(holdout).astype(str).tolist()
            found = [[answer["probabilities"][name] for name in ("0", "1", "2")] for answer in answers]
            np.testing.assert_allclose(found, shares.to_numpy(), rtol=1e-5)
        else:
            np.testing.assert_allclose(
                [answer["prediction"] for answer in answers], predictor.predict(holdout).to_numpy(), rtol=1e-5
            )
            assert {answer["probabilities"] for answer in answers} == {None}


def test_typed_rows_are_predicted_as_the_file_is(child, customers):
    """Dates, booleans, gaps, codes with leading zeros: text by text equal to the frame read from the file."""
    (predictor, features, _), directory, path, frame = customers
    text = pd.read_csv(path, dtype=str, keep_default_na=False).head(60)
    checked = [check_row(features, row) for row in text.drop(columns="bought").to_dict("records")]
    assert not [finding for _, findings in checked for finding in findings]
    rows = [row for row, _ in checked]
    child.ask(op="load", key="c", directory=str(directory), budget_bytes=BUDGET)
    answers = child.ask(op="predict", key="c", rows=rows)["predictions"]
    one_by_one = [child.ask(op="predict", key="c", rows=[row])["predictions"][0] for row in rows]
    shares = predictor.predict_proba(frame.head(60))
    names = [str(name) for name in shares.columns]
    found = [[answer["probabilities"][name] for name in names] for answer in answers]
    np.testing.assert_allclose(found, shares.to_numpy(), rtol=1e-5)
    # One row goes a shorter way (``ml.quick_row``), and must come to the same in every digit.
    assert quick_row.learn(predictor, features) is not None
    assert one_by_one == answers


def test_the_directory_may_go_once_loaded(child, wines, tmp_path):
    (_, features, holdout), directory = wines
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    child.ask(op="load", key="w", directory=str(copy), budget_bytes=BUDGET)
    shutil.rmtree(copy)
    rows = rows_of(features, holdout)
    assert len(child.ask(op="predict", key="w", rows=rows)["predictions"]) == len(rows)


def test_the_model_holds_neither_training_rows_nor_this_apps_code(patients):
    files = [path for path in patients[1].rglob("*") if path.is_file()]
    assert not [path for path in files if "data" in path.relative_to(patients[1]).parts]
    assert not [path for path in files if b"ml.callbacks" in path.read_bytes()]


@pytest.mark.parametrize("families", [("CAT",), ("XGB",)])
def test_other_families_live_without_their_directory(child, tmp_path, families):
    changes = {"families": families, "time_limit": 30}
    _, features, holdout = store(wine(), "cultivar", ProblemType.MULTICLASS, {}, tmp_path, **changes)
    child.ask(op="load", key="m", directory=str(tmp_path / "model"), budget_bytes=BUDGET)
    shutil.rmtree(tmp_path / "model")
    answers = child.ask(op="predict", key="m", rows=rows_of(features, holdout))
    assert len(answers["predictions"]) == len(holdout)


def test_a_bagged_model_lives_without_its_directory(child, tmp_path):
    changes = {"preset": Preset.BEST, "time_limit": 30}
    _, features, holdout = store(wine(), "cultivar", ProblemType.MULTICLASS, {}, tmp_path, **changes)
    child.ask(op="load", key="m", directory=str(tmp_path / "model"), budget_bytes=BUDGET)
    shutil.rmtree(tmp_path / "model")
    answers = child.ask(op="predict", key="m", rows=rows_of(features, holdout))
    assert len(answers["predictions"]) == len(holdout)


def test_the_least_recently_used_is_evicted(child, wines, patients):
    (_, features, holdout), directory = wines
    row = rows_of(features, holdout)[:1]
    first = child.ask(op="load", key="a", directory=str(directory), budget_bytes=BUDGET)
    assert first["bytes"] > 0
    assert first["evicted"] == []
    child.ask(op="load", key="b", directory=str(patients[1]), budget_bytes=BUDGET)
    child.ask(op="predict", key="a", rows=row)
    assert child.ask(op="status")["keys"] == ["b", "a"]
    third = child.ask(op="load", key="c", directory=str(directory), budget_bytes=1)
    assert third["evicted"] == ["b", "a"]
    assert child.ask(op="predict", key="a", rows=row)["error"]["code"] == "not_loaded"
    assert "predictions" in child.ask(op="predict", key="c", rows=row)
    assert child.ask(op="unload", key="c") == {"unloaded": True}
    assert child.ask(op="status") == {"keys": [], "bytes": 0}


def test_a_failing_request_fails_alone(child, wines):
    (_, features, holdout), directory = wines
    child.ask(op="load", key="w", directory=str(directory), budget_bytes=BUDGET)
    good = rows_of(features, holdout)[:1]
    failures = {
        "invalid_input": [
            child.send(b"this is not JSON"),
            child.send(b"[1, 2]"),
            child.ask(op="dance"),
            child.ask(op="predict", key="w", rows=[{"alcohol": "strong"}]),
        ],
        "not_loaded": [child.ask(op="predict", key="never", rows=good)],
        "integrity_error": [child.ask(op="load", key="x", directory="/nowhere", budget_bytes=1)],
        "prediction_failed": [child.ask(op="predict", key="w"), child.ask(op="predict", key="w", rows=[1])],
    }
    for code, answers in failures.items():
        for answer in answers:
            assert answer["error"]["code"] == code
            assert answer["error"]["message"].endswith(".")
    assert "predictions" in child.ask(op="predict", key="w", rows=good)


def test_another_version_is_refused_before_unpickling(child, wines, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(wines[1], copy)
    metadata = json.loads((copy / "metadata.json").read_text())
    metadata["versions"]["autogluon.tabular"] = "0.1.0"
    (copy / "metadata.json").write_text(json.dumps(metadata))
    (copy / "predictor/learner.pkl").write_bytes(
        b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    )
    answer = child.ask(op="load", key="w", directory=str(copy), budget_bytes=BUDGET)
    assert answer["error"]["code"] == "version_mismatch"
    assert not (tmp_path / "owned").exists()


def test_few_rows_keep_to_one_thread(monkeypatch):
    seen = []
    monkeypatch.setattr(serving, "answer_rows", lambda *_, **__: seen.append(threads()) or [])

    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    entry = serving._Loaded(None, (), False, 0, ThreadpoolController())
    serving._predict(entry, [{}])
    serving._predict(entry, [{}] * 1000)
    assert set(seen[0]) == {1}
    assert seen[1] == threads()


def test_request_ids_come_back(child):
    assert child.ask(op="status", id=41)["id"] == 41
    assert child.ask(op="dance", id="x")["id"] == "x"


def test_it_ends_with_its_input():
    child = Child()
    assert child.ask(op="status") == {"keys": [], "bytes": 0}
    output, _ = child.close()
    assert output == b""
    assert child.process.returncode == 0


def test_it_ends_when_its_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "command, pipe = [sys.executable, '-m', 'ml.serving'], subprocess.PIPE\n"
            "p = subprocess.Popen(command, stdin=pipe, stdout=pipe)\n"
            'p.stdin.write(b\'{"op": "status"}\\n\'); p.stdin.flush(); p.stdout.readline()\n'
            "print(p.pid, flush=True); time.sleep(60)\n",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        signal.sigtimedwait([], 0.1)
    pytest.fail("the serving process outlived its parent")


def test_what_libraries_print_does_not_reach_the_answers(tmp_path):
    script = (
        "import os, sys, ml.serving as serving\n"
        "def noisy(predictors, request):\n"
        "    print('hello from a library'); os.write(1, b'hello from C\\n'); return {'fine': True}\n"
        "serving.answer = noisy\n"
        "serving.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input=b'{"op": "x"}\n', capture_output=True, check=True
    )
    assert done.stdout == b'{"fine": true}\n'
    assert b"hello from C" in done.stderr
