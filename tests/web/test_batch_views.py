"""The pages on which a file is predicted: sent, watched, downloaded, and seen by its owner alone."""

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import strip_tags

from accounts import tickets
from models_app import batches, batches_repository
from models_app.batch_records import BatchError, BatchFacts, BatchStatus
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import stored_dataset, stored_model
from tests.training import model_blobs

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
TABLE = "legs,wings,prediction\n4,no,=1+1\n2,yes,-3\nbad row\n"
SUMMARY = {
    "format": 1,
    "rows": 2,
    "odd_rows": 1,
    "counts": [{"column": "<b>legs</b>", "kind": "out_of_range", "rows": 1}],
    "table_findings": [{"column": "x", "kind": "unknown", "message": 'The model does not use "x".'}],
    "renamed": {"prediction": "prediction_2"},
    "level": 0.9,
    "classes": ["dog", "duck"],
    "score": {
        "metric": "accuracy",
        "lower_is_better": False,
        "score": 0.75,
        "interval": [0.5, 0.9],
        "rows": 2,
        "known_rows": 2,
        "other_rows": 0,
    },
    "drift": {
        "level": "strong",
        "rows": 2,
        "training_rows": 32,
        "columns": [
            {"column": "legs", "level": "strong", "psi": 0.5, "missing_then": 0.0, "missing_now": 0.25},
            {"column": "wings", "level": "unknown", "psi": None, "missing_then": 0.0, "missing_now": 0.0},
        ],
    },
}
RESULT = b'legs,wings,prediction,prediction_2,findings\n4,no,=1+1,dog,"One, odd."\n2,yes,-3,duck,\n'


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def send(client, model, content=TABLE, *, ticket=None, name="new.csv", **more):
    ticket = ticket or tickets.issue(user_id=model.user_id, purpose="batch")
    url = reverse("models:batch_upload", args=[model.id, 1, ticket])
    return client.post(url, {"file": SimpleUploadedFile(name, content.encode()), **more}, headers=HX)


def page(model, batch, name="batch"):
    return reverse(f"models:{name}", args=[model.id, batch.id])


def text_of(response):
    return " ".join(strip_tags(response.content.decode()).split())


def waiting(owner, model, **more):
    answer = send(owner, model, **more)
    assert answer.status_code == 200, answer.content
    return batches.find(user_id=model.user_id, model_id=model.id, batch_id=answer["HX-Redirect"].rsplit("/", 1)[1])


def done(owner, model):
    return finished(waiting(owner, model))


def finished(batch):
    """As the work on it would leave it."""
    blobs = get_blobs()
    for name, data in ((batches.result_name(batch), RESULT), (batches.summary_name(batch), json.dumps(SUMMARY))):
        blobs.upload_bytes(blobs.models_container, name, data if isinstance(data, bytes) else data.encode())
    facts = BatchFacts(
        rows=2, odd_rows=1, result_size=len(RESULT), stored_size=900, drift="strong", score=0.75, metric="accuracy"
    )
    return batches_repository.mark_done(batch_id=batch.id, user_id=batch.user_id, facts=facts)


def test_a_file_is_sent_watched_and_cancelled(stack, owner, model):
    url = reverse("models:batches", args=[model.id, 1])
    assert "No file has been predicted" in text_of(owner.get(url))
    before = model_blobs(stack)
    ticket = re.search(r"batches/upload/([^\"]+)\"", owner.get(url).content.decode())[1]
    answer = send(owner, model, ticket=ticket, is_strict="on")
    address = answer["HX-Redirect"]
    assert send(owner, model, ticket=ticket)["HX-Redirect"] == address
    batch = batches.of_version(model=model, version=1)[0]
    assert (batch.rows, batch.bad_rows, batch.is_strict) == (2, 1, True)
    for response in (owner.get(address), owner.get(address, headers=HX)):
        assert 'hx-trigger="load delay:2s"' in response.content.decode()
        assert "Waiting for a worker" in text_of(response)
    listed = owner.get(url, headers=HX).content.decode()
    assert "load delay:4s" in listed
    assert "<html" not in listed
    assert owner.get(page(model, batch, "batch_result")).status_code == 409
    assert owner.post(page(model, batch, "batch_cancel")).status_code == 302
    assert model_blobs(stack) == before
    assert owner.get(address).status_code == 404


def test_the_result_says_what_was_found_and_stops_polling(stack, owner, model):
    batch = done(owner, model)
    response = owner.get(page(model, batch))
    html, text = response.content.decode(), text_of(response)
    assert 'hx-trigger="load delay' not in html
    assert "<b>legs" not in html
    for words in (
        "2 rows predicted",
        "1 row of the file did not fit its header and is not in the result: see line 4",
        "already, so the model's is called",
        "had a value outside what was seen during training",
        "Strong drift",
        "very different 0.50 0.0 % 25.0 %",
        "too few rows to tell – 0.0 % 0.0 %",
        "On the rows held out at training: 0.875",
    ):
        assert words in text.replace("&#x27;", "'"), words
    assert "<td>=1+1</td>" in html
    assert f"/api/v1/models/{model.id}/batches/{batch.id}/result" in html
    assert "prediction_2findingslegswingsprediction dog One, odd. 4 no =1+1" in text
    safe = owner.get(page(model, batch, "batch_result"))
    exact = owner.get(page(model, batch, "batch_result"), {"exact": 1})
    assert b"".join(exact.streaming_content) == RESULT
    assert b"".join(safe.streaming_content) == RESULT.replace(b"=1+1", b"'=1+1")
    assert "new-predicted.csv" in safe["Content-Disposition"]
    listed = text_of(owner.get(reverse("models:batches", args=[model.id, 1]), headers=HX))
    assert "Strong drift 0.75 Accuracy" in listed
    assert owner.post(page(model, batch, "batch_delete")).status_code == 302
    assert not [name for name in model_blobs(stack) if "batch-" in name]


def test_a_failure_is_told(owner, model):
    batch = waiting(owner, model)
    batches.fail(batch, BatchError(code="crashed", message="It stopped.", hint="Try again."))
    text = text_of(owner.get(page(model, batch)))
    assert "This file was not predicted It stopped. Try again." in text
    assert "It stopped." in text_of(owner.get(reverse("models:batches", args=[model.id, 1]), headers=HX))


def test_what_cannot_be_predicted_is_said_at_the_file(stack, owner, model):
    before = model_blobs(stack)
    for content, name, words in (("", "a.csv", "empty"), ("a\n", "a.csv", "no rows"), ("a,b\n", "a.xls", ".xlsx")):
        answer = send(owner, model, content, name=name)
        assert answer.status_code == 422
        assert words in text_of(answer), text_of(answer)
    stale = send(owner, model, ticket="x")
    assert (stale.status_code, "out of date" in text_of(stale)) == (422, True)
    assert model_blobs(stack) == before


def test_a_dataset_is_predicted_without_an_upload(owner, model):
    url = reverse("models:batch_dataset", args=[model.id, 1])
    ticket = tickets.issue(user_id=model.user_id, purpose="batch")
    form = {"dataset": model.current.dataset_id, "ticket": ticket}
    answers = [owner.post(url, form) for _ in range(2)]
    assert {answer["Location"] for answer in answers} == {answers[0]["Location"]}
    (batch,) = batches.of_version(model=model, version=1)
    assert (batch.dataset_id, batch.rows, batch.status) == (model.current.dataset_id, 40, BatchStatus.WAITING)
    refused = owner.post(url, form | {"dataset": new_id()})
    assert (refused.status_code, "no such dataset" in text_of(refused)) == (422, True)


def test_nobody_else_sees_sends_or_ends_it(client, client_for, owner, other_user, model):
    batch = done(owner, model)
    stranger = client_for(other_user)
    theirs = tickets.issue(user_id=other_user.id, purpose="batch")
    for address in (
        page(model, batch),
        page(model, batch, "batch_result"),
        reverse("models:batches", args=[model.id, 1]),
    ):
        assert stranger.get(address).status_code == 404
        assert client.get(address).status_code == 302
    for address in (
        page(model, batch, "batch_cancel"),
        page(model, batch, "batch_delete"),
        reverse("models:batch_dataset", args=[model.id, 1]),
        reverse("models:batch_upload", args=[model.id, 1, theirs]),
    ):
        assert stranger.post(address).status_code == 404
        assert client.post(address).status_code == 302
    assert batches.find(user_id=model.user_id, model_id=model.id, batch_id=batch.id).status is BatchStatus.DONE
