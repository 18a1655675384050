"""Models by the API: seen, asked for predictions, downloaded, deleted."""

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.api_tokens import Scope
from accounts.models import IdempotencyKey
from models_app import predictor, services
from storage.blobs import reset_blobs
from storage.ids import new_id
from tests.factories import stored_dataset, stored_model
from tests.real_model import DOG, DUCK, store_archive
from tests.training import model_blobs
from tests.web.api_client import BASE, Program, error_of

PATH = "/models"


@pytest.fixture
def model(stack, user):
    cache.clear()
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def program(user):
    return Program(user)


# --- Looking, downloading, deleting --------------------------------------------------------------------------
def test_a_model_is_its_facts_with_the_columns_it_asks_for(program, model):
    found = program.get(f"{PATH}/{model.id}").json()
    assert (found["name"], found["version"], len(found["versions"])) == (model.name, 1, 1)
    version = found["versions"][0]
    assert (version["accuracy"], version["baseline"], version["metric_name"]) == (0.875, 0.5, "accuracy")
    assert [(feature["name"], feature["minimum"]) for feature in found["features"]] == [("legs", 2.0)]
    listed = program.get(f"{PATH}?search={model.name[:4]}").json()["items"]
    columns = ("features", "unused_columns")
    assert listed == [{name: value for name, value in found.items() if name not in columns}]
    assert found["unused_columns"] == ["species"]
    assert program.get(f"{PATH}?search=nothing").json()["items"] == []


def test_the_zip_is_streamed(program, model):
    answer = program.get(f"{PATH}/{model.id}/download")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert b"".join(answer.streaming_content) == b"PK not a predictor"
    assert answer["X-Checksum-SHA256"] == model.current.zip_sha256
    assert "no-store" in answer["Cache-Control"]
    error_of(program.get(f"{PATH}/{model.id}/download?version=2"), 404)


def test_a_deleted_model_is_gone_with_its_receipt(program, model, stack):
    assert program.delete(f"{PATH}/{model.id}").json() == {"id": model.id, "blobs": 3, "remaining": 0}
    assert model_blobs(stack) == []
    error_of(program.delete(f"{PATH}/{model.id}"), 404)


def test_somebody_elses_model_does_not_exist(program, other_user, model):
    other = Program(other_user)
    row = {"rows": [DOG]}
    for name in (model.id, new_id(), "1"):
        error_of(other.get(f"{PATH}/{name}"), 404)
        error_of(other.get(f"{PATH}/{name}/download"), 404)
        error_of(other.post(f"{PATH}/{name}/predict", row), 404)
        error_of(other.delete(f"{PATH}/{name}"), 404)
    assert other.get(PATH).json()["items"] == []
    assert services.get_model(user_id=model.user_id, model_id=model.id)


def test_rights_and_visitors(user, model):
    reader, writer, asker = (Program(user, scope) for scope in Scope)
    row = {"rows": [DOG]}
    error_of(reader.post(f"{PATH}/{model.id}/predict", row), 403)
    error_of(reader.delete(f"{PATH}/{model.id}"), 403)
    error_of(writer.get(f"{PATH}/{model.id}"), 403)
    error_of(asker.get(f"{PATH}/{model.id}/download"), 403)
    for method, path in (("GET", ""), ("GET", "/download"), ("POST", "/predict"), ("DELETE", "")):
        error_of(Client().generic(method, f"{BASE}{PATH}/{model.id}{path}"), 401)


# --- Predicting ----------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_rows_are_answered_with_what_is_odd_about_each(stack, user, program, archive):
    cache.clear()
    model = store_archive(user.id, archive)
    url = f"{PATH}/{model.id}/predict"
    found = program.post(url, {"rows": [DOG, DUCK, {"legs": "many", "wings": "no", "wieght": 1, "weight": 99}]})
    assert found.status_code == 200
    answers = found.json()["predictions"]
    assert [answer["prediction"] for answer in answers[:2]] == ["dog", "duck"]
    assert answers[0]["probabilities"].keys() == {"dog", "duck"}
    assert [answer["findings"] for answer in answers[:2]] == [[], []]
    assert {finding["kind"] for finding in answers[2]["findings"]} >= {"wrong_type", "out_of_range"}
    same = services.predict_rows(model=model, version=1, rows=[DOG, DUCK])
    assert [answer["probabilities"] for answer in answers[:2]] == [each.probabilities for each in same.answers]

    one = program.post(url, {"rows": [{"legs": 4, "weight": 20}], "version": 1}).json()
    assert any(finding["field"] == "wings" for finding in one["table_findings"])

    strict = {"rows": [DOG, {"legs": "many", "wings": "no", "weight": 2}], "mode": "strict"}
    error = error_of(program.post(url, strict), 422)
    assert list(error["fields"]) == ["rows.1.legs"]
    # As a body that cannot be read, and in every row by a star.
    error = error_of(program.post(url, {"rows": [{"legs": 4, "weight": [20]}], "mode": "strict"}), 422)
    assert list(error["fields"]) == ["rows.0.weight"]
    error = error_of(program.post(url, {"rows": [{"legs": 4, "weight": 20}], "mode": "strict"}), 422)
    assert list(error["fields"]) == ["rows.*.wings"]
    # The target is no column too many, whoever sends it.
    told = {"rows": [DOG | {"species": "dog"}], "mode": "strict"}
    assert program.post(url, told).json()["table_findings"] == []
    assert program.post(url, {"rows": [DOG], "mode": "strict"}).status_code == 200

    # A key does no harm, and nothing of the rows is kept for it.
    assert program.post(url, {"rows": [DOG]}, key="k").json() == program.post(url, {"rows": [DOG]}, key="k").json()
    assert IdempotencyKey.objects.count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["1e400", "-1E+400", "9" * 400 + ".5", "2" + "0" * 250 + "e99"])
def test_a_number_that_no_machine_can_hold_is_quoted_as_it_was_sent(stack, user, program, archive, sent):
    cache.clear()
    model = store_archive(user.id, archive)
    body = b'{"rows": [{"legs": 4, "wings": "no", "weight": %s}]}' % sent.encode()
    (answer,) = program.post(f"{PATH}/{model.id}/predict", body).json()["predictions"]
    (finding,) = answer["findings"]
    assert (finding["field"], finding["kind"]) == ("weight", "wrong_type")
    assert f'"{sent[:30]}' in finding["message"]
    assert "inf" not in finding["message"]


def test_that_an_old_version_has_no_figures_is_asked_once(model, settings):
    assert services.model_reach(model=model, version=1) is None
    settings.AZURE_ACCOUNT_URL = "http://127.0.0.1:1/devstoreaccount1"
    reset_blobs()
    assert services.model_reach(model=model, version=1) is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"rows": []}, 422, "rows"),
        ({"rows": [[1]]}, 422, "rows.0"),
        ({"rows": [{"legs": {"a": 1}}]}, 422, "rows.0.legs"),
        ({"rows": [{"legs": 1}], "mode": "harsh"}, 422, "mode"),
        ({"rows": [{"legs": 1}], "version": 0}, 422, "version"),
        ({"row": {"legs": 1}}, 422, "rows"),
        ({"rows": [{"legs": 1}] * 3}, 413, "rows"),
        ({"rows": [{"legs": 1}], "version": 2}, 404, None),
    ],
    ids=["none", "list", "nested", "mode", "version-0", "row", "many", "version-2"],
)
def test_what_cannot_be_predicted_is_said_at_its_field(program, model, settings, body, status, field):
    settings.API_ROWS_PER_PREDICTION = 2
    error = error_of(program.post(f"{PATH}/{model.id}/predict", body), status)
    assert field is None or field in error["fields"]
    assert predictor._predictor.child_pids == []
