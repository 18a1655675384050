"""The threshold of a yes/no question, chosen by what mistakes cost."""

import json
from dataclasses import replace

import pytest
from django.urls import reverse

from ml.options import HoldoutKind
from ml.setup_report import SetupReport
from ml.splits import HoldoutReport
from models_app.threshold_costs import cheapest, costs_of, nearest
from storage.blobs import get_blobs
from tests.factories import EVALUATION, stored_dataset, stored_model

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


def outcome(tp: int, fp: int, fn: int, tn: int) -> dict[str, int]:
    return {"tp": tp, "fp": fp, "fn": fn, "tn": tn}


# 100 validation rows with 20 yes; 50 rows held out with 10.
THRESHOLDS = [
    {"threshold": 0.2, "validation": outcome(20, 40, 0, 40), "holdout": outcome(10, 21, 0, 19)},
    {"threshold": 0.5, "validation": outcome(14, 8, 6, 72), "holdout": outcome(7, 5, 3, 35)},
    {"threshold": 0.8, "validation": outcome(5, 0, 15, 80), "holdout": outcome(2, 1, 8, 39)},
]


@pytest.fixture
def model(stack, user):
    model = stored_model(user.id, stored_dataset(user.id))
    keep_thresholds(model)
    return model


def keep_thresholds(model) -> None:
    blobs = get_blobs()
    name = blobs.model_file(model.user_id, model.id, 1, "figures", "json")
    blobs.upload_bytes(blobs.models_container, name, json.dumps({"rows": 50, "thresholds": THRESHOLDS}).encode())


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def url(model) -> str:
    return reverse("models:thresholds", args=[model.id, 1])


def test_what_a_mistake_costs_decides():
    even = costs_of(THRESHOLDS, false_alarm=1, miss=1)
    assert [cost.validation.cost for cost in even] == [400, 140, 150]
    assert cheapest(even).threshold == 0.5
    assert cheapest(costs_of(THRESHOLDS, false_alarm=1, miss=10)).threshold == 0.2
    assert cheapest(costs_of(THRESHOLDS, false_alarm=10, miss=1)).threshold == 0.8
    assert nearest(even, 0.6).threshold == 0.5
    middle = even[1].validation
    assert (middle.precision, middle.recall, middle.said_yes) == (14 / 22, 0.7, 0.22)
    assert middle.f1 == pytest.approx(2 * 14 / (28 + 8 + 6))


def test_of_thresholds_that_cost_the_same_the_models_own_is_kept():
    same = [THRESHOLDS[1] | {"threshold": value} for value in (0.4, 0.5, 0.6)]
    costs = costs_of(same, false_alarm=1, miss=1)
    assert cheapest(costs, usual=costs[0]).threshold == 0.4
    assert cheapest(costs).threshold == 0.5
    dearer = costs_of([THRESHOLDS[0], *same], false_alarm=1, miss=1)
    assert cheapest(dearer, usual=dearer[0]).threshold == 0.5


def test_where_there_is_nothing_to_share_there_is_no_share():
    never = {"threshold": 1.0, "validation": outcome(0, 0, 0, 9), "holdout": outcome(0, 0, 2, 7)}
    [nobody] = costs_of([never], false_alarm=1, miss=1)
    assert (nobody.validation.precision, nobody.validation.recall, nobody.validation.f1) == (None, None, None)
    assert (nobody.holdout.recall, nobody.holdout.f1) == (0, 0)


def test_the_models_own_threshold_stands_beside_the_cheapest(owner, user, stack):
    setup = SetupReport(holdout=HoldoutReport(kind=HoldoutKind.RANDOM, share=0.2, seed=0), threshold=0.79)
    model = stored_model(
        user.id, stored_dataset(user.id), evaluation=replace(EVALUATION, setup=setup, positive_class="duck")
    )
    keep_thresholds(model)
    text = " ".join(owner.get(url(model), headers=HX).content.decode().split())
    # 15 missed of 100 rows; 1 false alarm and 8 missed of 50.
    assert "says yes, that <code>species</code> is “duck”, from some probability on" in text
    assert "the model's own threshold of 0.79 cost 150 and 180." in text


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
def test_its_owner_tries_costs_and_thresholds(owner, model, headers):
    costs = {"false_alarm": "1", "miss": "10"}
    text = owner.get(url(model), costs, headers=headers).content.decode()
    assert "say yes from <strong>0.2</strong> on" in text
    assert "Threshold 0.2" in text
    text = owner.get(url(model), costs | {"threshold": "0.79"}, headers=headers).content.decode()
    assert "say yes from <strong>0.2</strong> on" in text
    assert "Threshold 0.8" in text
    assert ("<html" in text) == (not headers)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"false_alarm": "0", "miss": "0"}, "One of the two must cost something"),
        ({"false_alarm": "-1"}, "greater than or equal to 0"),
        ({"miss": "much"}, "Enter a number"),
        ({"threshold": "2"}, ""),
    ],
)
def test_costs_that_are_none_are_said_at_their_field(owner, model, asked, said):
    response = owner.get(url(model), asked, headers=HX)
    assert response.status_code == 422
    assert said in response.content.decode()


def test_nobody_else_and_no_other_question(client_for, other_user, owner, user, model):
    assert client_for(other_user).get(url(model)).status_code == 404
    without = stored_model(user.id, stored_dataset(user.id))
    assert owner.get(url(without)).status_code == 404
    assert url(model) in owner.get(reverse("models:detail", args=[model.id])).content.decode()
