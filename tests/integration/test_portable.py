"""A trained model taken away: downloaded, unpacked in an environment that knows no app, and asked there."""

import csv
import io
import json
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from django.urls import reverse

from datasets import services as datasets
from datasets.activities import ActivityStatus
from datasets.tasks import run_activity
from ml.portable import MANIFEST
from ml.prediction import check_rows
from ml.twin import answers
from models_app import batch_intake, batches, services, twins
from models_app.prediction_form import PredictionForm
from models_app.records import JobSettings, JobStatus
from models_app.tasks import run_training
from storage.ids import new_id
from tests.factories import stored_dataset, stored_model
from tests.training import ROOT, model_blobs, use_one_family, workspaces
from tests.web.api_client import Program

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CITIES = ("Rome", "Oslo", "Lima, the city", 'Köln "am Rhein"')
ROWS = "age,income,city,joined,member,left\n" + "".join(
    f"{20 + i % 50},{'' if i % 11 == 0 else 1000 + 37.25 * (i % 23)},"
    f'"{CITIES[i % 4].replace(chr(34), chr(34) * 2)}",2023-{1 + i % 12:02}-{1 + i % 28:02},'
    f"{'yes' if i % 3 else 'no'},{'stays' if (i % 50 > 24) != (i % 4 == 0) else 'goes'}\n"
    for i in range(300)
)
NASTY = [
    {"age": "31", "income": "1500.5", "city": "Rome", "joined": "2023-03-04", "member": "yes"},
    {"age": " 31.0 ", "income": "", "city": "oslo", "joined": "2023-03-04 10:00", "member": "TRUE"},
    {"age": "many", "income": "1e400", "city": "=cmd|' /C calc'!A0", "joined": "4 March", "member": "perhaps"},
    {"age": "", "income": "-7", "city": "", "joined": "", "member": ""},
    {"age": "999999999999", "income": "NaN", "city": CITIES[3], "joined": "1950-01-01", "member": "no"},
    {"age": "44.4", "income": "n/a", "city": CITIES[2], "joined": "2300-01-01", "member": "0"},
]
# Run in the bundle: what a program gets, and what it has imported for it.
PROGRAM = """
import json, sys
from predict import predict
rows = json.load(sys.stdin)
answers = [
    (a.prediction, a.probabilities, [f.message for f in a.findings], list(a.likely.classes)) for a in predict(rows)
]
import smartml
print(json.dumps([answers, smartml.__file__, sorted(sys.modules), sys.path]))
"""


@pytest.fixture
def model(stack, user, settings, monkeypatch):
    use_one_family(settings, monkeypatch)
    job = services.request_training(
        user_id=user.id,
        dataset=stored_dataset(user.id, content=ROWS, file_name="people.csv"),
        job_id=new_id(),
        settings=JobSettings(target="left", time_limit=20, answer_ms=0.1),
        model_name="Leavers",
        model_id=None,
    )
    assert run_training(job.id) == JobStatus.SUCCEEDED
    return services.get_model(user_id=user.id, model_id=job.model_id)


@pytest.fixture
def python(tmp_path) -> Path:
    """A virtual environment of its own, with nothing in it."""
    venv.create(tmp_path / "venv", with_pip=False)
    return tmp_path / "venv" / "bin" / "python"


def install(python, directory) -> None:
    """What ``pip install -r requirements.txt`` does, without an index: the distributions it names, in these
    versions, and no others, file by file from where the app has them."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    lines = (directory / "requirements.txt").read_text().splitlines()
    for name, version in (line.split("==") for line in lines if "==" in line):
        found = metadata.distribution(name)
        assert found.version.partition("+")[0] == version
        for file in found.files:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                (packages / file).symlink_to(file.locate())
    # Nothing that these need is missing, or there in a version that does not suit them.
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def run(python, directory, *arguments, given=b""):
    return subprocess.run(
        [python, *arguments], cwd=directory, env={}, input=given, capture_output=True, timeout=300, check=False
    )


def as_csv(rows) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def test_a_bundle_answers_as_the_app_does_in_an_environment_without_it(
    stack, user, model, client_for, python, tmp_path
):
    before = model_blobs(stack)
    response = client_for(user).get(reverse("models:bundle", args=[model.id, 1]))
    assert (response.status_code, response["Content-Type"]) == (200, "application/zip")
    assert "Leavers-v1-portable.zip" in response["Content-Disposition"]
    bundle = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert bundle.testzip() is None
    assert (model_blobs(stack), workspaces()) == (before, [])
    directory = tmp_path / "bundle"
    bundle.extractall(directory)
    listed = set(json.loads((directory / MANIFEST).read_text())["files"])
    assert listed == set(bundle.namelist()) - {MANIFEST}
    assert listed > {
        *("metadata.json", "schema.json", "requirements.txt", "predict.py", "report.html", "README.md"),
        *("Dockerfile", "predictor/predictor.pkl", "lib/ml/prediction.py", "lib/smartml/errors.py"),
    }
    requirements = (directory / "requirements.txt").read_text().splitlines()
    versions = json.loads((directory / "metadata.json").read_text())["versions"]
    for name in ("autogluon-tabular", "pandas", "numpy", "scikit-learn", "lightgbm"):
        assert f"{name}=={versions[name.replace('n-t', 'n.t')]}" in requirements
    assert not [line for line in requirements if line.startswith(("torch", "catboost", "django"))]
    readme = (directory / "README.md").read_text()
    assert "| age | whole number | 20 to 69 |" in readme
    assert "Accuracy" in readme
    # No model is as quick as was asked for: the quickest was kept, and that is said.
    fast = services.model_evaluation(model=model, version=1).setup.fast
    assert (fast.is_met, fast.model) == (False, model.current.base_model)
    assert "no model answers one row within 0.1 ms" in (directory / "report.html").read_text()
    folders = {
        name.split("/")[2] for name in listed if name.startswith("predictor/models/") and name.count("/") > 2
    }
    assert fast.model in folders

    # From a program.
    install(python, directory)
    expected = services.predict_rows(model=model, version=1, rows=NASTY).answers
    done = run(python, directory, "-c", PROGRAM, given=json.dumps(NASTY).encode())
    assert done.returncode == 0, done.stderr.decode()
    answers, home, modules, path = json.loads(done.stdout)
    assert answers == [
        [a.prediction, a.probabilities, [f.message for f in a.findings], list(a.likely.classes)] for a in expected
    ]
    assert home == str(directory / "lib/smartml/__init__.py")
    assert not {"django", "pymongo", "azure", "torch", "catboost", "models_app"} & set(modules)
    assert str(ROOT) not in path

    # As a command; the file has a column more.
    (tmp_path / "rows.csv").write_bytes(as_csv([{"note": "-1", **row, "left": "goes"} for row in NASTY]))
    done = run(python, tmp_path, directory / "predict.py", "rows.csv", "--for-spreadsheets")
    assert done.returncode == 0, done.stderr.decode()
    assert 'does not use "note"' in done.stderr.decode()
    assert '"left"' not in done.stderr.decode()
    lines = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [line["prediction"] for line in lines] == [a.prediction for a in expected]
    assert [float(line["probability_goes"]) for line in lines] == [a.probabilities["goes"] for a in expected]
    assert [line["findings"] for line in lines] == [" ".join(f.message for f in a.findings) for a in expected]
    assert [line["city"] for line in lines] == [
        "'" + row["city"] if row["city"].startswith("=") else row["city"] for row in NASTY
    ]
    assert {line["note"] for line in lines} == {"-1"}

    # Strict: refused before the first answer.
    done = run(python, tmp_path, directory / "predict.py", "-", "--strict", given=as_csv(NASTY))
    assert (done.returncode, done.stdout) == (1, b"")
    assert "row 3, age: " in done.stderr.decode()

    # A file that was changed is not opened.
    with (directory / "predictor/predictor.pkl").open("ab") as file:
        file.write(b".")
    done = run(python, tmp_path, directory / "predict.py", "rows.csv")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "predictor/predictor.pkl is not the file that was packed" in done.stderr.decode()


def test_form_program_file_and_bundle_give_a_row_the_same_answer(stack, user, model, client_for, python, tmp_path):
    def said(answer, findings):
        return answer["prediction"], list(answer["probabilities"].values()), findings

    # As nobody would mistype: what the form refuses at its field, the other three find in the row.
    rows = [row for row in NASTY if row["age"] != "many" and row["joined"] != "2300-01-01"]
    rows.append(rows[0] | {"age": "120", "city": "Atlantis", "joined": "2031-01-01"})
    features = services.model_features(model=model, version=1)

    answer = Program(user).post(f"/models/{model.id}/predict", {"rows": rows}).json()
    by_program = [
        said(each, " ".join(finding["message"] for finding in each["findings"])) for each in answer["predictions"]
    ]

    by_form = []
    address = reverse("models:predict", args=[model.id, 1])
    for row in rows:
        sent = PredictionForm.filled(row, features=features, whole=True).data
        view = client_for(user).post(address, sent | {"all": "1"}).context["prediction"]
        shares = {bar.label: bar.percent / 100 for bar in view.bars}
        by_form.append(
            (
                view.answer,
                [pytest.approx(shares[name]) for name in sorted(shares)],
                " ".join(finding.message for finding in view.findings),
            )
        )

    intake = batch_intake.begin(model=model, version=1, batch_id=new_id(), file_name="rows.csv")
    intake.write(as_csv(rows))
    batch = intake.finish()
    assert run_activity(batch.id) == ActivityStatus.SUCCEEDED
    batch = batches.find(user_id=user.id, model_id=model.id, batch_id=batch.id)
    from_file = b"".join(batches.stream_result(batch, for_spreadsheet=False))

    bundle = b"".join(client_for(user).get(reverse("models:bundle", args=[model.id, 1])).streaming_content)
    zipfile.ZipFile(io.BytesIO(bundle)).extractall(tmp_path / "bundle")
    install(python, tmp_path / "bundle")
    done = run(python, tmp_path, tmp_path / "bundle/predict.py", "-", given=as_csv(rows))
    assert done.returncode == 0, done.stderr.decode()

    by_file, by_bundle = (
        [
            (
                line["prediction"],
                [float(line[f"probability_{name}"]) for name in ("goes", "stays")],
                line["findings"],
            )
            for line in csv.DictReader(io.StringIO(content.decode()))
        ]
        for content in (from_file, done.stdout)
    )
    assert by_program == by_file == by_bundle
    assert by_program == by_form
    assert len({findings for _, _, findings in by_program}) == len(rows)


def test_a_twin_is_made_with_the_dataset_and_again_without_it(stack, user, model):
    assert twins.state_of(model=model, version=1) == twins.TwinState()
    assert run_activity(twins.start(model=model, version=1).id) == ActivityStatus.SUCCEEDED
    view = twins.state_of(model=model, version=1).view
    twin = json.loads(twins.read_file(model=model, version=1, extension="json"))
    assert twin["learned_from"]["training_rows"] == model.current.train_rows
    assert (view.rows, view.is_good) == (model.current.holdout_rows, twin["agreement"]["fidelity"] >= 0.95)
    assert view.model_score == pytest.approx(model.current.accuracy)
    page = twins.read_file(model=model, version=1, extension="html").decode()
    assert 'K\u00f6ln \\"am Rhein\\"' in page or 'Köln \\"am Rhein\\"' in page
    # The twin takes the rows of the contract, odd ones too.
    rows = check_rows(services.model_features(model=model, version=1), NASTY).rows
    assert {answer["prediction"] for answer in answers(twin, rows)} <= {"goes", "stays"}
    assert workspaces() == []

    datasets.delete_dataset(user_id=user.id, dataset_id=model.current.dataset_id)
    assert run_activity(twins.start(model=model, version=1).id) == ActivityStatus.SUCCEEDED
    again = json.loads(twins.read_file(model=model, version=1, extension="json"))
    assert again["learned_from"]["training_rows"] == 0
    assert again["learned_from"]["held_out_rows"] == model.current.holdout_rows // 2
    services.delete_model(user_id=user.id, model_id=model.id)
    assert model_blobs(stack) == []


def test_a_file_that_is_not_the_trained_one_is_not_handed_out(stack, user, client_for):
    model = stored_model(user.id, stored_dataset(user.id))
    response = client_for(user).get(reverse("models:bundle", args=[model.id, 1]))
    assert response.status_code == 500
    assert "damaged" in response.content.decode()
