"""Which columns the training form says had better be left out."""

import re

import pytest
from bson import ObjectId
from django.urls import reverse

from datasets.activities import ActivityKind
from storage.mongo import get_database
from tests.factories import stored_dataset, stored_model
from tests.profiles import store_relation

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


def told(client, dataset, **query) -> str:
    url = reverse("models:train_evidence", args=[dataset.id])
    return client.get(url, query, headers=HX).content.decode()


def test_columns_that_give_the_target_away_are_named_with_a_form_without_them(client_for, user, dataset):
    store_relation(dataset)
    model_id = str(ObjectId())
    text = told(client_for(user), dataset, target="species", model_id=model_id)
    assert "wings alone tells species without a mistake." in text
    assert "legs alone" not in text
    form = reverse("models:train", args=[dataset.id])
    assert f'href="{form}?model={model_id}&amp;target=species&amp;leave_out=wings"' in text
    assert "hx-get" not in text


def test_columns_that_are_left_out_already_are_said_to_be(client_for, user, dataset):
    store_relation(dataset)
    text = told(client_for(user), dataset, target="species", leave_out=["legs", "wings"])
    assert "It is left out" in text
    assert "Start the form" not in text


def test_they_are_left_out_to_begin_with_but_not_again(client_for, user, dataset):
    store_relation(dataset)
    client, form = client_for(user), reverse("models:train", args=[dataset.id])
    ticked = re.compile(r'name="leave_out"\s+value="(\w+)"\s+checked')
    assert ticked.findall(client.get(form, {"target": "species"}).content.decode()) == ["wings"]
    assert ticked.findall(client.get(form, {"target": "legs"}).content.decode()) == []
    model = stored_model(user.id, dataset)
    assert ticked.findall(client.get(form, {"model": model.id}).content.decode()) == []


def test_where_nobody_has_looked_it_is_done_once_and_waited_for(client_for, user, dataset):
    client = client_for(user)
    for _ in range(2):
        text = told(client, dataset, target="legs")
        assert "Looking for columns" in text
        assert "load delay" in text
    begun = list(get_database()["activities"].find({"kind": ActivityKind.RELATION.value}))
    assert [each["subject"] for each in begun] == ["legs"]


def test_without_a_target_of_the_table_nothing_is_said_or_begun(client_for, user, dataset):
    assert told(client_for(user), dataset, target="nothing").strip() == ""
    assert get_database()["activities"].count_documents({"kind": ActivityKind.RELATION.value}) == 0


def test_the_choice_of_a_target_asks_for_the_evidence(client_for, user, dataset):
    url = reverse("models:train_target", args=[dataset.id])
    text = client_for(user).get(url, {"target": "species"}, headers=HX).content.decode()
    assert reverse("models:train_evidence", args=[dataset.id]) + "?target=species" in text
    # Else that of the form around it is inherited, and the form is replaced.
    assert 'hx-target="this"' in text.partition('id="evidence"')[2]
