"""What ends a preview: the import, also in the background, or that it is abandoned; and what is packed."""

import gzip
import io
import zipfile
from dataclasses import replace

import pytest
from django.core.cache import cache
from django.urls import reverse

from datasets import activities, packed, repository, staging
from datasets.records import DatasetStatus
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows
from tests.web.dataset_pages import DATES, HX, SEMICOLONS, reload, staged, text, upload, url


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


# --- Import ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_import_makes_it_a_dataset(client, user, headers):
    dataset = staged(user)
    form = client.get(url("preview", dataset)).context["form"]
    response = client.post(url("import", dataset), form.as_sent, headers=headers)

    assert (response["HX-Redirect"] if headers else response["Location"]) == url("detail", dataset)
    assert "Imported: 3 rows." in text(client.get(url("detail", dataset)))
    assert repository.totals(user_id=user.id).datasets_count == 1
    again = client.post(url("import", dataset), form.as_sent, headers=headers)
    assert (again["HX-Redirect"] if headers else again["Location"]) == url("detail", dataset)
    assert repository.totals(user_id=user.id).datasets_count == 1
    assert client.get(url("preview", dataset))["Location"] == url("detail", dataset)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_import_with_another_dialect_reads_the_file_that_way(client, user, headers):
    dataset = staged(user)
    client.post(url("import", dataset), {"has_header": "no"}, headers=headers)

    imported = reload(dataset)
    assert (imported.status, imported.row_count) == (DatasetStatus.READY, 4)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_dialect_that_gives_no_table_is_refused_in_place(client, user, headers):
    dataset = staged(user, b"a;b,c\n" + b"1;2\n3;4\n" * 3)
    response = client.post(url("import", dataset), {"delimiter": "comma"}, headers=headers)

    assert response.status_code == 422
    assert "does not look like one table" in text(response)
    assert ("<html" in response.content.decode()) is not bool(headers)
    assert replace(reload(dataset), touched_at=dataset.touched_at) == dataset


# --- Abandon --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_abandon_leaves_nothing_and_says_so(client, user, stack, headers):
    dataset = staged(user, b"a,b\n1,2\n3\n4,5\n")
    response = client.post(url("abandon", dataset), headers=headers)

    assert (response["HX-Redirect"] if headers else response["Location"]) == reverse("datasets:new")
    assert_no_dataset_left(stack)
    assert "“cities” was abandoned: nothing of it is stored." in text(client.get(reverse("datasets:new")))
    assert client.post(url("abandon", dataset)).status_code == 404
    assert client.get(url("preview", dataset)).status_code == 404


# --- In the background ----------------------------------------------------------------------------------------
@pytest.fixture
def reading(user, client, monkeypatch):
    """A file that is being read again by a worker that has not begun yet."""
    monkeypatch.setattr(staging, "INLINE_BYTES", 0)
    dataset = staged(user)
    response = client.post(url("import", dataset), {"has_header": "no"})
    assert response["Location"] == url("preview", dataset)
    return dataset


def test_progress_is_shown_until_the_dataset_is_there(client, reading):
    page = client.get(url("preview", reading)).content.decode()
    assert f'hx-get="{url("preview_progress", reading)}"' in page
    assert "Waiting for a worker" in page
    part = client.get(url("preview_progress", reading), headers=HX)
    assert part.content.decode().lstrip().startswith('<section id="preview-progress"')
    assert 'hx-trigger="load delay:2s"' in part.content.decode()
    assert "no-store" in part["Cache-Control"]

    activities.run(staging.latest_work(dataset=reading).id)
    done = client.get(url("preview_progress", reading), headers=HX)
    assert done["HX-Redirect"] == url("preview", reading)
    assert client.get(url("preview", reading))["Location"] == url("detail", reading)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_reading_can_be_cancelled_and_the_file_waits_on(client, reading, headers):
    response = client.post(url("preview_cancel", reading), headers=headers)

    assert (response["HX-Redirect"] if headers else response["Location"]) == url("preview", reading)
    assert "3 rows of 2 columns" in text(client.get(url("preview", reading)))
    assert client.post(url("import", reading)).status_code == 302


def test_a_second_import_meanwhile_is_a_conflict(client, reading):
    assert client.post(url("import", reading), {"has_header": "no"}).status_code == 409


def test_a_reading_that_failed_is_said_with_the_choices_it_had(client, user, monkeypatch):
    monkeypatch.setattr(staging, "INLINE_BYTES", 0)
    dataset = staged(user, b"a;b,c\n" + b"1;2\n3;4\n" * 3)
    client.post(url("import", dataset), {"delimiter": "comma"})
    activities.run(staging.latest_work(dataset=dataset).id)
    page = client.get(url("preview", dataset))

    assert "does not look like one table" in text(page)
    assert '<option value="comma" selected>' in page.content.decode()
    assert client.get(url("preview", dataset), {"delimiter": "semicolon"}).context["rows"][0] == ("1", "2")


# --- Packed files ---------------------------------------------------------------------------------------------
def archive(**tables):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in tables.items():
            made.writestr(f"{name}.csv", content)
    return out.getvalue()


def test_a_gzip_file_is_the_table_inside(client, user, stack):
    response = upload(client, gzip.compress(SEMICOLONS), "cities.csv.gz")
    (row,) = dataset_rows()

    assert response.status_code == 302
    assert (row["file_name"], row["file_size"], row["row_count"]) == ("cities.csv", len(SEMICOLONS), 3)
    assert len(dataset_blobs(stack)) == 1


def test_an_archive_with_one_table_is_that_table(client, stack):
    response = upload(client, archive(cities=SEMICOLONS), "packed.zip")
    page = client.get(response["Location"])

    assert page.context["rows"][0] == ("Berlin", "10")
    assert [name.rsplit("/", 1)[1] for name in dataset_blobs(stack)] == ["packed.csv"]


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_of_several_tables_one_is_chosen(client, user, stack, headers):
    place = upload(client, archive(cities=SEMICOLONS, days=DATES), "packed.zip")["Location"]
    page = client.get(place)
    assert [member.name for member in page.context["members"]] == ["cities.csv", "days.csv"]
    dataset = staging.staged_of(user_id=user.id)[0]

    wrong = client.post(url("take_table", dataset), {"member": "<i>no</i>"}, headers=headers)
    assert wrong.status_code == 422
    assert ("<html" in wrong.content.decode()) is not bool(headers)
    assert client.post(url("import", dataset)).status_code == 409
    taken = client.post(url("take_table", dataset), {"member": "cities.csv"}, headers=headers)
    assert (taken["HX-Redirect"] if headers else taken["Location"]) == url("preview", dataset)
    assert client.get(url("preview", dataset)).context["rows"][0] == ("Berlin", "10")
    again = client.post(url("take_table", dataset), {"member": "days.csv"}, headers=headers)
    assert (again["HX-Redirect"] if headers else again["Location"]) == url("preview", dataset)
    assert reload(dataset).row_count == 3


def test_a_large_archive_is_unpacked_in_the_background(client, user, monkeypatch):
    monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))
    place = upload(client, archive(cities=SEMICOLONS), "packed.zip")["Location"]
    dataset = staging.staged_of(user_id=user.id)[0]
    assert "Waiting for a worker" in client.get(place).content.decode()

    activities.run(staging.latest_work(dataset=dataset).id)
    assert client.get(url("preview_progress", dataset), headers=HX)["HX-Redirect"] == place
    assert client.get(place).context["rows"][0] == ("Berlin", "10")


def test_an_archive_that_failed_in_the_background_offers_its_tables_again(client, user, monkeypatch):
    monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))
    place = upload(client, archive(cities=SEMICOLONS, picture=b"\x89PNG\r\n\x1a\n" * 9), "packed.zip")["Location"]
    dataset = staging.staged_of(user_id=user.id)[0]
    client.post(url("take_table", dataset), {"member": "picture.csv"})
    activities.run(staging.latest_work(dataset=dataset).id)
    page = client.get(place)

    assert "PNG" in text(page)
    assert len(page.context["members"]) == 2


def test_an_archive_without_a_table_is_refused_with_nothing_stored(client, stack):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("photo.png", b"\x89PNG\r\n\x1a\n")
    response = upload(client, out.getvalue(), "photos.zip")

    assert response.status_code == 422
    assert response.context["form"].errors["file"]
    assert_no_dataset_left(stack)
