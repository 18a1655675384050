"""Versions by the API: listed, made current, rolled back, deleted, compared."""

import json

import pytest
from django.test import Client

from accounts.api_schemas import SAMPLE_ID
from accounts.api_tokens import Scope
from datasets import activities
from models_app import comparisons, services
from models_app.comparison_files import stem_of
from tests.factories import stored_dataset, stored_model
from tests.web.api_client import BASE, Program, error_of
from tests.web.test_compare import PAIRING, put, version


@pytest.fixture
def model(user, dataset):
    """Version 1, and version 2, which is current; the same rows were held out for both."""
    first = version(user, dataset)
    return version(user, dataset, model=first, number=2, score=0.75)


@pytest.fixture
def program(user):
    return Program(user)


def path(model, *more):
    return "/".join(("/models", model.id, *more))


# --- Versions ------------------------------------------------------------------------------------------------
def test_versions_are_listed_with_the_one_that_answers_and_the_one_before(program, model):
    found = program.get(path(model, "versions")).json()
    assert [(each["version"], each["accuracy"]) for each in found["items"]] == [(2, 0.75), (1, 0.875)]
    assert (found["current"], found["previous"], found["pinned"]) == (2, 1, False)


def test_a_version_is_made_current_and_rolled_back(program, user, model):
    promoted = program.post(path(model, "promote"), {"version": 1, "instead_of": 2})
    assert (promoted.status_code, promoted.json()["version"]) == (200, 1)
    # Sent again, as after an answer that was lost.
    again = program.post(path(model, "promote"), {"version": 1, "instead_of": 2})
    assert (again.status_code, again.json()) == (200, promoted.json())
    found = program.get(path(model, "versions")).json()
    assert (found["current"], found["previous"], found["pinned"]) == (1, 2, True)
    # Decided on what is not so any more: nothing changes.
    error_of(program.post(path(model, "promote"), {"version": 2, "instead_of": 2}), 409)
    assert services.get_model(user_id=user.id, model_id=model.id).version == 1
    assert program.post(path(model, "promote"), {"version": found["previous"]}).json()["version"] == 2


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"version": 3}, 404, None),
        ({"version": 0}, 422, "version"),
        ({"version": "one"}, 422, "version"),
        ({}, 422, "version"),
        ({"version": 1, "instead": 2}, 422, "instead"),
    ],
)
def test_what_cannot_be_made_current_is_said(program, user, model, body, status, field):
    error = error_of(program.post(path(model, "promote"), body), status)
    assert field is None or list(error["fields"]) == [field]
    assert services.get_model(user_id=user.id, model_id=model.id).version == 2


def test_a_version_that_does_not_answer_can_be_deleted(program, user, model):
    error_of(program.delete(path(model, "versions", "2")), 409)
    assert program.delete(path(model, "versions", "1")).json()["remaining"] == 0
    error_of(program.delete(path(model, "versions", "1")), 404)
    assert [each.version for each in services.get_model(user_id=user.id, model_id=model.id).versions] == [2]


# --- Two of them ---------------------------------------------------------------------------------------------
def test_two_versions_stand_side_by_side(program, model):
    found = program.get(path(model, "comparison") + "?version=1").json()
    assert (found["left"]["version"], found["right"]["version"]) == (1, 2)
    score = next(each for each in found["scores"] if each["metric"] == "accuracy")
    assert (score["left"], score["right"]) == (0.875, 0.75)
    assert score["left_interval"] == {"low": pytest.approx(0.825), "high": pytest.approx(0.925)}
    assert score["difference"]["value"] == pytest.approx(-0.125)
    assert score["difference"]["better"] == "left"
    assert found["cautions"] == []
    assert found["same_rows"] == {
        "state": "none",
        "message": "",
        "progress": 0.0,
        "rows": None,
        "apart": None,
        "metrics": [],
    }


def test_both_are_asked_the_same_rows_on_request_and_once(program, user, model):
    address = path(model, "comparison") + "?version=1&with_version=2"
    assert program.get(address).json()["same_rows"]["state"] == "none"
    begun = program.post(address)
    assert (begun.status_code, begun.json()["same_rows"]["state"]) == (202, "running")
    assert program.post(address).json()["same_rows"]["state"] == "running"
    left, right = (comparisons.side_of(model, number) for number in (1, 2))
    work = comparisons.work_on(left, right)
    activities.request_cancel(user_id=user.id, activity_id=work.id)
    assert program.get(address).json()["same_rows"]["state"] == "cancelled"

    put(model, stem_of(model.id, 2), PAIRING)
    found = program.get(address).json()["same_rows"]
    assert (found["state"], found["rows"], found["apart"]) == ("done", 40, 0.125)
    assert [(each["metric"], each["difference"]["better"]) for each in found["metrics"]] == [
        ("accuracy", "left"),
        ("log_loss", None),
        ("f1", None),
    ]
    assert program.post(address).json()["same_rows"] == found
    assert comparisons.work_on(left, right).id == work.id


def test_what_cannot_be_asked_the_same_rows_says_why(program, user, model):
    other = stored_model(user.id, stored_dataset(user.id))
    found = program.post(f"{path(model, 'comparison')}?with_model={other.id}").json()
    assert found["same_rows"]["state"] == "impossible"
    assert "different datasets" in found["same_rows"]["message"]
    assert any("different datasets" in caution for caution in found["cautions"])


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 422, "with_version"),
        ("?version=2&with_version=2", 422, "with_version"),
        ("?version=1&with_version=9", 404, None),
        ("?with_model=x", 422, "with_model"),
        (f"?with_model={SAMPLE_ID}", 404, None),
    ],
)
def test_what_cannot_be_compared_is_said(program, model, query, status, field):
    for send in (program.get, program.post):
        error = error_of(send(path(model, "comparison") + query), status)
        assert field is None or list(error["fields"]) == [field]


# --- Who may -------------------------------------------------------------------------------------------------
def test_somebody_elses_versions_do_not_exist(user, other_user, model):
    other = Program(other_user)
    own = stored_model(other_user.id, stored_dataset(other_user.id))
    error_of(other.get(path(model, "versions")), 404)
    error_of(other.post(path(model, "promote"), {"version": 1}), 404)
    error_of(other.delete(path(model, "versions", "1")), 404)
    for address in (f"{path(model, 'comparison')}?version=1", f"{path(own, 'comparison')}?with_model={model.id}"):
        error_of(other.get(address), 404)
        error_of(other.post(address), 404)
    found = services.get_model(user_id=user.id, model_id=model.id)
    assert (found.version, len(found.versions)) == (2, 2)


def test_rights_and_visitors(user, model):
    reader, writer, asker = (Program(user, scope) for scope in Scope)
    comparison = f"{path(model, 'comparison')}?version=1"
    error_of(reader.post(path(model, "promote"), {"version": 1}), 403)
    error_of(reader.delete(path(model, "versions", "1")), 403)
    error_of(reader.post(comparison), 403)
    error_of(writer.get(comparison), 403)
    error_of(asker.get(path(model, "versions")), 403)
    for method, address in (
        ("GET", path(model, "versions")),
        ("POST", path(model, "promote")),
        ("DELETE", path(model, "versions", "1")),
        ("GET", comparison),
        ("POST", comparison),
    ):
        answer = Client().generic(method, BASE + address, json.dumps({"version": 1}), "application/json")
        error_of(answer, 401)
