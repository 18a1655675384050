"""Which columns the training form says had better be left out."""

import re
from dataclasses import replace

import pytest
from bson import ObjectId
from django.urls import reverse

from datasets.activities import ActivityKind
from storage.mongo import get_database
from tests.factories import stored_dataset, stored_model
from tests.profiles import RELATION, fail, store_relation, work_on

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
TICKED = re.compile(r'name="leave_out"\s+value="(\w+)"\s+checked')


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


def told(client, dataset, **query) -> str:
    url = reverse("models:train_evidence", args=[dataset.id])
    return client.get(url, query, headers=HX).content.decode()


def test_columns_that_give_the_target_away_are_named_with_a_form_without_them(client_for, user, dataset):
    store_relation(dataset)
    model_id = str(ObjectId())
    text = told(client_for(user), dataset, target="species", suspects_of="species", model_id=model_id)
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
    assert TICKED.findall(client.get(form, {"target": "species"}).content.decode()) == ["wings"]
    assert TICKED.findall(client.get(form, {"target": "legs"}).content.decode()) == []
    model = stored_model(user.id, dataset)
    assert TICKED.findall(client.get(form, {"model": model.id}).content.decode()) == []


def test_what_is_left_out_stands_first_in_the_list(client_for, user, dataset):
    page = client_for(user).get(reverse("models:train", args=[dataset.id]), {"leave_out": "wings"}).content.decode()
    assert re.findall(r'name="leave_out"\s+value="(\w+)"', page)[0] == "wings"


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
    assert f'hx-get="{reverse("models:train_evidence", args=[dataset.id])}"' in text
    # Else that of the form around it is inherited, and the form is replaced.
    assert 'hx-target="this"' in text.partition('id="evidence"')[2]


def test_they_are_ticked_when_they_become_known_in_place_of_those_of_another_target(client_for, user, dataset):
    client = client_for(user)
    assert "to leave them out" in told(client, dataset, target="species")
    store_relation(dataset)
    url = reverse("models:train_evidence", args=[dataset.id])
    answer = client.get(url, {"target": "species", "leave_out": ["legs", "species"]}, headers=HX)
    text = answer.content.decode()
    assert TICKED.findall(text) == ["legs", "wings"]
    assert 'hx-swap-oob="innerHTML:#leave-out"' in text
    assert "It is left out" in text
    assert "left-out" in answer["HX-Trigger-After-Settle"]
    # Another target, which nothing gives away, has nothing left out for the first one's sake.
    nothing = replace(RELATION, target="legs", relations=(), checks=())
    store_relation(dataset, nothing)
    text = told(client, dataset, target="legs", leave_out=["wings"], suspects_of="species")
    assert "No other column" in text
    assert TICKED.findall(text) == []
    assert "hx-swap-oob" in text


def test_what_a_person_unticked_stays_unticked_and_is_not_said_to_be_left_out(client_for, user, dataset):
    store_relation(dataset)
    text = told(client_for(user), dataset, target="species", suspects_of="species")
    assert "hx-swap-oob" not in text
    assert "may be too good" in text
    assert "Start the form without it" in text


def test_a_search_that_failed_is_not_taken_for_a_clean_table(client_for, user, dataset):
    client = client_for(user)
    told(client, dataset, target="species")
    fail(work_on(dataset, ActivityKind.RELATION))
    text = told(client, dataset, target="species")
    assert "could not be looked for" in text
    assert "There was not enough memory." in text
    assert "hx-get" not in text


def test_the_form_knows_whose_suspects_it_has_ticked(client_for, user, dataset):
    store_relation(dataset)
    client, form = client_for(user), reverse("models:train", args=[dataset.id])
    noted = re.compile(r'name="suspects_of"(?:\s+value="(\w+)")?')
    assert noted.findall(client.get(form, {"target": "species"}).content.decode()) == ["species"]
    assert noted.findall(client.get(form, {"target": "legs"}).content.decode()) == [""]
    model = stored_model(user.id, dataset)
    assert noted.findall(client.get(form, {"model": model.id}).content.decode()) == [model.versions[-1].target]
    posted = client.post(form, {"target": "species", "suspects_of": "species", "leave_out": ["legs"]})
    assert noted.findall(posted.content.decode()) == ["species"]
    assert TICKED.findall(posted.content.decode()) == ["legs"]
