"""The list of datasets: search, order, pages, and nobody else's rows."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from datasets import repository, services
from storage.ids import new_id
from tests.web.dataset_pages import HX, TABLE

URL = "/datasets/"


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


def store(user, name, content=TABLE):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="a.csv", name=name) as ingest:
        ingest.write(content)
        return ingest.commit()


def names(response):
    return re.findall(r'<a href="/datasets/[0-9a-f]{24}">(.*?)</a>', response.content.decode())


def test_an_empty_list_says_what_to_do_next(client):
    html = client.get(URL).content.decode()

    assert "No dataset yet" in html
    assert reverse("datasets:new") in html


def test_the_list_shows_facts_and_totals(client, user):
    dataset = store(user, "Cities")
    services.set_target(user_id=user.id, dataset_id=dataset.id, target_column="price")
    html = client.get(URL).content.decode()

    assert "Cities" in html
    assert "<code>price</code>" in html
    assert re.search(r"1 dataset,\s+38.bytes in storage", html)


def test_a_name_is_text_not_markup(client, user):
    store(user, "<script>alert(1)</script>")
    html = client.get(URL).content.decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_search_and_order(client, user):
    store(user, "beta")
    store(user, "alpha", TABLE * 1 + b"Oslo,40\n")
    store(user, "Alphabet")

    assert names(client.get(URL)) == ["Alphabet", "alpha", "beta"]
    assert names(client.get(URL, {"sort": "uploaded_at"})) == ["beta", "alpha", "Alphabet"]
    assert names(client.get(URL, {"sort": "-row_count"}))[0] == "alpha"
    assert sorted(names(client.get(URL, {"q": "ALPHA"}))) == ["Alphabet", "alpha"]
    assert names(client.get(URL, {"sort": "no such order"})) == ["Alphabet", "alpha", "beta"]
    assert "No dataset of that name" in client.get(URL, {"q": ".*"}).content.decode()


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
@pytest.mark.parametrize("search", ["x" * 121, "cit\x00ies"], ids=["too long", "NUL"])
def test_a_search_that_no_name_can_match_finds_nothing(client, user, search, headers):
    store(user, "Cities")
    response = client.get(URL, {"q": search}, headers=headers)

    assert response.status_code == 200
    assert names(response) == []
    assert "No dataset of that name" in response.content.decode()


def test_pages_continue_and_repeat_nothing(client, user):
    for index in range(23):
        store(user, f"set {index:02}")
    first = client.get(URL, {"sort": "name"})
    more = re.search(r'id="dataset-more".*?href="(.*?)"', first.content.decode(), re.DOTALL).group(1)
    more = more.replace("&amp;", "&")
    second = client.get(URL + more)

    assert names(first) + names(second) == [f"set {index:02}" for index in range(23)]
    assert "dataset-more" not in second.content.decode()
    rows = client.get(URL + more, headers={**HX, "HX-Target": "dataset-more"})
    assert names(rows) == names(second)
    assert rows.content.decode().lstrip().startswith("<tr")


def test_a_fragment_is_the_results_alone(client, user):
    store(user, "alpha")
    response = client.get(URL, {"q": "al"}, headers={**HX, "HX-Target": "dataset-results"})

    assert names(response) == ["alpha"]
    html = response.content.decode()
    assert html.lstrip().startswith('<div id="dataset-results"')
    assert 'data-announce="1 dataset found"' in html
    assert "HX-Request" in response["Vary"]


def test_a_history_restore_gets_the_page(client):
    response = client.get(URL, headers={**HX, "HX-History-Restore-Request": "true"})

    assert "<html" in response.content.decode()


def test_a_malformed_cursor_is_refused(client):
    assert client.get(URL, {"cursor": "nonsense"}).status_code == 422


def test_uploads_that_run_are_not_listed_and_deletions_can_be_finished(client, user):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="running.csv"):
        assert "No dataset yet" in client.get(URL).content.decode()
    dataset = store(user, "half gone")
    repository.mark_deleting(dataset_id=dataset.id, user_id=user.id)
    html = client.get(URL).content.decode()

    assert "being deleted" in html
    assert reverse("datasets:delete", args=[dataset.id]) in html


def test_other_people_see_nothing_of_it(client_for, user, other_user):
    store(user, "mine")

    assert names(client_for(other_user).get(URL)) == []
    assert Client().get(URL)["Location"].startswith(reverse("accounts:sign_in"))
    response = Client().get(URL, headers={**HX, "HX-Current-URL": "http://testserver/datasets/"})
    assert "/datasets/" in response["HX-Redirect"].replace("%2F", "/")
