"""A first dataset in one click."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from datasets import repository, samples, services
from datasets.records import Source
from tests.leftovers import assert_no_dataset_left, dataset_rows
from tests.web.dataset_pages import HX

SLUGS = [sample.slug for sample in samples.SAMPLES]
SHAPES = {"iris": (150, 5), "wine": (178, 14), "breast-cancer": (569, 31), "diabetes": (442, 11)}


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_one_click_makes_a_dataset(client, user, slug, headers):
    response = client.post(reverse("datasets:sample", args=[slug]), headers=headers)
    (row,) = dataset_rows()

    place = response["HX-Redirect"] if headers else response["Location"]
    assert place == reverse("datasets:detail", args=[str(row["_id"])])
    assert (row["source"], row["status"], row["target_column"]) == (Source.SAMPLE.value, "ready", None)
    assert (row["row_count"], row["column_count"], row["bad_row_count"]) == (*SHAPES[slug], 0)
    sample = next(each for each in samples.SAMPLES if each.slug == slug)
    dataset = services.get_dataset(user_id=user.id, dataset_id=str(row["_id"]))
    assert dataset.name == sample.title
    assert services.columns_of(dataset=dataset)[-1] == sample.target


def test_the_same_sample_again_leads_to_the_first(client, user, client_for, other_user):
    url = reverse("datasets:sample", args=["iris"])
    first, second = client.post(url), client.post(url)

    assert first["Location"] == second["Location"]
    assert "You have this sample already" in client.get(second["Location"]).content.decode()
    assert repository.totals(user_id=user.id).datasets_count == 1
    assert client_for(other_user).post(url)["Location"] != first["Location"]


@pytest.mark.parametrize("place", ["datasets:new", "datasets:list", "dashboard"])
def test_they_are_offered_where_there_is_nothing_yet(client, place):
    page = client.get(reverse(place)).content.decode()

    for slug in SLUGS:
        assert f'action="{reverse("datasets:sample", args=[slug])}"' in page
    assert page.count("csrfmiddlewaretoken") >= len(SLUGS)


def test_a_sample_that_does_not_exist_is_not_found(client, stack):
    assert client.post(reverse("datasets:sample", args=["titanic"])).status_code == 404
    assert client.get(reverse("datasets:sample", args=["iris"])).status_code == 405
    assert_no_dataset_left(stack)


def test_strangers_and_forged_forms_get_nothing(user, stack):
    assert (
        Client().post(reverse("datasets:sample", args=["iris"]))["Location"].startswith(reverse("accounts:sign_in"))
    )
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert forged.post(reverse("datasets:sample", args=["iris"])).status_code == 403
    assert_no_dataset_left(stack)


def test_classes_have_their_names_and_numbers_their_digits():
    iris = samples.content_of("iris").decode().splitlines()
    assert iris[0] == "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),species"
    assert iris[1] == "5.1,3.5,1.4,0.2,setosa"
    assert iris[-1].endswith(",virginica")
    assert samples.content_of("breast-cancer").decode().splitlines()[1].endswith(",malignant")
    assert samples.content_of("diabetes").decode().splitlines()[1] == (
        "59,2,32.1,101.0,157,93.2,38.0,4.0,4.8598,87,151"
    )
