"""The figures of a model: what the owner sees with and without scripts, and that nobody else sees anything."""

import json

import pytest
from django.urls import reverse

from models_app import services
from models_app.figures import coverage_sentence
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}

OUTCOME = {"tp": 1, "fp": 2, "fn": 3, "tn": 4}
CLASSES = {
    "rows": 8,
    "confusion": {"labels": ["dog", "<b>duck</b>"], "counts": [[4, 0], [1, 3]]},
    "classes": [
        {"label": "dog", "rows": 4, "precision": 0.8, "recall": 1.0, "f1": None},
        {"label": "<b>duck</b>", "rows": 4, "precision": 1.0, "recall": 0.75, "f1": 0.857},
    ],
    "roc": [{"label": "duck", "x": [0.0, 0.5, 1.0], "y": [0.0, 0.9, 1.0], "area": 0.9375}],
    "precision_recall": [{"label": "duck", "x": [0.0, 1.0], "y": [1.0, 0.5], "area": 0.91}],
    "calibration": {"bins": [{"said": 0.2, "true": 0.25, "rows": 8}], "brier": 0.11, "ece": 0.05},
    "thresholds": [{"threshold": 0.5, "validation": OUTCOME, "holdout": OUTCOME}],
    "segments": [
        {"column": f"part {n}", "segments": [{"name": "a", "rows": 30, "error": 0.1, "low": 0.0, "high": 0.2}]}
        for n in range(6)
    ],
    "coverage": {"level": 0.9, "reach": 0.4, "calibration_rows": 32, "covered": 0.875, "size": 1.25},
}
KEYS = {
    *("confusion", "classes", "roc", "precision-recall", "calibration", "thresholds"),
    *("segments-1", "segments-2", "segments-3", "segments-4", "segments"),
}


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def store(model, document) -> None:
    blobs = get_blobs()
    name = blobs.model_file(model.user_id, model.id, 1, "figures", "json")
    blobs.upload_bytes(blobs.models_container, name, json.dumps(document).encode())


def url(model) -> str:
    return reverse("models:figures", args=[model.id, 1])


def data(model, key) -> str:
    return reverse("models:figure_data", args=[model.id, 1, key])


def test_the_models_page_asks_for_its_figures_and_links_to_them(owner, model):
    page = owner.get(reverse("models:detail", args=[model.id])).content.decode()
    assert f'hx-get="{url(model)}"' in page
    assert f'href="{url(model)}"' in page


def test_every_figure_has_its_numbers_as_a_table_and_as_a_file(owner, model):
    store(model, CLASSES)
    page = owner.get(url(model)).content.decode()
    fragment = owner.get(url(model), headers=HX).content.decode()
    assert "<html" in page
    assert "<html" not in fragment
    for key in KEYS:
        assert f'data-test="figure-{key}"' in fragment
        answer = owner.get(data(model, key))
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/csv")
    confusion = owner.get(data(model, "confusion")).content.decode().splitlines()
    assert confusion == ["is \\ said,dog,<b>duck</b>", "dog,4,0", "<b>duck</b>,1,3"]
    assert "0.938" in fragment
    assert "it does in 87.5%. It holds 1.25 classes on average." in fragment


def test_names_of_classes_are_text_in_the_page_and_in_the_figure(owner, model):
    store(model, CLASSES)
    page = owner.get(url(model)).content.decode()
    assert "<b>duck" not in page


def test_numbers_have_figures_of_their_own(stack, owner, user):
    model = stored_model(user.id, stored_dataset(user.id))
    store(
        model,
        {
            "rows": 5000,
            "actual": [1.0, 2.0],
            "predicted": [1.5, 1.0],
            "residuals": {"edges": [-1.0, 0.0, 1.0], "counts": [3, 2]},
            "segments": [],
        },
    )
    page = owner.get(url(model)).content.decode()
    assert "2 of 5,000 rows, drawn at random" in page
    assert owner.get(data(model, "residuals")).content.decode().splitlines()[1:] == ["-1.0,0.0,3", "0.0,1.0,2"]
    assert owner.get(data(model, "roc")).status_code == 404


def test_a_model_from_before_there_were_figures_says_so(owner, model):
    page = owner.get(url(model)).content.decode()
    assert "Train again to have them" in page
    assert owner.get(data(model, "roc")).status_code == 404
    assert services.model_diagnosis(model=model, version=1) is None


def test_nobody_else_sees_them(client, client_for, other_user, staff, model):
    store(model, CLASSES)
    for address in (url(model), data(model, "roc")):
        assert client_for(other_user).get(address).status_code == 404
        assert client_for(staff).get(address).status_code == 404
        anonymous = client.get(address)
        assert anonymous.status_code == 302
        assert anonymous["Location"].startswith(reverse("accounts:sign_in"))
    assert client_for(other_user).get(reverse("models:figures", args=[model.id, 2])).status_code == 404


def test_a_promise_that_the_rows_held_out_did_not_keep_is_said():
    kept = {"level": 0.9, "reach": 1234.5678, "calibration_rows": 90, "covered": 0.86, "size": 1.0}
    assert "± 1235 was to hold" in coverage_sentence(kept, 120, is_number=True)
    assert "Count on larger errors" not in coverage_sentence(kept, 120, is_number=True)
    assert "Count on larger errors" in coverage_sentence(kept | {"covered": 0.4}, 120, is_number=True)
    # Of three rows one may well be elsewhere.
    assert "Count on larger errors" not in coverage_sentence(kept | {"covered": 0.667}, 3, is_number=True)
