"""The upload page and what it answers to good and bad files."""

import time
from io import BytesIO
from unittest import mock

import pytest
from django.contrib.auth import get_user
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import tickets
from datasets import repository, staging
from datasets import services as datasets
from storage import blobs, mongo
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, temporary_files
from tests.services import CLOSED_PORT, SERVICES
from tests.web.dataset_pages import HX, TABLE, id_in, ticket_of, upload

HUGE_HEADER = ",".join(f"c{i}" for i in range(50_000)).encode() + b"\n" + b",".join([b"1"] * 50_000) + b"\n"


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


def test_the_form_carries_a_fresh_ticket_and_the_limit(client, settings):
    settings.MAX_UPLOAD_BYTES = 2**31
    url = reverse("datasets:new")
    first, second = client.get(url), client.get(url)

    assert first.status_code == 200
    assert first.context["ticket"] != second.context["ticket"]
    html = first.content.decode()
    assert f'action="{reverse("datasets:upload", args=[first.context["ticket"]])}"' in html
    assert 'enctype="multipart/form-data"' in html
    assert "This file is larger than the limit of 2.0" in html
    assert html.index("csrfmiddlewaretoken") < html.index('type="file"')


def test_a_file_is_stored_and_the_browser_goes_to_its_preview(client, user, stack):
    ticket = ticket_of(client)
    dataset_id = id_in(client, ticket)
    response = upload(client, ticket=ticket)

    assert response.status_code == 302
    assert response["Location"] == reverse("datasets:preview", args=[dataset_id])
    dataset = staging.get_staged(user_id=user.id, dataset_id=dataset_id)
    assert (dataset.name, dataset.row_count, dataset.file_size) == ("cities", 3, len(TABLE))
    assert dataset_blobs(stack) == [f"{user.id}/{dataset_id}/cities.csv"]
    assert temporary_files(stack) == []


def test_htmx_is_sent_to_the_page_too(client):
    ticket = ticket_of(client)
    response = upload(client, ticket=ticket, headers=HX)

    assert response.status_code == 200
    assert response["HX-Redirect"] == reverse("datasets:preview", args=[id_in(client, ticket)])


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
        ("photo.png", b"\x89PNG\r\n\x1a\n"),
        ("empty.csv", b""),
        ("header.csv", b"only,a,header\n"),
        ("binary.csv", bytes(range(256)) * 4000),
        ("wide.csv", HUGE_HEADER),
        ("sheet.xlsx", b"PK\x03\x04"),
        ("table.csv.gz", b"\x1f\x8b"),
        ("table.zip", b"PK\x03\x04"),
        ("table.parquet", b"PAR1" + bytes(40)),
        ("table.7z", b"7z\xbc\xaf\x27\x1c"),
    ],
)
def test_what_is_no_table_gets_a_sentence_at_the_field_and_leaves_nothing(client, stack, name, content, headers):
    response = upload(client, content, name, headers=headers)

    assert response.status_code == 422
    form = response.context["form"]
    assert form.errors["file"][0].endswith(".")
    html = response.content.decode()
    assert 'aria-invalid="true"' in html
    assert ("<html" in html) is not bool(headers)
    assert_no_dataset_left(stack)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_refusal_names_the_next_step(client, headers):
    response = upload(client, b"<table><tr><td>1</td></tr></table>", "table.csv", headers=headers)

    [sentence] = response.context["form"].errors["file"]
    assert sentence.startswith("This file is a web page (HTML)")
    assert sentence.endswith("save the table as CSV and upload that.")


def test_no_file_gets_a_sentence(client, stack):
    response = client.post(reverse("datasets:upload", args=[ticket_of(client)]), {"something": "else"})

    assert response.status_code == 422
    assert response.context["form"].errors["file"] == ["Choose a file first."]
    assert_no_dataset_left(stack)


@pytest.mark.parametrize(
    ("name", "shown", "blob"),
    [
        ("../../etc/passwd.csv", "passwd", "passwd.csv"),
        ("..\\..\\boot.csv", "boot", "boot.csv"),
        ("🏠 Häuser.csv", "🏠 Häuser", "Häuser.csv"),
        ("Größe 城市.csv", "Größe 城市", "Größe_城市.csv"),
    ],
)
def test_odd_names_are_made_safe_and_stay_readable(client, user, stack, name, shown, blob):
    ticket = ticket_of(client)
    dataset_id = id_in(client, ticket)
    response = post_raw(client, ticket, TABLE, file_name=name)

    assert response.status_code == 302
    assert dataset_blobs(stack) == [f"{user.id}/{dataset_id}/{blob}"]
    assert shown in client.get(response["Location"]).content.decode()


def multipart(
    content: bytes, *, file_name: str = "cities.csv", before: bytes = b"", end: bytes = b"\r\n--x--\r\n"
) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'.encode()
    return before + head + content + end


def post_raw(client, ticket, content, *, declared=None, **parts):
    """A body the way it comes from a socket, with a length that may be a lie."""
    body = multipart(content, **parts)
    return client.generic(
        "POST",
        reverse("datasets:upload", args=[ticket]),
        body,
        content_type="multipart/form-data; boundary=x",
        **({"CONTENT_LENGTH": str(declared)} if declared else {}),
    )


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_over_the_limit_is_refused_before_anything_is_stored(client, stack, settings, headers):
    settings.MAX_UPLOAD_BYTES = 1000
    response = upload(client, b"a,b\n" + b"1,2\n" * 50_000, headers=headers)

    assert response.status_code == 413
    assert response.context["form"].errors["file"][0].startswith("This file is 195.")
    assert_no_dataset_left(stack)


def test_a_little_over_the_limit_is_refused_while_streaming(client, stack, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE) - 1
    response = upload(client)

    assert response.status_code == 413
    assert "larger than the limit" in response.context["form"].errors["file"][0]
    assert_no_dataset_left(stack)


def test_the_same_post_twice_stores_once_and_says_so(client, stack):
    ticket = ticket_of(client)
    first, second = upload(client, ticket=ticket), upload(client, ticket=ticket)

    assert (first.status_code, second.status_code) == (302, 303)
    assert first["Location"] == second["Location"]
    page = client.get(second["Location"]).content.decode()
    assert "This form has already been used: “cities” was uploaded. To upload another file" in page
    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1


def test_another_file_under_a_used_form_is_not_dropped_silently(client, stack):
    """Back, another file, Upload: with HTMX the message waits on the page that the browser is sent to."""
    ticket = ticket_of(client)
    upload(client, ticket=ticket)
    response = upload(client, b"x,y\n1,2\n", "other.csv", ticket=ticket, headers=HX)

    assert response["HX-Redirect"] == reverse("datasets:preview", args=[id_in(client, ticket)])
    assert "already been used" in client.get(response["HX-Redirect"]).content.decode()
    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_the_second_post_waits_while_the_first_runs(client, user, stack, headers):
    ticket = ticket_of(client)
    dataset_id = id_in(client, ticket)
    with datasets.begin_ingest(user_id=user.id, dataset_id=dataset_id, file_name="cities.csv") as first:
        response = upload(client, ticket=ticket, headers=headers)
        assert response.status_code == 409
        assert "already running" in response.content.decode()
        first.write(TABLE)
        first.commit()

    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1


def stale_tickets(client, other):
    """What no form of this person holds, and which of them name a thing that exists."""
    taken, free = ticket_of(other), ticket_of(other)
    upload(other, ticket=taken)
    with mock.patch("django.core.signing.time.time", return_value=time.time() - 8 * 24 * 3600):
        old = ticket_of(client)
    training = tickets.issue(user_id=get_user(client).pk, purpose="training")
    return {
        "another's, used": taken,
        "another's, open": free,
        "bare id that exists": id_in(other, taken),
        "bare id": id_in(other, free),
        "for another purpose": training,
        "changed": id_in(other, taken) + ticket_of(client)[24:],
        "too old": old,
    }


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_what_was_not_given_to_this_person_is_refused_alike_whether_or_not_it_exists(
    client_for, user, other_user, stack, headers
):
    client = client_for(user)
    stale = stale_tickets(client, client_for(other_user))
    for kind, ticket in stale.items():
        response = upload(client, b"x,y\n1,2\n", ticket=ticket, headers=headers)
        assert response.status_code == 422, kind
        assert response.context["form"].errors["file"] == ["This form was out of date; send it again."], kind
        assert upload(client, ticket=response.context["ticket"]).status_code == 302, kind
    assert len(dataset_blobs(stack)) == len(dataset_rows()) == 1 + len(stale)


def test_a_malformed_id_is_not_found(client, stack):
    response = client.post("/datasets/upload/../../etc/passwd", {"file": BytesIO(TABLE)})

    assert response.status_code == 404
    assert_no_dataset_left(stack)


def test_an_anonymous_upload_goes_to_sign_in_without_a_byte_read(stack, db):
    body = Unread()
    request_client = Client()
    response = request_client.post(
        reverse("datasets:upload", args=["any"]),
        content_type="multipart/form-data; boundary=x",
        **{"wsgi.input": body, "CONTENT_LENGTH": "1000"},
    )

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("accounts:sign_in"))
    assert not body.was_read
    assert_no_dataset_left(stack)


class Unread(BytesIO):
    was_read = False

    def read(self, *args):
        self.was_read = True
        return super().read(*args)


def test_other_methods_are_not_possible(client):
    assert client.get(reverse("datasets:upload", args=[ticket_of(client)])).status_code == 405


def test_a_forged_form_leaves_nothing(user, stack):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    response = upload(client)

    assert response.status_code == 403
    assert_no_dataset_left(stack)


def test_the_real_form_passes_the_forgery_check(user, stack):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    client.get(reverse("datasets:new"))
    token = client.cookies["csrftoken"].value

    assert upload(client, csrfmiddlewaretoken=token).status_code == 302
    assert upload(client, headers={"X-CSRFToken": token}).status_code == 302
    assert len(dataset_blobs(stack)) == 2


def test_a_body_that_breaks_off_leaves_nothing(client, stack):
    response = post_raw(client, ticket_of(client), TABLE, end=b"")

    assert response.status_code == 422
    assert "broke off" in response.context["form"].errors["file"][0]
    assert_no_dataset_left(stack)


class Broken(BytesIO):
    """A connection that the browser closes after the first piece."""

    def read(self, size=-1):
        piece = super().read(size)
        if not piece:
            raise ConnectionResetError("the other side is gone")
        return piece


@pytest.mark.parametrize("enforce", [True, False])
def test_a_lost_connection_leaves_nothing(user, stack, enforce):
    client = Client(enforce_csrf_checks=enforce, raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    response = client.post(
        reverse("datasets:upload", args=[ticket_of(client)]),
        content_type="multipart/form-data; boundary=x",
        **{"wsgi.input": Broken(multipart(b"a,b\n" + b"1,2\n" * 200_000, end=b"")), "CONTENT_LENGTH": "9999999"},
    )

    assert response.status_code in {400, 403, 422}
    assert_no_dataset_left(stack)


def test_only_the_first_file_is_stored(client, stack):
    second = b'--x\r\nContent-Disposition: form-data; name="other"; filename="a.csv"\r\n\r\na,b\n1,2\n\r\n'
    response = post_raw(client, ticket_of(client), TABLE, before=second)

    assert response.status_code == 302
    assert [row["row_count"] for row in dataset_rows()] == [3]


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_storage_that_is_away_is_a_503_in_seconds_and_leaves_nothing(client, stack, settings, headers):
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    started = time.monotonic()
    response = upload(client, headers=headers)

    assert response.status_code == 503
    assert time.monotonic() - started < 15
    assert_no_dataset_left(stack)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_metadata_that_is_away_is_a_503_in_seconds_and_stores_nothing(client, stack, settings, headers):
    settings.MONGODB_URI = f"mongodb://127.0.0.1:{CLOSED_PORT}/?directConnection=true"
    settings.MONGODB_TIMEOUT_SECONDS = 2.5
    mongo.reset_client()
    started = time.monotonic()
    response = upload(client, headers=headers)
    assert response.status_code == 503
    assert time.monotonic() - started < 10

    settings.MONGODB_URI = SERVICES.environment["MONGODB_URI"]
    mongo.reset_client()
    assert_no_dataset_left(stack)


def test_storage_that_is_not_configured_is_said(client, stack, settings):
    settings.AZURE_STORAGE_ENABLED = False
    blobs.reset_blobs()
    response = upload(client)

    assert response.status_code == 503
    assert "not configured" in response.content.decode()
    assert dataset_rows() == []


def test_totals_follow_what_is_imported(client, user):
    page = upload(client)["Location"]
    upload(client, b"")
    assert repository.totals(user_id=user.id).datasets_count == 0
    client.post(page.replace("/preview", "/import"))
    totals = repository.totals(user_id=user.id)

    assert (totals.datasets_count, totals.datasets_bytes) == (1, len(TABLE))
