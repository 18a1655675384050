"""The model pages: what the owner sees, and that nobody else sees anything."""

import re
from dataclasses import replace

import pytest
from django.core.cache import cache
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import User
from datasets import services as datasets
from ml.prediction import Feature, Finding
from models_app import repository
from models_app.prediction_form import PredictionForm
from models_app.prediction_presenter import present_prediction
from models_app.services import Prediction
from storage.blobs import get_blobs, reset_blobs
from storage.ids import new_id
from tests.factories import EVALUATION, LEGS, running_job, stored_dataset, stored_model
from tests.services import CLOSED_PORT

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def _urls(model):
    return {
        "detail": reverse("models:detail", args=[model.id]),
        "predict": reverse("models:predict", args=[model.id, 1]),
        "download": reverse("models:download", args=[model.id, 1]),
        "delete": reverse("models:delete", args=[model.id]),
    }


def test_the_page_shows_the_holdout_score_beside_its_baseline(owner, model):
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "0.875" in page
    assert "Baseline <strong>0.5</strong>" in page
    assert "On 8 rows the model had never seen, it was right 87.5% of the time" in page
    assert "LightGBM" in page


def test_the_parts_of_a_long_page_are_a_click_away(owner, model):
    page = owner.get(_urls(model)["detail"]).content.decode()
    jumps = re.findall(
        r'href="#([a-z-]+)"', page.partition('aria-label="Parts of this page"')[2].partition("</nav>")[0]
    )
    assert jumps[0] == "predict"
    assert all(f'id="{jump}"' in page for jump in jumps)


def test_a_score_no_better_than_the_baseline_is_said_plainly(stack, owner, user):
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset, evaluation=replace(EVALUATION, score=0.5, metrics={"accuracy": 0.5}))
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "no better than that of a guess" in page


def test_scores_stand_with_their_intervals_and_ties_are_marked(stack, owner, user):
    [first] = EVALUATION.leaderboard
    chosen = replace(first, interval=(0.75, 0.95), tied=True, one_row_seconds=0.02, size=3_000_000)
    quick = replace(chosen, name="LinearModel", holdout_score=0.87, interval=(0.74, 0.94), one_row_seconds=0.001)
    poor = replace(chosen, name="Stump", holdout_score=0.5, interval=(0.4, 0.6), tied=False, one_row_seconds=None)
    evaluation = replace(
        EVALUATION,
        leaderboard=(chosen, quick, poor),
        intervals={"accuracy": (0.75, 0.95)},
        resamples=1000,
        recommended="LinearModel",
    )
    page = owner.get(_urls(stored_model(user.id, stored_dataset(user.id), evaluation=evaluation))["detail"])
    text = " ".join(strip_tags(page.content.decode()).split())
    assert "0.75 to 0.95 with 95 % confidence" in text
    assert "LinearModel tie 0.9 0.87 0.74 to 0.94 2 s 1 ms 2.9 MB" in text
    assert "Stump 0.9 0.5 0.4 to 0.6 2 s – 2.9 MB" in text
    assert "1 other model is marked as a tie: 1,000 resamples of the 8 rows held out do not tell it from" in text
    assert "LinearModel is the quickest of the tie: 1 ms for one row instead of 20 ms." in text
    assert "The holdout has one class only." in text
    assert re.search(r'name="answer_ms"\s+value="10"', page.content.decode())
    by_group = replace(evaluation, resampled_groups=5)
    page = owner.get(_urls(stored_model(user.id, stored_dataset(user.id), evaluation=by_group))["detail"])
    assert "resamples of the 5 groups held out" in " ".join(strip_tags(page.content.decode()).split())


def test_a_model_than_which_none_is_quicker_offers_no_quicker_one(owner, model):
    assert 'data-test="faster"' not in owner.get(_urls(model)["detail"]).content.decode()


def test_a_model_from_before_there_were_intervals_has_no_empty_columns(owner, model):
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "95 %" not in page
    assert "marked as a tie" not in page


def test_the_list_searches_by_name_in_page_and_fragment(owner, model):
    found = owner.get(reverse("models:list"), {"q": "ANIM"})
    assert model.name in found.content.decode()
    fragment = owner.get(reverse("models:list"), {"q": "zebra"}, headers=HX)
    assert model.name not in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert "HX-Request" in fragment["Vary"]


def test_the_download_is_the_stored_zip_with_a_safe_name(owner, model, user):
    repository.rename(model_id=model.id, user_id=user.id, name='we"ird; naïve 🦆/../x')
    response = owner.get(_urls(model)["download"])
    assert b"".join(response.streaming_content) == b"PK not a predictor"
    assert response["Content-Length"] == "18"
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''we%22ird%3B")


def test_an_unknown_version_is_a_404(owner, model):
    for number in (0, 2, 99):
        assert owner.get(reverse("models:download", args=[model.id, number])).status_code == 404
    for version in ("0", "7", "x", "-1", "1" * 40):
        assert owner.get(_urls(model)["detail"], {"version": version}).status_code == 404


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_renaming(owner, model, headers):
    url = reverse("models:rename", args=[model.id])
    response = owner.post(url, {"name": "Better"}, headers=headers)
    assert response.status_code == (200 if headers else 302)
    assert "Better" in owner.get(_urls(model)["detail"]).content.decode()
    refused = owner.post(url, {"name": "  "}, headers=headers)
    assert refused.status_code == 422
    assert "needs a name" in refused.content.decode()
    for name in ("x" * 121, "a\x01b"):
        assert owner.post(url, {"name": name}, headers=headers).status_code == 422


def test_deleting_shows_a_receipt_and_leaves_nothing(owner, model, user):
    asked = owner.get(_urls(model)["delete"])
    assert "cannot be undone" in asked.content.decode()
    receipt = owner.post(_urls(model)["delete"])
    text = receipt.content.decode()
    assert receipt.status_code == 200
    assert "3 files removed" in text
    assert f"{user.id}/{model.id}/model-v1.zip" in text
    assert "nothing is left there" in text
    blobs = get_blobs()
    assert list(blobs.list_prefix(blobs.models_container, blobs.model_prefix(user.id, model.id))) == []
    assert repository.get(model_id=model.id, user_id=user.id) is None
    assert owner.get(_urls(model)["detail"]).status_code == 404
    assert owner.post(_urls(model)["delete"]).status_code == 404


def without_storage(settings) -> None:
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    reset_blobs()
    cache.clear()


def test_a_lost_blob_leaves_the_facts_and_the_way_to_delete(owner, model, user):
    get_blobs().delete_model(user_id=user.id, model_id=model.id)
    cache.clear()
    response = owner.get(_urls(model)["detail"])
    page = response.content.decode()
    assert response.status_code == 410
    assert "no longer in blob storage" in page
    assert "upload the file again" not in page
    for fact in ("0.875", "Baseline <strong>0.5</strong>", model.current.zip_sha256, _urls(model)["delete"]):
        assert fact in page
    assert "Leaderboard" not in page
    assert "hx-trigger" not in page.partition("<main")[2]
    assert owner.get(_urls(model)["predict"], headers=HX).status_code == 410
    assert owner.post(_urls(model)["delete"]).status_code == 200


def test_storage_that_is_away_leaves_the_facts(owner, model, settings):
    without_storage(settings)
    response = owner.get(_urls(model)["detail"])
    assert response.status_code == 503
    for fact in (model.name, "0.875", model.current.azure_model_url, _urls(model)["delete"]):
        assert fact in response.content.decode()


def test_a_deletion_that_failed_can_be_finished_by_its_owner(owner, model, user, other_user, client_for, settings):
    address = settings.AZURE_ACCOUNT_URL
    without_storage(settings)
    assert owner.post(_urls(model)["delete"]).status_code == 503
    settings.AZURE_ACCOUNT_URL = address
    reset_blobs()
    left = repository.get(model_id=model.id, user_id=user.id)
    assert left is not None
    assert left.status == "deleting"

    for place in ("models:list", "dashboard"):
        page = owner.get(reverse(place)).content.decode()
        assert model.name in page
        assert f'href="{_urls(model)["detail"]}"' not in page
    listed = owner.get(reverse("models:list")).content.decode()
    assert re.search(rf'href="{_urls(model)["delete"]}">\s*Finish deleting', listed)
    assert owner.get(_urls(model)["detail"]).status_code == 404
    assert client_for(other_user).get(_urls(model)["delete"]).status_code == 404
    asked = owner.get(_urls(model)["delete"])
    assert asked.status_code == 200
    assert "Finish deleting" in asked.content.decode()
    assert "Keep it" not in asked.content.decode()
    assert "3 files removed" in owner.post(_urls(model)["delete"]).content.decode()
    assert repository.get(model_id=model.id, user_id=user.id) is None


@pytest.mark.parametrize("who", ["other", "staff"])
def test_nobody_else_finds_the_model(model, client_for, other_user, staff, who):
    client = client_for(other_user if who == "other" else staff)
    for url in _urls(model).values():
        assert client.get(url).status_code == 404
        assert client.get(url, headers=HX).status_code == 404
    assert client.post(reverse("models:rename", args=[model.id]), {"name": "mine"}).status_code == 404
    assert client.post(_urls(model)["delete"]).status_code == 404
    assert client.post(_urls(model)["predict"], {"f0": "4"}).status_code == 404
    assert model.name not in client.get(reverse("models:list")).content.decode()


def test_anonymous_visitors_are_sent_to_the_sign_in(model, client):
    for url in _urls(model).values():
        response = client.get(url)
        assert response.status_code == 302
        assert response.url.startswith(reverse("accounts:sign_in"))


def test_another_persons_model_cannot_be_trained_again(stack, user, other_user, client_for):
    theirs = stored_model(user.id, stored_dataset(user.id))
    mine = stored_dataset(other_user.id)
    client = client_for(other_user)
    url = reverse("models:train", args=[mine.id])
    assert client.get(url, {"model": theirs.id}).status_code == 404
    assert client.get(url, {"model": "../x"}).status_code == 404
    posted = {"target": "species", "preset": "quick", "job_id": new_id(), "model_id": theirs.id}
    assert client.post(url, posted).status_code == 404


def test_two_versions_stand_side_by_side(stack, owner, user: User):
    dataset = stored_dataset(user.id)
    first = stored_model(user.id, dataset)
    number = repository.next_version(model_id=first.id, user_id=user.id)
    job = running_job(user.id, dataset, model_id=first.id, version=number)
    second = stored_model(user.id, dataset, job=job)
    assert [v.version for v in second.versions] == [1, 2]
    page = owner.get(reverse("models:detail", args=[first.id])).content.decode()
    assert "Version 1" in page
    assert "Version 2" in page
    for version in (1, 2):
        assert owner.get(reverse("models:download", args=[first.id, version])).status_code == 200


def test_a_poor_accuracy_with_a_useful_ranking_is_not_called_useless(stack, owner, user):
    poor = replace(
        EVALUATION,
        score=0.5,
        metrics={"accuracy": 0.5, "roc_auc": 0.9},
        baseline_metrics={"accuracy": 0.5, "roc_auc": 0.5},
    )
    model = stored_model(user.id, stored_dataset(user.id), evaluation=poor)
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert "Accuracy is no better than that of a guess" in page
    assert "ROC AUC 0.9" in page
    assert "Do not rely on it" not in page


def test_one_sided_metrics_name_their_class(owner, model):
    assert "ROC AUC for “duck”" in owner.get(_urls(model)["detail"]).content.decode()


def test_repeated_rows_are_said_among_the_facts(owner, user, model):
    assert "Repeated rows" not in owner.get(_urls(model)["detail"]).content.decode()
    for count, sentence in ((1, "1 row repeats another row"), (1200, "1,200 rows repeat another row")):
        repeats = replace(EVALUATION, duplicate_rows=count)
        model = stored_model(user.id, stored_dataset(user.id), evaluation=repeats)
        page = owner.get(_urls(model)["detail"]).content.decode()
        assert f"{sentence}; copies were kept on one side of the split." in page


# --- The prediction form -------------------------------------------------------------------------------------
def category(name: str, *values: str) -> Feature:
    return Feature(
        name=name, type="category", kind="category", dtype="object", categories=values, default=values[0]
    )


def wide(count: int) -> tuple[Feature, ...]:
    return tuple(replace(LEGS, name=f"legs {number}", default=number) for number in range(count))


def test_the_page_loads_its_form_by_itself_or_by_a_link(owner, model):
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert 'name="f0"' not in page
    assert f'hx-get="{_urls(model)["predict"]}"' in page
    assert 'hx-trigger="load"' in page
    assert f'href="{_urls(model)["predict"]}"' in page
    fragment = owner.get(_urls(model)["predict"], headers=HX).content.decode()
    assert 'name="f0"' in fragment
    assert "<html" not in fragment
    assert "<html" in owner.get(_urls(model)["predict"]).content.decode()


def test_a_wide_model_shows_its_first_features_and_says_so(owner, user, stack):
    model = stored_model(user.id, stored_dataset(user.id), features=wide(1000))
    url = _urls(model)["predict"]
    fragment = owner.get(url, headers=HX).content.decode()
    assert fragment.count("data-column") == 60
    assert "The first 60 of 1,000 columns" in fragment
    assert f'{url}?all=1"' in fragment
    whole = owner.get(url, {"all": "1"}, headers=HX).content.decode()
    assert whole.count("data-column") == 1000
    assert 'name="all" value="1"' in whole
    wrong = owner.post(url, {"all": "1", "f999": "many"}, headers=HX)
    assert wrong.status_code == 422
    assert 'name="f999"' in wrong.content.decode()


def test_folded_features_keep_their_usual_values():
    features = (*wide(61), category("colour", "red", "blue"), replace(LEGS, name="note", kind="text", default=None))
    form = PredictionForm({"f0": "7"}, features=features)
    assert form.is_valid()
    assert list(form.folded) == ["legs 60", "colour", "note"]
    values = form.values()
    assert (values["legs 0"], values["legs 1"]) == ("7", "")
    assert (values["legs 60"], values["colour"], values["note"]) == ("60", "red", "")


@pytest.mark.parametrize("value", ["\u00a0red", "dark\r\nred", "dark\nred", "  red ", "0"])
def test_every_category_can_be_chosen(value):
    features = (category("colour", "blue", value),)
    shown = str(PredictionForm(features=features)["f0"])
    assert '<option value="0" selected>blue' in shown
    form = PredictionForm({"f0": "1"}, features=features)
    assert form.is_valid()
    assert form.values() == {"colour": value}
    assert PredictionForm({"f0": ""}, features=features).is_valid()
    assert "f0" in PredictionForm({"f0": "blue"}, features=features).errors


def test_a_typed_value_is_left_as_it_is():
    form = PredictionForm({"f0": "\u00a0x "}, features=(replace(LEGS, type="text", kind="text"),))
    assert form.is_valid()
    assert form.values() == {"legs": "\u00a0x "}


def test_the_answer_is_announced_and_what_is_folded_is_not_warned_about(model):
    answer = Prediction(
        prediction="duck",
        probabilities={"dog": 0.1, "duck": 0.9},
        findings=tuple(Finding(field=name, kind="missing", message=f"No {name}.") for name in ("legs", "wings")),
    )
    view = present_prediction(answer, model.current, folded={"wings"})
    form = PredictionForm(features=(LEGS,))
    assert form.add_findings(view.findings) == ()
    context = {"model": model, "version": model.current, "form": form, "prediction": view}
    shown = render_to_string("models_app/_predict.html", context)
    assert 'data-announce="species: duck, 90.0 %"' in shown
    assert "No legs." in shown
    assert "No wings." not in shown


@pytest.mark.parametrize(("search", "sentence"), [("anim", "1 model found"), ("zebra", "No model found")])
def test_the_number_of_models_found_is_announced(owner, model, search, sentence):
    fragment = owner.get(reverse("models:list"), {"q": search}, headers=HX).content.decode()
    assert f'data-announce="{sentence}"' in fragment


def test_a_model_with_thousands_of_features_takes_its_form(owner, model):
    values = {f"f{number}": "1" for number in range(3000)}
    response = owner.post(_urls(model)["predict"], values)
    # The stored zip of this model is no predictor; what matters is that the form got through.
    assert response.status_code != 400


def test_a_model_outlives_its_dataset_and_offers_no_dead_link(stack, owner, user):
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset)
    dataset_url = reverse("datasets:detail", args=[dataset.id])
    assert dataset_url in owner.get(_urls(model)["detail"]).content.decode()
    datasets.delete_dataset(user_id=user.id, dataset_id=dataset.id)
    page = owner.get(_urls(model)["detail"]).content.decode()
    assert dataset_url not in page
    assert "(deleted since)" in page
    assert reverse("models:train", args=[dataset.id]) not in page
