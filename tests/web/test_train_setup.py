"""The advanced part of the training form: defaults, choices, refusals at their field, and prefilling."""

import re
from html import unescape

import pytest
from django.urls import reverse

from accounts import tickets
from ml.options import ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from models_app import jobs_repository, setup_form
from models_app.records import JobSettings
from tests.factories import queued_job, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db

VISITS = "patient,day,grade,age,outcome\n" + "".join(
    f"p{i % 12},2024-{1 + i // 28:02d}-{1 + i % 28:02d},{1 + i % 4},{20 + i % 50},{'ill' if i % 3 else 'well'}\n"
    for i in range(120)
)
CHOSEN = {
    "problem_type": "binary",
    "metric": "roc_auc",
    "holdout_share": "30",
    "holdout_kind": "time",
    "time_column": "day",
    "leave_out": ["patient", "age"],
    "families": ["lightgbm", "linear"],
    "class_weights": "balanced",
    "seed": "7",
    "answer_ms": "2.5",
}
AS_SETTINGS = JobSettings(
    target="outcome",
    preset=Preset.BALANCED,
    time_limit=40,
    problem_type=ProblemType.BINARY,
    metric="roc_auc",
    holdout_share=0.3,
    holdout_kind=HoldoutKind.TIME,
    holdout_column="day",
    leave_out=("patient", "age"),
    families=("lightgbm", "linear"),
    class_weights=ClassWeights.BALANCED,
    seed=7,
    answer_ms=2.5,
)


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id, content=VISITS, file_name="visits.csv")


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


@pytest.fixture
def send(owner, user, dataset):
    def post(headers=None, **changes):
        ticket = tickets.issue(user_id=user.id, purpose="training")
        data = {"target": "outcome", "preset": "balanced", "time_limit": "40", "ticket": ticket} | changes
        return owner.post(reverse("models:train", args=[dataset.id]), data, headers=headers or {})

    return post


@pytest.fixture
def show(owner, dataset):
    def get(**query):
        return owner.get(reverse("models:train", args=[dataset.id]), query).content.decode()

    return get


def asked_for(user):
    (job,) = jobs_repository.recent(user_id=user.id)
    return job.settings


def ticked(page, name):
    boxes = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
    return [re.search(r'value="([^"]*)"', box)[1] for box in boxes if re.search(r"\bchecked\b", box)]


def selected(page, name):
    (select,) = re.findall(rf'<select[^>]*name="{name}".*?</select>', page, re.DOTALL)
    return re.findall(r'value="([^"]*)"\s+selected', select)


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_what_is_chosen_is_what_the_job_is_asked_for(send, user, headers):
    response = send(headers, **CHOSEN)
    assert response.status_code == (200 if headers else 302)
    assert asked_for(user) == AS_SETTINGS


def test_what_is_not_sent_has_its_default(send, user):
    assert send().status_code == 302
    assert asked_for(user) == JobSettings(target="outcome", preset=Preset.BALANCED, time_limit=40)


def test_a_group_is_a_feature_only_when_that_is_ticked(send, user):
    send(holdout_kind="group", group_column="patient", time_column="day")
    assert (asked_for(user).holdout_column, asked_for(user).group_is_feature) == ("patient", False)


def test_columns_of_kinds_that_are_not_chosen_do_not_count(send, user):
    assert send(time_column="day", group_column="patient", group_is_feature="on").status_code == 302
    assert (asked_for(user).holdout_column, asked_for(user).group_is_feature) == (None, False)


REFUSED = {
    "problem type": ("problem_type", {"problem_type": "regression"}, "holds text, not numbers"),
    "two classes": ("problem_type", {"target": "grade", "problem_type": "binary"}, "needs exactly two"),
    "unknown problem type": ("problem_type", {"problem_type": "guess"}, "Select a valid choice"),
    "metric": ("metric", {"metric": "r2"}, "This metric does not fit: `outcome` is predicted as classes."),
    "metric of two classes": ("metric", {"target": "grade", "metric": "f1"}, "more than two classes"),
    "metric of classes": (
        "metric", {"target": "grade", "problem_type": "regression", "metric": "accuracy"}, "as a number"
    ),
    "share too small": ("holdout_share", {"holdout_share": "4"}, "Hold out 5 to 50 percent"),
    "share too large": ("holdout_share", {"holdout_share": "51"}, "Hold out 5 to 50 percent"),
    "share is no number": ("holdout_share", {"holdout_share": "half"}, "Enter a whole number."),
    "no time column": ("time_column", {"holdout_kind": "time"}, "Choose the column that holds the time"),
    "no group column": ("group_column", {"holdout_kind": "group"}, "Choose the column that holds the group"),
    "time is the target": ("time_column", {"holdout_kind": "time", "time_column": "outcome"}, "is the target"),
    "text": ("time_column", {"holdout_kind": "time", "time_column": "patient"}, "neither dates nor numbers"),
    "too few groups": (
        "group_column",
        {"holdout_kind": "group", "group_column": "grade"},
        "has 4 different values; at least 5 groups",
    ),
    "target left out": ("leave_out", {"leave_out": ["age", "outcome"]}, "is the target: it cannot be left out"),
    "everything left out": (
        "leave_out", {"leave_out": ["patient", "day", "grade", "age"]}, "nothing remains to predict from"
    ),
    "everything but the group left out": (
        "leave_out",
        {"leave_out": ["day", "grade", "age"], "holdout_kind": "group", "group_column": "patient"},
        "nothing remains",
    ),
    "unknown column": ("leave_out", {"leave_out": ["colour"]}, "has no column “colour”"),
    "unknown family": ("families", {"families": ["oracle"]}, "“oracle” cannot be fitted here."),
    "weights of numbers": (
        "class_weights",
        {"target": "age", "class_weights": "balanced"},
        "Class weights need classes; `age` is predicted as a number.",
    ),
    "seed": ("seed", {"seed": "-1"}, "The seed must be between 0 and 2147483647."),
    "answers too quick": ("answer_ms", {"answer_ms": "0.01"}, "greater than or equal to 0.1"),
    "large seed": ("seed", {"seed": str(2**31)}, "The seed must be between 0 and 2147483647."),
}  # fmt: skip


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
@pytest.mark.parametrize(("field", "changes", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_bad_choice_is_said_at_its_field_and_nothing_is_queued(send, user, field, changes, sentence, headers):
    response = send(headers, **changes)
    assert response.status_code == 422
    assert sentence in " ".join(response.context["form"].errors[field])
    page = unescape(response.content.decode())
    assert sentence in page
    assert f'id="id_{field}_error"' in page
    assert ("<html" in page) is not bool(headers)
    assert "<details" in page
    assert re.search(r"<details[^>]*\bopen\b", page)
    assert jobs_repository.recent(user_id=user.id) == ()


def test_a_form_that_comes_back_keeps_every_choice(send):
    page = send(**CHOSEN, model_name="\u200b").content.decode()
    assert ticked(page, "leave_out") == CHOSEN["leave_out"]
    assert ticked(page, "families") == CHOSEN["families"]
    assert ticked(page, "holdout_kind") == ["time"]
    assert selected(page, "time_column") == ["day"]
    assert selected(page, "metric") == ["roc_auc"]
    assert 'value="30"' in page


def test_a_used_form_can_be_sent_again_with_several_columns_left_out(send, owner, user, dataset):
    ticket = tickets.issue(user_id=user.id, purpose="training")
    send(ticket=ticket)
    again = send(ticket=ticket, **CHOSEN)
    assert again.status_code == 409
    assert ticked(again.content.decode(), "leave_out") == CHOSEN["leave_out"]


def test_the_simple_form_stays_closed_and_offers_what_is_installed(show, monkeypatch):
    page = show()
    assert not re.search(r"<details[^>]*\bopen\b", page)
    assert 'value="lightgbm"' in page
    assert "the share of rows answered rightly" in page
    (fewer,) = [family for family in setup_form.setup.families_offered() if family.name == "linear"]
    monkeypatch.setattr(setup_form.setup, "families_offered", lambda: (fewer,))
    assert 'value="lightgbm"' not in show()


def test_the_operator_may_offer_fewer_families(show, send, settings):
    settings.TRAINING_FAMILIES = ["GBM"]
    assert 'value="catboost"' not in show()
    assert "cannot be fitted here" in unescape(send(families=["catboost"]).content.decode())


def test_suspects_are_ticked_from_the_address_but_never_the_target(show):
    page = show(target="outcome", leave_out=["age", "grade", "outcome", "absent"])
    assert ticked(page, "leave_out") == ["grade", "age"]
    assert re.search(r"<details[^>]*\bopen\b", page)


def test_a_limit_for_one_row_comes_from_the_address_as_if_it_was_typed(show):
    assert re.search(r'name="answer_ms"\s+value="12.5"', page := show(answer_ms="12.5"))
    assert re.search(r"<details[^>]*\bopen\b", page)
    assert 'value="soon"' in show(answer_ms="soon")


def assert_prefilled(page):
    assert selected(page, "target") == ["outcome"]
    assert selected(page, "problem_type") == ["binary"]
    assert selected(page, "metric") == ["roc_auc"]
    assert selected(page, "time_column") == ["day"]
    assert selected(page, "class_weights") == ["balanced"]
    assert ticked(page, "preset") == ["balanced"]
    assert ticked(page, "holdout_kind") == ["time"]
    assert ticked(page, "leave_out") == ["patient", "age"]
    assert ticked(page, "families") == ["lightgbm", "linear"]
    for name, value in (("seed", 7), ("holdout_share", 30), ("time_limit", 40)):
        assert re.search(rf'name="{name}"\s+value="{value}"', page)


def test_training_again_begins_with_every_setting_of_the_version(show, user, dataset):
    job = queued_job(user.id, dataset, settings=AS_SETTINGS)
    jobs_repository.claim(job_id=job.id, owner="owner", lease_seconds=60)
    model = stored_model(user.id, dataset, job=job, settings=AS_SETTINGS)
    assert_prefilled(show(model=model.id))
    assert_prefilled(show(model=model.id, version="1"))
    assert_prefilled(show(model=model.id, version="99"))


def test_training_like_one_that_failed_begins_with_its_settings(show, owner, user, dataset):
    job = queued_job(user.id, dataset, settings=AS_SETTINGS)
    assert_prefilled(show(like=job.id))
    jobs_repository.request_cancel(job_id=job.id, user_id=user.id)
    page = owner.get(reverse("models:job", args=[job.id])).content.decode()
    assert f'href="{reverse("models:train", args=[dataset.id])}?like={job.id}"' in page


def test_a_version_from_before_settings_were_kept_is_trained_again(show, user, dataset):
    model = stored_model(user.id, dataset, job=None)
    page = show(model=model.id)
    assert selected(page, "target") == []  # that model's target is no column of this table
    assert ticked(page, "leave_out") == []


def test_settings_of_another_table_are_taken_as_far_as_they_fit(owner, user, dataset):
    job = queued_job(user.id, dataset, settings=AS_SETTINGS)
    other = stored_dataset(user.id, content=VISITS.replace("patient,day", "person,date"), file_name="other.csv")
    page = owner.get(reverse("models:train", args=[other.id]), {"like": job.id}).content.decode()
    assert ticked(page, "leave_out") == ["age"]
    assert ticked(page, "holdout_kind") == ["random"]


@pytest.mark.parametrize("like", ["0" * 24, "nonsense", "theirs"])
def test_nobody_trains_like_somebody_else(owner, dataset, other_user, like):
    if like == "theirs":
        like = queued_job(other_user.id, stored_dataset(other_user.id)).id
    assert owner.get(reverse("models:train", args=[dataset.id]), {"like": like}).status_code == 404


def test_nobody_else_sees_or_sends_the_form(client, client_for, other_user, dataset):
    url = reverse("models:train", args=[dataset.id])
    assert client_for(other_user).get(url).status_code == 404
    assert client_for(other_user).post(url, CHOSEN).status_code == 404
    assert client.get(url).status_code == 302
    assert client.post(url, CHOSEN).url.startswith(reverse("accounts:sign_in"))


# --- The fragment that looks at the target -------------------------------------------------------------------
def look(owner, dataset, **query):
    return unescape(
        owner.get(reverse("models:train_target", args=[dataset.id]), query, headers=HX).content.decode()
    )


def test_the_metrics_that_fit_the_question_replace_the_others(owner, dataset):
    fragment = look(owner, dataset, target="outcome", metric="roc_auc")
    assert 'id="metric-field"' in fragment
    assert selected(fragment, "metric") == ["roc_auc"]
    assert 'value="r2"' not in fragment
    assert "The usual one: RMSE" in look(owner, dataset, target="age")


def test_a_metric_that_does_not_fit_stays_to_be_seen(owner, dataset):
    fragment = look(owner, dataset, target="age", metric="roc_auc")
    assert "ROC AUC, does not fit" in fragment
    assert "metric-field" not in fragment


def test_few_whole_numbers_can_be_taken_for_either(owner, dataset):
    assert "predicted as a number (regression) instead" in look(owner, dataset, target="grade")
    chosen = look(owner, dataset, target="grade", problem_type="regression")
    assert "you chose to predict it as a number" in chosen
    assert "needs exactly two" in look(owner, dataset, target="grade", problem_type="binary")
    assert "yes/no question" in look(owner, dataset, target="outcome", problem_type="nonsense")


# --- What was chosen is said ---------------------------------------------------------------------------------
def test_the_page_of_the_job_says_what_was_chosen(owner, user, dataset):
    job = queued_job(user.id, dataset, settings=AS_SETTINGS)
    page = owner.get(reverse("models:job", args=[job.id])).content.decode()
    for said in (
        "ROC AUC",
        "the latest 30 % by <code>day</code>",
        "<code>patient</code>, <code>age</code>",
        "LightGBM, Linear models",
        "balanced in fitting",
    ):
        assert said in page
