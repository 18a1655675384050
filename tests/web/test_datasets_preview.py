"""The pages between an upload and its import."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from datasets import repository
from datasets.records import DatasetStatus
from storage import blobs
from tests.services import CLOSED_PORT
from tests.web.dataset_pages import DATES, HX, reload, staged, text, url

GETS = ["preview", "preview_progress"]
POSTS = ["import", "abandon", "preview_cancel", "take_table"]


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


# --- Who may --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", GETS + POSTS)
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_other_people_and_strangers_get_nowhere(client_for, user, other_user, view, headers):
    dataset = staged(user)
    method = "get" if view in GETS else "post"
    theirs = getattr(client_for(other_user), method)(url(view, dataset), headers=headers)
    stranger = getattr(Client(), method)(url(view, dataset), headers=headers)

    assert theirs.status_code == 404
    place = stranger["HX-Redirect"] if headers else stranger["Location"]
    assert place.startswith(reverse("accounts:sign_in"))
    assert reload(dataset) == dataset


@pytest.mark.parametrize("view", POSTS)
def test_a_choice_is_a_post_with_a_token(user, view):
    dataset = staged(user)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(url(view, dataset)).status_code == 405
    assert client.post(url(view, dataset)).status_code == 403
    assert reload(dataset) == dataset


def test_it_is_no_dataset_to_any_other_page(client, user):
    dataset = staged(user)
    for view in ["profile", "rename", "download", "receipt", "quarantine"]:
        assert client.get(url(view, dataset)).status_code == 404, view
    assert client.post(url("target", dataset), {"target_column": "price"}).status_code == 404
    assert client.get(reverse("models:train", args=[dataset.id])).status_code == 404
    assert client.post(reverse("models:train", args=[dataset.id])).status_code in {404, 409}
    assert client.get(url("detail", dataset))["Location"] == url("preview", dataset)


# --- Looking --------------------------------------------------------------------------------------------------
def test_the_page_shows_what_was_detected_and_the_first_rows(client, user):
    dataset = staged(user)
    response = client.get(url("preview", dataset))
    html = response.content.decode()

    assert response.status_code == 200
    assert '<option value="semicolon" selected>' in html
    assert '<option value="utf-8" selected>' in html
    assert '<option value="yes" selected>' in html
    assert response.context["heads"] == (("city", "category"), ("price", "integer"))
    assert "price whole number" in text(response)
    assert response.context["rows"][0] == ("Berlin", "10")
    assert "3 rows of 2 columns; every record fits." in text(response)
    assert "no-store" in response["Cache-Control"]


def test_a_changed_choice_comes_back_as_a_fragment_and_is_what_an_import_would_send(client, user):
    dataset = staged(user)
    response = client.get(url("preview", dataset), {"delimiter": "comma", "has_header": "no"}, headers=HX)
    html = response.content.decode()

    assert response.status_code == 200
    assert html.lstrip().startswith('<div id="preview"')
    assert response.context["heads"][0][0] == "column_1"
    assert response.context["rows"][0] == ("city;price",)
    assert re.search(r'name="delimiter"\s+value="comma"\s+id="import-delimiter"', html)
    assert "The rows are counted when you import it." in text(response)
    assert reload(dataset) == dataset


def test_without_scripts_the_choices_are_a_plain_form(client, user):
    dataset = staged(user)
    response = client.get(url("preview", dataset), {"delimiter": "comma"})
    html = response.content.decode()

    assert "<html" in html
    assert '<option value="comma" selected>' in html
    assert "Show the rows" in html
    assert response.context["rows"][0] == ("Berlin;10",)
    query = re.search(r'<form id="dialect".*?</form>', html, re.DOTALL).group(0)
    assert "csrfmiddlewaretoken" not in query


def test_other_records_have_their_numbers_read_anew(client, user):
    dataset = staged(user, b"a,b;c\n" + b"1,5;x,2\n" * 3 + b"2,25;y,3\n")
    first = client.get(url("preview", dataset)).context["form"]
    other = "semicolon" if first.dialect.delimiter == "," else "comma"
    shown = client.get(url("preview", dataset), {**first.as_sent, "seen": first.signature, "delimiter": other})
    kept = client.get(url("preview", dataset), {**first.as_sent, "delimiter": other})

    decimals = {first.dialect.delimiter: first.dialect.decimal, shown.context["form"].dialect.delimiter: ""}
    decimals[shown.context["form"].dialect.delimiter] = shown.context["form"].dialect.decimal
    assert decimals == {",": ".", ";": ","}
    assert kept.context["form"].dialect.decimal == first.dialect.decimal


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_commas_that_may_be_either_sign_are_asked_about(client, user, headers):
    dataset = staged(user, b"n;m\n1,234;1\n15,678;2\n129,012;3\n")
    page = client.get(url("preview", dataset))
    assert page.context["form"].asked == ("decimal",)
    assert client.post(url("import", dataset), page.context["form"].as_sent, headers=headers).status_code == 422

    for answer, signs in (("comma", (",", "")), ("point", (".", ","))):
        form = client.get(url("preview", dataset), page.context["form"].as_sent | {"decimal": answer}).context[
            "form"
        ]
        assert not form.errors
        assert (form.dialect.decimal, form.dialect.thousands) == signs
    client.post(url("import", dataset), page.context["form"].as_sent | {"decimal": "point"}, headers=headers)
    assert (reload(dataset).dialect["decimal"], reload(dataset).dialect["thousands"]) == (".", ",")


def test_a_question_that_quotes_the_file_is_text_not_markup(client, user):
    dataset = staged(user, b"<i>day</i>,n\n01/02/2024,1\n03/04/2024,2\n05/06/2024,3\n")
    html = client.get(url("preview", dataset)).content.decode()

    assert "&lt;i&gt;day&lt;/i&gt;" in html
    assert "<i>day" not in html


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"delimiter": "nonsense"}, "delimiter"),
        ({"skip_lines": "-1"}, "skip_lines"),
        ({"skip_lines": "99999999"}, "skip_lines"),
        ({"encoding": "rot13"}, "encoding"),
        ({"decimal": "comma", "thousands": "comma"}, "thousands"),
        ({"delimiter": "semicolon", "comment": "semicolon"}, "comment"),
        ({"delimiter": "comma", "quotechar": "none", "escapechar": "backslash", "skip_lines": "x"}, "skip_lines"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_choice_that_cannot_be_is_said_at_its_field(client, user, choices, field, headers):
    dataset = staged(user)
    for response in (
        client.get(url("preview", dataset), choices, headers=headers),
        client.post(url("import", dataset), choices, headers=headers),
    ):
        assert response.status_code == 422
        assert response.context["form"].errors[field]
        assert ("<html" in response.content.decode()) is not bool(headers)
    assert reload(dataset) == dataset


def test_records_that_do_not_fit_are_shown_with_their_lines(client, user):
    dataset = staged(user, b"a,b\n1,2\n3\n4,5\n<b>6</b>,7,8\n9,10\n")
    response = client.get(url("preview", dataset))

    assert [row["line"] for row in response.context["bad_rows"]] == [3, 5]
    html = response.content.decode()
    assert "<b>6" not in html
    assert "&lt;b&gt;6&lt;/b&gt;,7,8" in html
    assert "2 records would go into quarantine" in text(response)


def test_too_many_records_that_do_not_fit_are_said_and_import_is_closed(client, user):
    dataset = staged(user, b"x,y\n1,2\n3\n4\n5\n")
    response = client.get(url("preview", dataset))

    assert "3 of 4 rows do not have 2 fields" in text(response)
    assert re.search(r'id="import-button"[^>]*disabled', response.content.decode())
    refused = client.post(url("import", dataset))
    assert refused.status_code == 422
    assert "3 of 4 rows do not have 2 fields" in text(refused)
    assert reload(dataset) == dataset


def test_cells_and_names_are_text_not_markup(client, user):
    dataset = staged(user, b"a,<i>x</i>\n<script>alert(1)</script>,2\n3,4\n", "<u>n</u>.csv")
    html = client.get(url("preview", dataset)).content.decode()

    assert "<script>alert" not in html
    assert "<i>x" not in html
    assert "<u>n" not in html


def test_storage_that_is_away_is_a_503(client, user, settings):
    dataset = staged(user)
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()

    assert client.get(url("preview", dataset)).status_code == 503
    assert client.post(url("import", dataset)).status_code == 503
    assert reload(dataset).status is DatasetStatus.STAGED


# --- What the file leaves open --------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_dates_that_can_be_read_both_ways_are_asked_about(client, user, headers):
    dataset = staged(user, DATES)
    page = client.get(url("preview", dataset))
    assert page.context["form"].asked == ("date_order",)
    assert "Choose…" in page.content.decode()

    refused = client.post(url("import", dataset), page.context["form"].as_sent, headers=headers)
    assert refused.status_code == 422
    assert refused.context["form"].errors["date_order"]
    assert reload(dataset) == dataset

    shown = client.get(url("preview", dataset), {"date_order": "dmy"})
    assert shown.context["heads"][0] == ("day", "date")
    client.post(url("import", dataset), {"date_order": "dmy"}, headers=headers)
    assert reload(dataset).dialect["date_order"] == "dmy"


def test_an_open_question_may_be_left_open(client, user):
    dataset = staged(user, DATES)
    client.post(url("import", dataset), {"date_order": "iso"})

    imported = reload(dataset)
    assert (imported.status, imported.dialect["date_order"]) == (DatasetStatus.READY, "")


# --- Where it is said -----------------------------------------------------------------------------------------
def test_what_waits_is_listed_for_its_owner_and_counts_nowhere(client_for, client, user, other_user):
    dataset = staged(user)
    for place in ("dashboard", "datasets:list"):
        page = client.get(reverse(place)).content.decode()
        assert "Waiting for your choice" in page
        assert f'href="{url("preview", dataset)}"' in page
        assert "Waiting for your choice" not in client_for(other_user).get(reverse(place)).content.decode()
    assert repository.totals(user_id=user.id).datasets_count == 0
    client.post(url("import", dataset))
    assert "Waiting for your choice" not in client.get(reverse("datasets:list")).content.decode()


def test_the_same_content_is_said_with_a_link_to_the_first(client_for, client, user, other_user):
    theirs = staged(other_user)
    first, second = staged(user), staged(user, name="again.csv")

    assert "exactly this file before" not in text(client.get(url("preview", first)))
    page = client.get(url("preview", second))
    assert "exactly this file before" in text(page)
    assert f'href="{url("preview", first)}"' in page.content.decode()
    client.post(url("import", first))
    assert f'href="{url("detail", first)}"' in client.get(url("preview", second)).content.decode()
    assert "exactly this file before" not in text(client_for(other_user).get(url("preview", theirs)))
    assert client.post(url("import", second)).status_code == 302
    assert repository.totals(user_id=user.id).datasets_count == 2


# --- Blanks ----------------------------------------------------------------------------------------------------
def test_columns_padded_with_blanks_are_read_and_can_be_chosen(client, user):
    padded = b"a    b\n1   10\n2  200\n30   3\n"
    dataset = staged(user, padded, "padded.txt")
    page = client.get(url("preview", dataset))

    assert page.context["form"].as_sent["delimiter"] == "spaces"
    assert page.context["rows"][1] == ("2", "200")
    one = client.get(url("preview", dataset), {"delimiter": "space"}, headers=HX)
    assert len(one.context["heads"]) == 5
    client.post(url("import", dataset), page.context["form"].as_sent)
    imported = reload(dataset)
    assert (imported.status, imported.row_count, imported.column_count) == (DatasetStatus.READY, 3, 2)
    assert (imported.dialect["delimiter"], imported.dialect["skip_blanks"]) == (" ", True)
    assert "spaces, one or more" in text(client.get(reverse("datasets:receipt", args=[dataset.id])))


def test_blanks_before_a_quote_are_left_out_or_kept(client, user):
    dataset = staged(user, b'"a", "b"\n"x, y", "z"\n1, "q"\n')
    left_out = client.get(url("preview", dataset))
    kept = client.get(url("preview", dataset), {"skip_blanks": "no"}, headers=HX)

    assert left_out.context["rows"][0] == ("x, y", "z")
    assert kept.context["rows"][0] == ("x, y", ' "z"')
