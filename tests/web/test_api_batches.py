"""Files predicted by the API: sent, watched, fetched, cancelled, deleted."""

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.api_tokens import Scope
from datasets.tasks import run_activity
from models_app import batches
from storage.ids import new_id
from tests.animals import animals_model
from tests.factories import stored_dataset, stored_model
from tests.training import model_blobs
from tests.web.api_client import BASE, Program, error_of
from tests.web.test_batch_views import finished

pytestmark = pytest.mark.django_db
TABLE = b"legs,wings,weight\n4,no,20.5\n2,yes,1.5\nbad\n9,yes,=1\n"


@pytest.fixture
def model(stack, user):
    cache.clear()
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def program(user):
    return Program(user)


def send(program, model, body=TABLE, more="", **extra):
    return program.post(f"/models/{model.id}/batches?file_name=new.csv{more}", body, kind="text/csv", **extra)


@pytest.mark.slow
def test_a_file_is_predicted_and_its_result_fetched(stack, user, program):
    cache.clear()
    model = animals_model(user.id)
    answer = send(program, model)
    assert answer.status_code == 202, answer.content
    place, found = answer["Location"], answer.json()
    assert (found["status"], found["rows"], found["bad_rows"], found["mode"]) == ("waiting", 3, 1, "lenient")
    error_of(program.get(f"{place}/result"), 409)
    run_activity(found["id"])
    done = program.get(place).json()
    assert (done["status"], done["progress"], done["odd_rows"], done["drift"]) == ("done", 1.0, 1, "unknown")
    result = program.get(f"{place}/result")
    lines = b"".join(result.streaming_content).decode().splitlines()
    assert lines[0].startswith(
        "legs,wings,weight,prediction,probability_dog,probability_duck,prediction_set,findings"
    )
    assert [line.split(",")[3] for line in lines[1:3]] == ["dog", "duck"]
    asked = {"rows": [{"legs": "9", "wings": "yes", "weight": "=1"}]}
    (same,) = program.post(f"/models/{model.id}/predict", asked).json()["predictions"]
    assert all(each["message"] in lines[3].replace('""', '"') for each in same["findings"])
    assert same["prediction"] == lines[3].split(",")[3]
    safe = b"".join(program.get(f"{place}/result?for_spreadsheet=true").streaming_content)
    assert b",'=1," in safe
    assert [each["id"] for each in program.get(f"/models/{model.id}/batches").json()["items"]] == [found["id"]]
    assert program.delete(place).json() == {"id": found["id"], "blobs": 2, "remaining": 0}
    error_of(program.get(place), 404)
    assert not [name for name in model_blobs(stack) if "batch-" in name]


def test_the_same_request_makes_one_batch(program, model):
    answers = [send(program, model, key="one", more="&mode=strict") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[1]["Idempotency-Replayed"] == "true"
    error_of(send(program, model, TABLE.replace(b"20.5", b"20.6"), key="one", more="&mode=strict"), 422)
    (batch,) = batches.of_version(model=model, version=1)
    assert batch.is_strict
    assert program.post(f"/models/{model.id}/batches/{batch.id}/cancel").status_code == 204
    assert batches.of_version(model=model, version=1) == ()


def test_what_is_no_table_leaves_nothing_and_rights_are_asked_for(stack, user, other_user, program, model):
    before = model_blobs(stack)
    assert error_of(send(program, model, b"just one line"), 422)["fields"]["file"]
    error_of(send(program, model, more="&version=7"), 404)
    error_of(send(Program(user, Scope.READ), model), 403)
    stranger = Program(other_user)
    batch = send(program, model).json()
    for place in (f"/models/{model.id}/batches", f"/models/{model.id}/batches/{batch['id']}"):
        error_of(stranger.get(place), 404)
    error_of(send(stranger, model), 404)
    error_of(program.get(f"/models/{model.id}/batches/{new_id()}"), 404)
    program.delete(f"/models/{model.id}/batches/{batch['id']}")
    assert model_blobs(stack) == before


def test_what_was_found_in_a_file_is_told_once_it_is_done(stack, user, other_user, program, model):
    sent = send(program, model).json()["id"]
    batch = batches.find(user_id=user.id, model_id=model.id, batch_id=sent)
    path = f"/models/{model.id}/batches/{batch.id}/summary"
    error_of(program.get(path), 409)
    finished(batch)
    found = program.get(path).json()
    assert (found["rows"], found["odd_rows"], found["is_seen"]) == (2, 1, False)
    assert found["findings"] == [{"field": "<b>legs</b>", "kind": "out_of_range", "rows": 1}]
    assert found["table_findings"] == [{"field": "x", "kind": "unknown", "message": 'The model does not use "x".'}]
    assert [(each["field"], each["level"], each["psi"]) for each in found["drift"]] == [
        ("legs", "strong", 0.5),
        ("wings", "unknown", None),
    ]
    assert (found["score"]["score"], found["score"]["interval"]) == (0.75, [0.5, 0.9])
    error_of(Program(other_user).get(path), 404)
    error_of(Program(user, Scope.READ).get(path), 403)
    error_of(Client().get(BASE + path), 401)
