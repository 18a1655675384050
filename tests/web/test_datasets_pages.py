"""One dataset: its page, its columns, its name and target, its download and its end."""

import hashlib
import re
import time

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from datasets import repository, services
from ml.records import MAX_RECORD_BYTES
from storage import blobs
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files
from tests.services import CLOSED_PORT
from tests.web.dataset_pages import HX, TABLE

VIEWS = ["detail", "rename", "target", "download", "delete"]
POSTS = {"rename": {"name": "Towns"}, "target": {"target_column": "price"}, "delete": {}}


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


def store(user, content=TABLE, name="Cities"):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="c.csv", name=name) as ingest:
        ingest.write(content)
        return ingest.commit()


@pytest.fixture
def dataset(user, stack):
    return store(user)


def url(name, dataset):
    return reverse(f"datasets:{name}", args=[dataset.id])


def reload(dataset):
    return repository.get(dataset_id=dataset.id, user_id=dataset.user_id)


# --- Who may --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_other_people_and_strangers_get_nowhere(client_for, other_user, dataset, view, headers):
    for method in ["get", "post"] if view in POSTS else ["get"]:
        arguments = [POSTS[view]] if method == "post" else []
        theirs = getattr(client_for(other_user), method)(url(view, dataset), *arguments, headers=headers)
        stranger = getattr(Client(), method)(url(view, dataset), *arguments, headers=headers)
        assert theirs.status_code == (405 if (view, method) == ("target", "get") else 404)
        place = stranger["HX-Redirect"] if headers else stranger["Location"]
        assert place.startswith(reverse("accounts:sign_in"))

    assert reload(dataset) == dataset


@pytest.mark.parametrize("view", VIEWS)
def test_ids_that_are_unknown_or_malformed_are_not_found(client, view, stack):
    path = reverse(f"datasets:{view}", args=["f" * 24])
    method = client.post if view == "target" else client.get
    assert method(path).status_code == 404
    for malformed in ["f" * 23, "F" * 24, "../../etc", "f" * 25]:
        assert method(path.replace("f" * 24, malformed)).status_code == 404


# --- The page -------------------------------------------------------------------------------------------------
def test_the_page_shows_facts_first_rows_and_choices(client, dataset, stack):
    response = client.get(url("detail", dataset))
    html = response.content.decode()

    assert response.status_code == 200
    for text in ["Cities", "comma", dataset.sha256, dataset.azure_dataset_url, "Berlin", "city", "price"]:
        assert text in html
    assert response.context["heads"][0][0] == "city"
    assert response.context["rows"][0] == ("Berlin", "10")
    assert f'hx-get="{url("profile_section", dataset)}"' in html
    assert reverse("models:train", args=[dataset.id]) in html
    assert temporary_files(stack) == []


def test_an_upload_that_runs_has_no_page(client, user):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="c.csv") as ingest:
        for view in ["detail", "profile", "rename", "download", "delete"]:
            assert client.get(url(view, ingest.dataset)).status_code == 404


def test_a_wide_table_shows_its_first_columns_only(client, user):
    wide = ",".join(f"c{i}" for i in range(200)) + "\n" + ",".join(["1"] * 200) + "\n"
    response = client.get(url("detail", store(user, wide.encode())))

    assert len(response.context["heads"]) == len(response.context["rows"][0]) == 60
    assert "140 more" in response.content.decode()


def long_rows(length: int) -> bytes:
    """A table whose first row has ``length`` bytes."""
    return b"text,kind\n" + b"x" * length + b",a\n" + b"y,b\n" * 30


def test_a_first_row_longer_than_the_usual_head_is_shown(client, user):
    response = client.get(url("detail", store(user, long_rows(300_000))))
    html = response.content.decode()

    assert [name for name, _ in response.context["heads"]] == ["text", "kind"]
    assert response.context["rows"][1] == ("y", "b")
    assert "too long to show" not in html
    assert 'hx-trigger="load' in html


def test_rows_too_long_to_show_leave_the_columns(client, user):
    content = b"text,kind\n" + (b"x" * (MAX_RECORD_BYTES - 4) + b",a\n") * 2
    response = client.get(url("detail", store(user, content)))
    html = response.content.decode()

    assert "The first rows are too long to show." in html
    assert ">text<" in re.sub(r"\s", "", html)
    assert 'hx-trigger="load' in html


def test_cells_are_text_not_markup(client, user):
    dataset = store(user, b"a,<b>x</b>\n<script>alert(1)</script>,2\n3,4\n")
    html = client.get(url("detail", dataset)).content.decode()
    assert "<script>alert" not in html
    assert "<b>x" not in html


def test_a_lost_blob_leaves_the_facts_and_the_way_to_delete(client, dataset):
    blobs.get_blobs().delete_dataset(user_id=dataset.user_id, dataset_id=dataset.id)
    response = client.get(url("detail", dataset))

    assert response.status_code == 410
    assert url("delete", dataset) in response.content.decode()
    assert client.get(url("download", dataset)).status_code == 410
    assert client.post(url("delete", dataset)).status_code == 200


def test_storage_that_is_away_leaves_the_facts(client, dataset, settings):
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    started = time.monotonic()
    response = client.get(url("detail", dataset))

    assert response.status_code == 503
    assert "Cities" in response.content.decode()
    assert time.monotonic() - started < 15


# --- Name and target ------------------------------------------------------------------------------------------
def test_the_name_changes_in_place(client, dataset):
    form = client.get(url("rename", dataset), headers=HX).content.decode()
    assert re.search(r'<input[^>]* name="name"[^>]* autofocus', form)
    assert form.lstrip().startswith('<form id="dataset-name"')
    assert 'value="Cities"' in form
    response = client.post(url("rename", dataset), {"name": "  Towns  "}, headers=HX)

    assert response.status_code == 200
    html = response.content.decode()
    assert '<span id="dataset-title" class="text-break" hx-swap-oob="true">Towns</span>' in html
    assert reload(dataset).name == "Towns"
    kept = client.get(url("rename", dataset), {"keep": 1}, headers=HX).content.decode()
    assert "<strong" in kept
    assert "hx-swap-oob" not in kept


def test_the_name_changes_on_a_page(client, dataset, stack):
    assert "<html" in client.get(url("rename", dataset)).content.decode()
    response = client.post(url("rename", dataset), {"name": "Towns"})

    assert response["Location"] == url("detail", dataset)
    assert reload(dataset).name == "Towns"
    assert dataset_blobs(stack) == [f"{dataset.user_id}/{dataset.id}/c.csv"]


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
@pytest.mark.parametrize("name", ["", "   ", "\u200b", "x" * 121])
def test_a_name_that_is_none_is_refused_at_the_field(client, dataset, name, headers):
    response = client.post(url("rename", dataset), {"name": name}, headers=headers)

    assert response.status_code == 422
    assert response.context["form"].errors["name"]
    assert ("<html" in response.content.decode()) is not bool(headers)
    assert reload(dataset).name == "Cities"


def test_the_target_is_stored_and_cleared(client, dataset):
    assert client.post(url("target", dataset), {"target_column": "price"})["Location"] == url("detail", dataset)
    assert reload(dataset).target_column == "price"
    saved = client.post(url("target", dataset), {"target_column": "city"}, headers=HX).content.decode()
    assert "Saved." in saved
    assert '<option value="city" selected>' in saved
    client.post(url("target", dataset), {"target_column": ""}, headers=HX)
    assert reload(dataset).target_column is None


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_target_that_is_no_column_is_refused_at_the_field(client, dataset, headers):
    response = client.post(url("target", dataset), {"target_column": "prize"}, headers=headers)

    assert response.status_code == 422
    assert "This file has no such column." in response.content.decode()
    assert ("<html" in response.content.decode()) is not bool(headers)
    assert reload(dataset).target_column is None


def test_a_column_whose_name_is_too_long_to_store_is_refused(client, user):
    dataset = store(user, b"a," + b"b" * 1500 + b"\n1,2\n3,4\n")
    response = client.post(url("target", dataset), {"target_column": "b" * 1500})

    assert response.status_code == 422
    assert response.context["target_form"].errors["target_column"]


# --- Download -------------------------------------------------------------------------------------------------
def test_a_name_in_any_script_is_shown_and_downloaded_and_deleted(client, user, stack):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="Größe 城市.csv") as ingest:
        ingest.write(b"a,b\n1,x\n")
        dataset = ingest.commit()
    answer = client.get(url("download", dataset))

    assert b"".join(answer.streaming_content) == b"a,b\n1,x\n"
    assert answer["Content-Disposition"] == (
        "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%20%E5%9F%8E%E5%B8%82.csv"
    )
    assert dataset.azure_dataset_url.endswith("/Gr%C3%B6%C3%9Fe_%E5%9F%8E%E5%B8%82.csv")
    assert "Größe 城市" in client.get(url("detail", dataset)).content.decode()
    client.post(url("delete", dataset))
    assert dataset_blobs(stack) == []


def test_the_download_is_the_uploaded_file(client, user):
    content = b"a,b\n" + b"1,x\n" * 300_000
    dataset = store(user, content, name='Ünï "quoted"; name')
    response = client.get(url("download", dataset))

    assert response["Content-Length"] == str(len(content))
    assert response["ETag"] == dataset.etag
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''")
    assert response["X-Content-Type-Options"] == "nosniff"
    digest = hashlib.sha256()
    for chunk in response.streaming_content:
        digest.update(chunk)
    assert digest.hexdigest() == dataset.sha256


# --- The end --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_deleting_asks_and_then_shows_a_receipt(client, dataset, stack, headers):
    question = client.get(url("delete", dataset)).content.decode()
    assert "It cannot be undone." in question
    assert reload(dataset) == dataset
    response = client.post(url("delete", dataset), headers=headers)

    html = response.content.decode()
    assert response.status_code == 200
    assert f"{dataset.user_id}/{dataset.id}/c.csv" in html
    assert "2 files removed" in html
    assert "nothing is left there" in html
    assert ("<html" in html) is not bool(headers)
    assert "Cities is deleted" in html
    assert_no_dataset_left(stack)
    assert client.post(url("delete", dataset)).status_code == 404


def test_a_deletion_that_broke_off_is_finished_from_the_page(client, dataset, settings, stack):
    address = settings.AZURE_ACCOUNT_URL
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    assert client.post(url("delete", dataset)).status_code == 503
    assert [row["status"] for row in dataset_rows()] == ["deleting"]
    for place in ("dashboard", "datasets:list"):
        page = client.get(reverse(place)).content.decode()
        assert "being deleted" in page
        assert f'href="{url("detail", dataset)}"' not in page
        assert reverse("models:train", args=[dataset.id]) not in page
    settings.AZURE_ACCOUNT_URL = address
    blobs.reset_blobs()

    assert client.get(url("delete", dataset)).status_code == 200
    assert client.get(url("detail", dataset)).status_code == 404
    assert client.post(url("delete", dataset)).status_code == 200
    assert_no_dataset_left(stack)
