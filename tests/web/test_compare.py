"""Two versions side by side: what differs is marked, and nothing is compared that is not alike."""

import json
from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from datasets import activities
from ml.diagnosis import Diagnosis
from ml.options import HoldoutKind
from ml.setup_report import SetupReport
from ml.splits import HoldoutReport
from models_app import repository, services
from models_app.compare_figures import overlaid
from models_app.records import JobSettings
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import EVALUATION, LEGS, running_job, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db
WEIGHT = replace(LEGS, name="weight", type="numeric")
COMPARE, PAIRED = "/models/compare", "/models/compare/paired"
PAIRING = {
    "format": 1,
    "rows": 40,
    "resamples": 1000,
    "apart": 0.125,
    "metrics": [
        {"metric": "accuracy", "left": 0.9, "right": 0.8, "difference": -0.1, "low": -0.15, "high": -0.05},
        {"metric": "log_loss", "left": 0.3, "right": 0.2, "difference": -0.1, "low": -0.2, "high": 0.01},
        {"metric": "f1", "left": 0.9, "right": 0.9, "difference": 0.0, "low": None, "high": None},
    ],
    "why_not": "",
}


def curve(area):
    return [{"label": "duck", "x": [0.0, 0.5, 1.0], "y": [0.0, area, 1.0], "area": area}]


def diagnosis(area) -> Diagnosis:
    bins = [{"said": 0.2, "true": area / 2, "rows": 4}]
    calibration = {"bins": bins, "brier": 0.1, "ece": 0.05}
    return {"rows": 8, "roc": curve(area), "precision_recall": curve(area), "calibration": calibration}


def setup(seed):
    return SetupReport(holdout=HoldoutReport(kind=HoldoutKind.RANDOM, share=0.2, seed=seed), seed=seed)


def version(user, dataset, *, model=None, number=1, score=0.875, seed=0, features=(LEGS,), **changes):
    """A stored version with an evaluation and figures."""
    settings = changes.pop("settings", JobSettings(target="species", seed=seed))
    evaluation = replace(
        EVALUATION,
        score=score,
        metrics={"accuracy": score},
        intervals={"accuracy": (score - 0.05, score + 0.05)},
        resamples=1000,
        setup=setup(seed),
        **changes,
    )
    if model is not None:
        repository.next_version(model_id=model.id, user_id=user.id)
    job = running_job(
        user.id, dataset, model_id=new_id() if model is None else model.id, version=number, settings=settings
    )
    made = stored_model(user.id, dataset, job=job, evaluation=evaluation, features=features, settings=settings)
    put(made, "figures", diagnosis(score), number)
    return made


def put(model, stem, document, number=1):
    get_blobs().put_model_file(
        user_id=model.user_id,
        model_id=model.id,
        version=number,
        stem=stem,
        ext="json",
        data=json.dumps(document).encode(),
    )


@pytest.fixture
def model(user, dataset):
    first = version(user, dataset)
    return version(user, dataset, model=first, number=2, score=0.75, seed=1, features=(LEGS, WEIGHT))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def which(model, left=1, right=2, other=None):
    return {"left": f"{model.id}:{left}", "right": f"{(other or model).id}:{right}"}


def text_of(response):
    return " ".join(strip_tags(response.content.decode()).split())


def test_what_differs_is_marked_and_the_difference_says_that_it_is_unpaired(owner, model):
    page = owner.get(COMPARE, which(model))
    text, html = text_of(page), page.content.decode()
    assert page.status_code == 200
    assert ["Accuracy headline 0.875 0.825 to 0.925 0.75 0.7 to 0.8 −0.125", "−0.19571", "to"][0] in text
    assert "left is better" in text
    assert "The difference here is unpaired" in text
    assert "luck is part of the difference: 20 % of the rows, at random (seed 0), and 20 %" in text
    assert "Only the right one looks at weight." in text
    assert "Seed (differs) 0 1" in text
    assert "Target species species" in text
    assert "Features (differs) 1 2" in text
    assert html.count('data-test="differs"') == 3  # seed, held out, features
    assert f'hx-get="{PAIRED}?left={model.id}%3A1&amp;right={model.id}%3A2"' in html
    for key in ("roc", "precision-recall", "calibration"):
        assert f'data-test="figure-{key}"' in html


def test_two_ticked_boxes_lead_there_and_any_other_number_to_a_choice(owner, model, user, dataset):
    second = version(user, dataset)
    listed = owner.get(reverse("models:list")).content.decode()
    for each in (f"{model.id}:2", f"{second.id}:1"):
        assert f'value="{each}"' in listed
    detail = owner.get(reverse("models:detail", args=[model.id])).content.decode()
    assert f'value="{model.id}:1"' in detail
    picked = owner.get(COMPARE, {"pick": [f"{model.id}:2", f"{second.id}:1"]})
    assert picked["Location"] == f"{COMPARE}?left={model.id}%3A2&right={second.id}%3A1"
    assert owner.get(picked["Location"]).status_code == 200
    versions = owner.get(COMPARE, {"pick": [f"{model.id}:2", f"{model.id}:1"]})
    assert versions["Location"] == f"{COMPARE}?left={model.id}%3A1&right={model.id}%3A2"
    for wrong in ([f"{model.id}:2"], [f"{model.id}:2"] * 2, ["a", "b", "c"]):
        refused = owner.get(COMPARE, {"pick": wrong})
        assert refused.status_code == 422
        assert "Choose two different versions to compare." in text_of(refused)
    assert owner.get(COMPARE, which(model, 1, 1)).status_code == 422
    choice = owner.get(COMPARE, {"left": f"{model.id}:1"})
    assert choice.status_code == 200
    assert f'<option value="{model.id}:1" selected>' in choice.content.decode()
    assert "Animals v1: species, 0.875 Accuracy" in text_of(choice)


def test_without_a_model_there_is_nothing_to_choose(stack, owner):
    assert owner.get(COMPARE).status_code == 200


def test_different_questions_are_not_compared(owner, model, user, dataset):
    wings = version(user, dataset, settings=JobSettings(target="wings"))
    page = owner.get(COMPARE, which(model, 1, 1, wings))
    text = text_of(page)
    assert "They predict different columns, species and wings: their scores cannot be compared." in text
    assert "No difference is computed" in text
    assert "is better" not in text
    assert "data-figure-plot" not in page.content.decode()
    assert PAIRED not in page.content.decode()
    section = owner.get(PAIRED, which(model, 1, 1, wings), headers=HX)
    assert "They answer different questions. So there is no paired comparison." in text_of(section)


def test_different_metrics_datasets_and_classes_are_said(owner, model, user):
    other = stored_dataset(user.id)
    loss = version(user, other, metric_name="log_loss", lower_is_better=True)
    text = text_of(owner.get(COMPARE, which(model, 1, 1, loss)))
    assert "The two scores are of different metrics, Accuracy and Log loss" in text
    assert "rows of different datasets" in text
    assert "Left in Accuracy, right in Log loss: not to be set against each other." in text
    section = text_of(owner.get(PAIRED, which(model, 1, 1, loss), headers=HX))
    assert "trained on different datasets" in section
    birds = version(user, other, classes=("dog", "goose"))
    assert "is better" not in text_of(owner.get(COMPARE, which(model, 1, 1, birds)))


def test_the_section_begins_the_work_polls_and_can_be_cancelled_and_tried_again(owner, model, user):
    pending = owner.get(PAIRED, which(model), headers=HX).content.decode()
    assert "<html" not in pending
    assert 'hx-trigger="load delay:2s"' in pending
    (work,) = activities.active_of_user(user_id=user.id)
    assert (work.model_id, work.version, work.subject) == (model.id, 1, f"{model.id}:2")
    query = f"left={model.id}:1&right={model.id}:2"
    stopped = owner.post(f"{PAIRED}/cancel?{query}", headers=HX).content.decode()
    assert "This was cancelled." in stopped
    assert "delay:2s" not in stopped
    assert "delay:2s" not in owner.get(PAIRED, which(model), headers=HX).content.decode()
    assert 'data-test="pairing"' in owner.post(f"{PAIRED}?{query}", headers=HX).content.decode()
    page = owner.post(f"{PAIRED}?{query}")
    assert "<html" in owner.get(page["Location"]).content.decode()
    assert len(activities.active_of_user(user_id=user.id)) == 1


def test_a_paired_difference_names_the_better_one_only_where_its_interval_leaves_out_zero(owner, model, user):
    put(model, f"compare-{model.id}-2", PAIRING)
    section = owner.get(PAIRED, which(model), headers=HX)
    text = text_of(section)
    assert "delay:2s" not in section.content.decode()
    assert (
        "Asked the same 40 rows, which neither had seen in its training, Animals v1 has the better Accuracy" in text
    )
    assert "They answer 12.5% of these rows differently." in text
    assert "Accuracy 0.9 0.8 −0.1 -0.15 to -0.05 left is better" in text
    assert "Log loss 0.3 0.2 −0.1 -0.2 to 0.01 cannot be told apart" in text
    assert "F1 0.9 0.9 0 – the same in every resample" in text
    put(model, f"compare-{model.id}-2", PAIRING | {"metrics": [], "why_not": "No row was held out from both."})
    assert "No row was held out from both. The unpaired difference is below." in text_of(
        owner.get(PAIRED, which(model))
    )
    assert activities.active_of_user(user_id=user.id) == ()


def test_a_model_that_goes_takes_its_comparisons_with_others_along(owner, model, user, dataset):
    other = version(user, dataset)
    put(model, f"compare-{other.id}-1", PAIRING)
    put(model, f"compare-{model.id}-2", PAIRING)
    services.delete_model(user_id=user.id, model_id=other.id)
    blobs = get_blobs()
    left = [blob.name for blob in blobs.list_prefix(blobs.models_container, f"{user.id}/")]
    assert [name.rpartition("/")[2] for name in left if "compare" in name] == [f"compare-{model.id}-2-v1.json"]


@pytest.mark.parametrize("path", [COMPARE, PAIRED, f"{PAIRED}/cancel"])
def test_ids_that_are_malformed_or_somebody_elses_are_not_found(model, owner, client_for, other_user, path):
    theirs = version(other_user, stored_dataset(other_user.id))
    ask = owner.post if path.endswith("cancel") else owner.get
    good = f"{model.id}:1"
    for bad in (
        f"{theirs.id}:1",
        f"{model.id}:9",
        model.id,
        f"{model.id}:0",
        f"{model.id}:-1",
        "x:1",
        "",
        f"{good} ",
    ):
        for left, right in ((good, bad), (bad, good)):
            for headers in ({}, HX):
                response = ask(f"{path}?left={left}&right={right}", headers=headers)
                assert response.status_code == 404, (left, right)
    assert client_for(other_user).get(COMPARE, which(model)).status_code == 404


def test_curves_of_both_are_in_one_figure_in_two_colours():
    roc, *_ = overlaid(diagnosis(0.9), diagnosis(0.8), ("A v1", "B <v2>"))
    _, left, right = roc.plot["data"]
    assert (left["name"], right["name"]) == ("A v1", "B &lt;v2&gt;")
    assert left["line"]["color"] != right["line"]["color"]
    assert roc.caption == "Area under the curve: A v1 “duck” 0.900; B <v2> “duck” 0.800."
    assert len(roc.rows) == 6
    numbers = {
        "rows": 2,
        "actual": [1.0, 2.0],
        "predicted": [1.5, 2.0],
        "residuals": {"edges": [-1.0, 0.0, 3.0], "counts": [1, 3]},
    }
    actual, residuals = overlaid(numbers, numbers | {"predicted": [0.0, 9.0]}, ("A", "B"))
    assert actual.plot["data"][0]["x"] == [0.0, 9.0]
    # Bins of different widths, comparable: the areas are the shares.
    assert residuals.rows[:2] == (("A", -1.0, 0.0, 0.25), ("A", 0.0, 3.0, 0.25))
    assert overlaid(numbers, diagnosis(0.9), ("A", "B")) == ()
