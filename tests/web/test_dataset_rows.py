"""The rows browser: pages by row number, with and without an index."""

import json
import re
from http import HTTPStatus

import pytest
from django.core.cache import cache
from django.urls import reverse

from datasets import activities, rows, services
from datasets.activities import ActivityKind, ActivityStatus
from storage.blobs import get_blobs
from storage.ids import new_id
from tests.factories import stored_dataset
from tests.profiles import fail
from tests.web.dataset_pages import HX

pytestmark = pytest.mark.usefixtures("stack")
TABLE = "id,name\n" + "".join(f"{i},name {i}\n" + ("broken\n" if i % 40 == 0 else "") for i in range(1, 121))


def url(dataset, view: str = "rows", **query: object) -> str:
    address = reverse(f"datasets:{view}", args=[dataset.id])
    return f"{address}?{'&'.join(f'{k}={v}' for k, v in query.items())}" if query else address


def numbers(response) -> list[int]:
    """The row numbers that a page shows."""
    return [int(n.replace(",", "")) for n in re.findall(r'<th scope="row"[^>]*>([\d,]+)</th>', body(response))]


def body(response) -> str:
    return response.content.decode()


@pytest.fixture
def dataset(user):
    return stored_dataset(user.id, content=TABLE)


@pytest.fixture
def large(user, monkeypatch: pytest.MonkeyPatch):
    """A dataset of which the head is a small part; its index is not made."""
    monkeypatch.setattr(rows, "HEAD_BYTES", 2**20)
    content = "id,name\n" + "".join(f"{i},some name of row {i}\n" for i in range(1, 120_001))
    return stored_dataset(user.id, content=content)


def make_index(dataset) -> None:
    """What the worker does."""
    assert activities.run(rows.start_index(dataset=dataset).id) is ActivityStatus.SUCCEEDED


# --- Pages ------------------------------------------------------------------------------------------------------
def test_pages_of_fifty_rows_without_what_is_in_quarantine(client_for, user, dataset):
    client = client_for(user)
    first = client.get(url(dataset))
    assert first.status_code == HTTPStatus.OK
    assert numbers(first) == list(range(1, 51))
    assert "<td>name 50</td>" in body(first)
    assert "broken" not in body(first)
    assert "3 more in quarantine" in body(first)
    assert 'id="rows-next"' in body(first)
    assert 'id="rows-previous"' not in body(first)
    third = client.get(url(dataset, row=101))
    assert numbers(third) == list(range(101, 121))
    assert "<td>name 101</td>" in body(third)
    assert 'id="rows-next"' not in body(third)


def test_every_way_leads_to_a_page(client_for, user, dataset):
    client = client_for(user)
    page = client.get(url(dataset, row=31))
    ways = dict(re.findall(r'id="rows-(\w+)"[^>]*?href="([^"]+)"', body(page)))
    shown = {name: numbers(client.get(address.replace("&amp;", "&")))[0] for name, address in ways.items()}
    assert shown == {"first": 1, "previous": 1, "next": 81, "last": 71}


def test_a_fragment_for_htmx_and_a_page_without(client_for, user, dataset):
    client = client_for(user)
    fragment = client.get(url(dataset, row=51), headers=HX)
    assert "<html" not in body(fragment)
    assert body(fragment).lstrip().startswith('<section id="rows-page"')
    assert fragment["Vary"].count("HX-Request") == 1
    assert "<html" in body(client.get(url(dataset, row=51)))


def test_the_detail_page_leads_here(client_for, user, dataset):
    assert f'href="{url(dataset)}"' in body(client_for(user).get(reverse("datasets:detail", args=[dataset.id])))


def test_wide_tables_show_a_window_of_columns(client_for, user):
    names = [f"c{i}" for i in range(1, 131)]
    wide = stored_dataset(user.id, content=",".join(names) + "\n" + ",".join(n.upper() for n in names) + "\n")
    client = client_for(user)
    first, last = client.get(url(wide)), client.get(url(wide, columns=121))
    assert "<td>C60</td>" in body(first)
    assert "<td>C61</td>" not in body(first)
    assert "Columns 1 to 60 of 130" in body(first)
    assert "<td>C120</td>" not in body(last)
    assert "<td>C130</td>" in body(last)
    assert "c121" in body(last)
    assert 'id="rows-right"' not in body(last)
    assert "columns=61" in body(first)
    # A column in the middle brings the window it is in.
    assert "Columns 61 to 120 of 130" in body(client.get(url(wide, columns=100)))


def test_a_number_that_is_no_row_gets_a_clear_answer(client_for, user, dataset):
    client = client_for(user)
    for query, sentence in (
        ("row=0", "There are rows 1 to 120."),
        ("row=121", "There are rows 1 to 120."),
        ("row=" + "9" * 5000, "There are rows 1 to 120."),
        ("row=-5", "Write a whole number"),
        ("row=1.5", "Write a whole number"),
        ("row=ten", "Write a whole number"),
        ("row=%D9%A3", "Write a whole number"),
        ("row=%00", "Write a whole number"),
        ("columns=3", "There are columns 1 to 2."),
        ("columns=x", "Enter a whole number"),
    ):
        for headers in ({}, HX):
            response = client.get(f"{url(dataset)}?{query}", headers=headers)
            assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, query
            assert sentence in body(response), query
            assert numbers(response)[0] == 1
            assert ("<html" in body(response)) is not bool(headers)


def test_numbers_may_be_written_with_grouped_digits(client_for, user, dataset):
    client = client_for(user)
    for row in ("101", " 101 ", "0101", "1_01", "%2C1%2C01"):
        assert numbers(client.get(f"{url(dataset)}?row={row}"))[0] == 101


# --- The index --------------------------------------------------------------------------------------------------
def test_the_head_of_a_large_file_is_there_before_its_index(client_for, user, large):
    response = client_for(user).get(url(large, row=5000))
    assert numbers(response)[0] == 5000
    work = rows.work_on(dataset=large)
    assert work is not None
    assert work.status is ActivityStatus.QUEUED
    assert "hx-trigger" in body(response)
    assert work.stage in body(response)
    client_for(user).get(url(large, row=5050))
    assert rows.work_on(dataset=large) == work, "it is begun once"


def test_a_row_far_down_waits_for_the_index_and_then_comes(client_for, user, large):
    client = client_for(user)
    waiting = client.get(url(large, row=119_990))
    assert waiting.status_code == HTTPStatus.OK
    assert numbers(waiting) == []
    [poll] = re.findall(r'hx-get="([^"]+/rows/index[^"]+)"', body(waiting))
    poll = poll.replace("&amp;", "&")
    still = client.get(poll, headers=HX)
    assert "hx-trigger" in body(still)
    assert "no-store" in still["Cache-Control"]
    make_index(large)
    ready = client.get(poll, headers=HX)
    assert ready["HX-Retarget"] == "#rows-page"
    assert numbers(ready) == list(range(119_990, 120_001))
    assert "some name of row 119999" in body(ready)
    assert "hx-trigger" not in body(ready)
    # Who only reads the head sees the message go.
    assert "hx-trigger" not in body(client.get(url(large, "rows_index", row=1), headers=HX))
    assert client.get(url(large, "rows_index", row=7, wait=1)).url == url(large, row=7)


def test_the_index_is_shared_between_processes_and_holds_no_values(user, large):
    make_index(large)
    cache.clear()
    index = rows.index_of(dataset=large)
    assert index is not None
    assert index.rows == 120_000
    data = get_blobs().get_derived(user_id=large.user_id, dataset_id=large.id, name=rows.INDEX)
    assert data is not None
    assert b"some name" not in data
    found = rows.page_of(dataset=large, first=77_777).rows
    assert found is not None
    assert found[0] == ("77777", "some name of row 77777")


def test_an_index_of_another_file_is_not_used(client_for, user, large):
    make_index(large)
    cache.clear()
    blob = {"user_id": large.user_id, "dataset_id": large.id, "name": rows.INDEX}
    stored = json.loads(get_blobs().get_derived(**blob) or b"")
    stored["of"]["etag"] = '"other"'
    get_blobs().put_derived(**blob, data=json.dumps(stored).encode())
    assert rows.index_of(dataset=large) is None
    assert numbers(client_for(user).get(url(large, row=100_000))) == []


def test_a_failed_index_says_so_and_is_made_again_when_asked(client_for, user, large):
    client = client_for(user)
    client.get(url(large))
    fail(rows.work_on(dataset=large), "There was not enough memory.")
    for response in (client.get(url(large, row=100_000)), client.get(url(large, "rows_index", row=1), headers=HX)):
        assert "There was not enough memory." in body(response)
        assert "hx-trigger" not in body(response).split("<main")[-1]
    assert "There was not enough memory." in body(client.get(url(large)))
    again = client.post(url(large, "rows_index", row=100_000, wait=1))
    assert again.url == url(large, row=100_000)
    assert rows.work_on(dataset=large).status is ActivityStatus.QUEUED


def test_a_dataset_that_is_deleted_meanwhile_keeps_no_index(user, large, monkeypatch: pytest.MonkeyPatch):
    store = rows._store

    def store_late(activity, dataset, index) -> None:
        services.delete_dataset(user_id=user.id, dataset_id=large.id)
        store(activity, dataset, index)

    monkeypatch.setattr(rows, "_store", store_late)
    activities.run(rows.start_index(dataset=large).id)
    blobs = get_blobs()
    prefix = blobs.dataset_prefix(user.id, large.id)
    assert list(blobs.list_prefix(blobs.datasets_container, prefix)) == []


def test_a_small_file_has_no_index(client_for, user, dataset):
    client_for(user).get(url(dataset, row=100))
    assert activities.latest(user_id=user.id, dataset_id=dataset.id, kind=ActivityKind.INDEX) is None


def test_a_missing_blob_is_said(client_for, user, dataset):
    blobs = get_blobs()
    blobs.delete_blobs(blobs.datasets_container, [blobs.dataset_blob(user.id, dataset.id, dataset.file_name)])
    response = client_for(user).get(url(dataset))
    assert response.status_code == HTTPStatus.GONE
    assert "in blob storage" in body(response)


# --- Whose ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", ["rows", "rows_index"])
def test_only_the_owner_sees_rows(client_for, client, user, other_user, dataset, view: str):
    assert client_for(other_user).get(url(dataset, view), headers=HX).status_code == HTTPStatus.NOT_FOUND
    unknown = reverse(f"datasets:{view}", args=[new_id()])
    assert client_for(user).get(unknown).status_code == HTTPStatus.NOT_FOUND
    anonymous = client.get(url(dataset, view))
    assert anonymous.status_code == HTTPStatus.FOUND
    assert "/accounts/sign-in" in anonymous.url


def test_only_the_owner_starts_an_index(client_for, client, user, other_user, dataset):
    assert client_for(other_user).post(url(dataset, "rows_index")).status_code == HTTPStatus.NOT_FOUND
    assert client.post(url(dataset, "rows_index")).status_code == HTTPStatus.FOUND
    assert rows.work_on(dataset=dataset) is None
    assert client_for(user).post(url(dataset)).status_code == HTTPStatus.METHOD_NOT_ALLOWED
