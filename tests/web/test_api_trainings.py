"""Trainings by the API: started once however often they are asked for, watched, cancelled."""

from threading import Barrier, Thread

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django_q.models import OrmQ

from accounts.api_tokens import Scope
from accounts.models import IdempotencyKey
from datasets import services as datasets
from ml.options import HoldoutKind
from models_app import jobs_repository, services
from models_app.records import JobError, JobStatus
from storage.ids import new_id
from tests.factories import queued_job, running_job, stored_dataset, stored_model
from tests.web.api_client import BASE, Program, error_of

PATH = "/trainings"


@pytest.fixture
def program(user):
    return Program(user)


def wanted(dataset, **changes):
    return {"dataset_id": dataset.id, "target": "species", "time_limit": 30} | changes


# --- Starting ------------------------------------------------------------------------------------------------
def test_a_training_waits_for_its_turn(program, user, dataset):
    answer = program.post(PATH, wanted(dataset))
    assert answer.status_code == 202
    found = answer.json()
    assert (found["status"], found["queue_position"], found["progress"]) == ("queued", 0, 0)
    assert (found["model_id"], found["error"], found["leaderboard"]) == (None, None, [])
    assert answer["Location"] == f"{BASE}{PATH}/{found['id']}"
    assert program.get(answer["Location"]).json() == found
    assert [item["id"] for item in program.get(PATH).json()["items"]] == [found["id"]]
    assert OrmQ.objects.count() == 1


def test_settings_are_those_of_the_form(program, user, dataset):
    full = {"preset": "best", "metric": "roc_auc", "holdout_kind": "group", "holdout_column": "weight", "seed": 3}
    full |= {"holdout_share": 0.3, "group_is_feature": True, "leave_out": ["wings"], "class_weights": "balanced"}
    del (asked := wanted(dataset, **full, name="Zoo"))["time_limit"]
    found = program.post(PATH, asked).json()
    job = services.get_job(user_id=user.id, job_id=found["id"])
    assert job.settings.time_limit == 1200
    assert (job.settings.holdout_kind, job.settings.holdout_column) == (HoldoutKind.GROUP, "weight")
    assert (job.settings.leave_out, job.settings.group_is_feature, job.model_name) == (("wings",), True, "Zoo")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": "specis"}, "target"),
        ({"target": ""}, "target"),
        ({"time_limit": 10**5}, "time_limit"),
        ({"preset": "fastest"}, "preset"),
        ({"metric": "r2"}, "metric"),
        ({"families": ["magic"]}, "families"),
        ({"holdout_column": "legs"}, "holdout_column"),
        ({"leave_out": ["species"]}, "leave_out"),
        ({"targets": "species"}, "targets"),
        ({"dataset_id": "1"}, "dataset_id"),
        ({"problem_type": "regression"}, "problem_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_trained_is_said_at_its_field_and_queues_nothing(program, dataset, changes, field):
    error = error_of(program.post(PATH, wanted(dataset, **changes), key="k"), 422)
    assert list(error["fields"]) == [field]
    assert OrmQ.objects.count() == 0
    assert IdempotencyKey.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "r2"}, "Choose one of accuracy, balanced_accuracy"),
        ({"families": ["magic"]}, "Choose of "),
        ({"leave_out": ["leg"]}, "Did you mean `legs`?"),
        ({"leave_out": ["colour"]}, "Names are those of the file's header."),
        ({"holdout_kind": "group", "holdout_column": "wieght"}, "Did you mean `weight`?"),
    ],
    ids=["metric", "family", "misspelt", "unknown", "column"],
)
def test_what_can_be_chosen_instead_is_said(program, dataset, changes, said):
    error = error_of(program.post(PATH, wanted(dataset, **changes)), 422)
    assert said in f"{error['message']} {error['hint']}"


def test_a_further_version_is_of_ones_own_model(program, user, other_user, dataset):
    model, foreign = stored_model(user.id, dataset), stored_model(other_user.id, stored_dataset(other_user.id))
    assert program.post(PATH, wanted(dataset, model_id=model.id)).json()["version"] == 2
    error_of(program.post(PATH, wanted(dataset, model_id=foreign.id)), 404)


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"{\n x", "application/json", 400, "see line 2, character 2"),
        (b'{"target": NaN}', "application/json", 400, "NaN"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "application/json", 400, "too many digits"),
        (b'{"target": "\xff"}', "application/json", 400, "UTF-8"),
        (b"[" * 100_000, "application/json", 400, "deeper"),
        (b"", "application/json", 422, "This is missing."),
        (b"[]", "application/json", 422, "An object is needed here"),
        (b'{"dataset_id": "\\ud800"}', "application/json", 422, "half of a character"),
        (b'{"dataset_id": "x", "target": "t"}', "application/json", 422, "An id has 24 characters"),
        (b'{"dataset": 1}', "application/json", 422, "There is no such field."),
        (b"{}", "text/plain", 415, "JSON"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "JSON"),
    ],
    ids=["cut", "nan", "digits", "encoding", "deep", "empty", "list", "surrogate", "id", "field", "text", "form"],
)
def test_a_body_that_is_no_such_object_is_refused_in_plain_words(program, dataset, body, kind, status, said):
    error = error_of(program.post(PATH, body, kind=kind), status)
    assert said in " ".join([error["message"], *error["fields"].values()])
    assert error["hint"]


def test_more_json_than_may_be_is_refused(program, dataset, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    error_of(program.post(PATH, wanted(dataset, leave_out=["x" * 100])), 413)


def test_the_waiting_are_only_so_many(program, dataset, settings):
    settings.TRAININGS_WAITING_PER_USER = 1
    assert program.post(PATH, wanted(dataset)).status_code == 202
    assert error_of(program.post(PATH, wanted(dataset)), 429)["code"] == "too_many_trainings"


# --- The same request twice ----------------------------------------------------------------------------------
def test_the_same_key_and_body_start_one_training(program, dataset):
    first, second = (program.post(PATH, wanted(dataset), key="one") for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second["Idempotency-Replayed"] == "true"
    error = error_of(program.post(PATH, wanted(dataset, seed=1), key="one"), 422)
    assert error["code"] == "idempotency_key_reused"
    assert OrmQ.objects.count() == 1
    # A repeated request is told how far the training is by now, also when its dataset is gone.
    program.post(f"{PATH}/{first.json()['id']}/cancel")
    datasets.delete_dataset(user_id=dataset.user_id, dataset_id=dataset.id)
    assert program.post(PATH, wanted(dataset), key="one").json()["status"] == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_two_at_one_moment_start_one_training(stack, user):
    cache.clear()
    dataset, program, together = stored_dataset(user.id), Program(user), Barrier(2)
    answers = []

    def ask():
        together.wait(timeout=30)
        try:
            answers.append(program.post(PATH, wanted(dataset), key="one"))
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(jobs_repository.recent(user_id=user.id)) == 1


# --- Watching and cancelling ---------------------------------------------------------------------------------
def test_a_failed_training_says_why(program, user, dataset):
    job = running_job(user.id, dataset)
    error = JobError(code="training_failed", message="Nothing was learned.", hint="Train longer.")
    jobs_repository.fail(job_id=job.id, owner="owner", error=error)
    found = program.get(f"{PATH}/{job.id}").json()
    assert (found["status"], found["error"]["message"]) == ("failed", "Nothing was learned.")


def test_a_training_that_has_made_a_model_names_it(program, user, dataset):
    model = stored_model(user.id, dataset)
    found = program.get(f"{PATH}/{model.current.job_id}").json()
    assert (found["status"], found["model_id"]) == ("succeeded", model.id)


def test_cancelling_twice_is_cancelling_once(program, user, dataset):
    job = queued_job(user.id, dataset)
    for _ in range(2):
        assert program.post(f"{PATH}/{job.id}/cancel").json()["status"] == "cancelled"


def test_somebody_elses_training_does_not_exist(program, user, other_user, dataset):
    job = queued_job(user.id, dataset)
    other = Program(other_user)
    for answer in (
        other.get(f"{PATH}/{job.id}"),
        other.post(f"{PATH}/{job.id}/cancel"),
        other.get(f"{PATH}/{new_id()}"),
        other.post(PATH, wanted(dataset)),
    ):
        error_of(answer, 404)
    assert other.get(PATH).json()["items"] == []
    assert services.get_job(user_id=user.id, job_id=job.id).status is JobStatus.QUEUED


def test_rights_and_visitors(user, dataset):
    job = queued_job(user.id, dataset)
    reader, writer = Program(user, Scope.READ), Program(user, Scope.WRITE)
    error_of(reader.post(PATH, wanted(dataset)), 403)
    error_of(reader.post(f"{PATH}/{job.id}/cancel"), 403)
    error_of(writer.get(f"{PATH}/{job.id}"), 403)
    for method, path in (("GET", ""), ("POST", ""), ("GET", f"/{job.id}"), ("POST", f"/{job.id}/cancel")):
        error_of(Client().generic(method, f"{BASE}{PATH}{path}"), 401)
