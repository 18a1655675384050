"""What a model looks at, on its page: begun by the page where nobody has, and seen by its owner alone."""

import json

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from datasets import activities
from datasets.activities import ActivityKind
from models_app import followups, predictor
from smartml.errors import BlobMissing
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}

FOUND = {
    "format": 1,
    "metric": "root_mean_squared_error",
    "lower_is_better": True,
    "score": 50_000.0,
    "rows": 2000,
    "all_rows": 4128,
    "shuffles": 5,
    "importances": [
        {"column": "income", "worse": 12_000.0, "low": 9_800.0, "high": 14_100.0},
        {"column": "<b>age</b>", "worse": 3.0, "low": -2.0, "high": 8.0},
    ],
    "left_out": ["street"],
    "effects": [
        {
            "column": "income",
            "kind": "number",
            "values": [1.0, 2.0],
            "classes": [],
            "mean": [[100.0, 200.0]],
            "curves": [[90.0, 210.0], [110.0, 190.0]],
        }
    ],
    "effect_rows": 200,
    "no_effect": [["<b>age</b>", "it is free text"]],
}


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def store(model, document=FOUND) -> None:
    get_blobs().put_model_file(
        user_id=model.user_id,
        model_id=model.id,
        version=1,
        stem="explanations",
        ext="json",
        data=json.dumps(document).encode(),
    )


def url(model, name="explanations", *more) -> str:
    return reverse(f"models:{name}", args=[model.id, 1, *more])


def test_the_page_begins_what_is_missing_polls_and_stops_when_it_is_cancelled(owner, model):
    assert f'hx-get="{url(model)}"' in owner.get(reverse("models:detail", args=[model.id])).content.decode()
    pending = owner.get(url(model), headers=HX).content.decode()
    assert 'hx-trigger="load delay:2s"' in pending
    assert "<html" not in pending
    begun = followups.latest(model=model, version=1, kind=ActivityKind.EXPLAIN)
    stopped = owner.post(url(model, "explanations_cancel"), headers=HX).content.decode()
    assert "This was cancelled." in stopped
    assert "hx-trigger" not in stopped
    # Nothing begins by itself again; a person may.
    assert 'data-test="explanation-stopped"' in owner.get(url(model)).content.decode()
    assert owner.post(url(model)).status_code == 302
    assert followups.latest(model=model, version=1, kind=ActivityKind.EXPLAIN).id != begun.id


def test_the_sentences_say_what_matters_and_what_does_not(owner, model):
    store(model)
    page = owner.get(url(model), headers=HX).content.decode()
    assert "Permuting <code>income</code> worsens RMSE by 12,000 (9,800–14,100)" in page.replace("9800", "9,800")
    assert "<code>&lt;b&gt;age&lt;/b&gt;</code> has an interval that includes 0" in page
    assert "Measured on 2,000 of the 4,128 rows that the model had not seen" in page
    assert "for want of time or of a usable score: <code>street</code>." in page
    assert "<b>age" not in page
    assert "hx-trigger" not in page
    assert activities.active_of_user(user_id=model.user_id) == ()


def test_every_figure_is_a_file_too_with_the_curves_of_single_rows(owner, model):
    store(model)
    assert owner.get(url(model, "explanation_data", "importance")).content.decode().splitlines()[1:] == [
        "income,12000.0,9800.0,14100.0",
        "<b>age</b>,3.0,-2.0,8.0",
    ]
    effect = owner.get(url(model, "explanation_data", "effect-1"))
    assert effect.content.decode().splitlines() == [
        "value,average,row 1,row 2",
        "1.0,100.0,90.0,110.0",
        "2.0,200.0,210.0,190.0",
    ]
    assert effect["Content-Type"].startswith("text/csv")
    assert owner.get(url(model, "explanation_data", "effect-9")).status_code == 404


def test_a_row_is_asked_for_by_its_number_and_nonsense_is_refused_at_its_field(owner, model, monkeypatch):
    page = owner.get(url(model, "explain_row")).content.decode()
    assert 'name="row"' in page
    for number in ("0", "-1", "x", "9" * 20):
        answer = owner.get(url(model, "explain_row"), {"row": number}, headers=HX)
        assert answer.status_code == 422
        assert "A row&#x27;s number is a whole number from 1." in answer.content.decode()
    found = {
        "class": "duck",
        "prediction": 0.9,
        "average": 0.5,
        "usual_rows": 25,
        "parts": [
            {"columns": ["wings"], "count": 1, "value": "<b>yes</b>", "adds": 0.5, "error": 0.01},
            {"columns": ["legs"], "count": 1, "value": None, "adds": -0.1, "error": 0.2},
        ],
        "truth": "dog",
    }
    monkeypatch.setattr(predictor, "explain", lambda **asked: found)
    for answer in (
        owner.get(url(model, "explain_row"), {"row": "3"}, headers=HX),
        owner.post(url(model, "explain_row"), {"f0": "3"}, headers=HX),
    ):
        text = " ".join(strip_tags(answer.content.decode()).split())
        assert "The model says 90.0 % for the probability of “duck”; it is dog." in text
        assert "wings &lt;b&gt;yes&lt;/b&gt; +50.0 points" in text
        assert "legs missing −10.0 points" in text
        assert "<b>yes" not in answer.content.decode()
    assert owner.post(url(model, "explain_row"), {"f0": "many"}, headers=HX).status_code == 422


def test_a_version_without_kept_rows_says_so(owner, model, monkeypatch):
    def missing(**asked):
        raise BlobMissing("It is not there.")

    monkeypatch.setattr(predictor, "explain", missing)
    answer = owner.get(url(model, "explain_row"), {"row": "3"})
    assert answer.status_code == 404
    assert "Train again" in answer.content.decode()


def test_nobody_else_sees_or_begins_it(client, client_for, other_user, model):
    store(model)
    stranger = client_for(other_user)
    for address in (url(model), url(model, "explanation_data", "importance"), url(model, "explain_row")):
        assert stranger.get(address).status_code == 404
        assert client.get(address).status_code == 302
    for address in (url(model), url(model, "explanations_cancel")):
        assert stranger.post(address).status_code == 404
        assert client.post(address).status_code == 302
    assert owner_has_no_work(model)


def owner_has_no_work(model) -> bool:
    return followups.latest(model=model, version=1, kind=ActivityKind.EXPLAIN) is None
