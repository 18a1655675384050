"""The receipt of an import and the quarantine behind it."""

import csv
import io
import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from datasets import services
from storage import blobs
from storage.ids import new_id
from tests.services import CLOSED_PORT
from tests.web.dataset_pages import HX

RAGGED = b'a,b\n1,2\n3\n4,5\n"=1+1 ""x""",7,8\n9,10\n'


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


def store(user, content=RAGGED):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name="rows.csv") as ingest:
        ingest.write(content)
        return ingest.commit()


def url(name, dataset):
    return reverse(f"datasets:{name}", args=[dataset.id])


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.mark.parametrize("view", ["receipt", "quarantine"])
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_other_people_and_strangers_get_nowhere(client_for, user, other_user, view, headers):
    dataset = store(user)

    assert client_for(other_user).get(url(view, dataset), headers=headers).status_code == 404
    stranger = Client().get(url(view, dataset), headers=headers)
    place = stranger["HX-Redirect"] if headers else stranger["Location"]
    assert place.startswith(reverse("accounts:sign_in"))


@pytest.mark.parametrize("view", ["receipt", "detail"])
def test_the_receipt_adds_up(client, user, view):
    page = client.get(url(view, store(user)))
    shown = text(page)

    assert "3 read + 2 in quarantine = 5 in the file." in shown
    assert "1 field where the header has 2." in shown
    assert [row.line for row in page.context["ingest"]["first"]] == [3, 5]
    for fact in ("Encoding utf-8", "Delimiter comma", "Header row yes", "Rows read 3", "In quarantine 2"):
        assert fact in shown


def test_the_quarantine_is_downloaded_as_csv(client, user):
    dataset = store(user)
    response = client.get(url("quarantine", dataset))
    rows = list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))

    assert "attachment" in response["Content-Disposition"]
    assert "rows quarantine.csv" in response["Content-Disposition"]
    assert rows[0] == ["line", "reason", "record"]
    assert rows[1][0::2] == ["3", "3"]
    assert rows[2][0::2] == ["5", '"=1+1 ""x""",7,8']


def test_a_clean_file_has_a_receipt_and_no_quarantine(client, user):
    dataset = store(user, b"a,b\n1,2\n3,4\n")
    shown = client.get(url("receipt", dataset))

    assert "2 read + 0 in quarantine = 2 in the file." in text(shown)
    assert url("quarantine", dataset) not in shown.content.decode()
    assert client.get(url("quarantine", dataset)).status_code == 404


def test_a_dataset_from_before_there_were_receipts_has_its_facts(client, user):
    dataset = store(user)
    for blob in list(blobs.get_blobs().list_prefix(blobs.get_blobs().datasets_container, "")):
        if "/derived/" in blob.name:
            blobs.get_blobs().delete_blobs(blobs.get_blobs().datasets_container, [blob.name])

    shown = text(client.get(url("receipt", dataset)))
    assert "Rows read 3" in shown
    assert "In quarantine 2" in shown
    assert client.get(url("detail", dataset)).status_code == 200
    assert client.get(url("quarantine", dataset)).status_code == 404


def test_storage_that_is_away_is_a_503(client, user, settings):
    dataset = store(user)
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()

    assert client.get(url("receipt", dataset)).status_code == 503
    assert client.get(url("quarantine", dataset)).status_code == 503
