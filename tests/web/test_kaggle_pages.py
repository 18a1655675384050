"""The pages of the import from Kaggle: with and without a token, with each failure, for their owner alone."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts import kaggle_credentials, throttle, tickets
from datasets import activities, kaggle_import
from datasets import activities_repository as stored
from datasets.activities import ActivityKind, ActivityStatus
from datasets.kaggle_records import DatasetRef, FileRef
from storage.ids import new_id
from tests.kaggle_stub import StubDataset, kaggle_stub
from tests.web.dataset_pages import HX

SEARCH = "/datasets/kaggle/"
VIEW = "/datasets/kaggle/view/ada/houses"
REF = DatasetRef(owner="ada", slug="houses")
TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"


@pytest.fixture
def kaggle(settings):
    cache.clear()
    with kaggle_stub() as stub:
        stub.datasets["ada/houses"] = StubDataset("House <prices>", {"houses.csv": TABLE, "notes.pdf": b"%PDF"})
        settings.KAGGLE_BASE_URL = stub.url
        yield stub


@pytest.fixture
def browser(stack, user, client_for, kaggle):
    """Somebody with a token of his own."""
    kaggle_credentials.store(user_id=user.id, secret=f"KGAT_{new_id()}")
    return client_for(user)


def page(answer):
    return answer.content.decode()


def ticket(user):
    return tickets.issue(user_id=user.id, purpose="kaggle")


def begin(client, user, *, file="houses.csv", version="3", token="", code=None, **extra):
    url = reverse("datasets:kaggle_begin", args=["ada", "houses", code or ticket(user)])
    return client.post(url, {"file": file, "version": version, "token": token}, **extra)


def an_import(user, dataset_id=None, name="houses.csv"):
    subject = FileRef(dataset=REF, name=name, version=3).text
    return activities.start(
        user_id=user.id, dataset_id=dataset_id or new_id(), kind=ActivityKind.KAGGLE, subject=subject
    )


# --- Search --------------------------------------------------------------------------------------------------
def test_without_a_token_the_page_says_how_to_get_one(stack, user, client_for, kaggle):
    client = client_for(user)
    for url in (SEARCH, f"{SEARCH}?q=houses", VIEW):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "Kaggle needs a token of yours" in page(answer)
        assert "/accounts/kaggle?next=/datasets/kaggle/" in page(answer)
    assert kaggle.seen == []


def test_nothing_is_asked_before_somebody_searches(browser, kaggle):
    assert "Search Kaggle&#x27;s public datasets" in page(browser.get(SEARCH)) or "public datasets" in page(
        browser.get(SEARCH)
    )
    assert kaggle.seen == []


def test_results_lead_to_the_dataset(browser, kaggle):
    found = page(browser.get(SEARCH, {"q": "house"}))
    assert "House &lt;prices&gt;" in found
    assert VIEW in found
    assert "CC0-1.0" in found
    assert "Kaggle finds nothing like that" in page(browser.get(SEARCH, {"q": "no such thing"}))


def test_more_results_come_as_rows_or_as_a_page(browser, kaggle):
    for number in range(3):
        kaggle.datasets[f"ada/house-{number}"] = StubDataset(f"House {number}", {"a.csv": TABLE})
    first = page(browser.get(SEARCH, {"q": "house"}))
    link = re.search(r'href="([^"]+token=[^"]+)"', first)[1].replace("&amp;", "&")
    rows = browser.get(link, headers=HX)
    assert "<html" not in page(rows)
    assert "House 1" in page(rows)
    assert "House 2" in page(rows)
    whole = page(browser.get(link))
    assert "<html" in whole
    assert "House 2" in whole


@pytest.mark.parametrize(
    "text",
    [
        "ada/houses",
        " https://www.kaggle.com/datasets/ada/houses?select=x.csv ",
        "kaggle.com/datasets/ada/houses/data",
    ],
)
def test_the_address_of_a_dataset_leads_straight_to_it(browser, kaggle, text):
    assert browser.get(SEARCH, {"q": text})["Location"] == VIEW
    assert kaggle.seen == []


def test_what_was_just_asked_is_not_asked_again(browser, kaggle):
    for _ in range(3):
        browser.get(SEARCH, {"q": "house"})
        browser.get(VIEW)
    assert [seen.operation for seen in kaggle.seen] == ["ListDatasets", "GetDataset", "ListDatasetFiles"]


def test_answers_are_remembered_for_nobody_else(browser, kaggle, other_user, client_for):
    browser.get(SEARCH, {"q": "house"})
    kaggle_credentials.store(user_id=other_user.id, secret=f"KGAT_{new_id()}")
    client_for(other_user).get(SEARCH, {"q": "house"})
    assert kaggle.count("ListDatasets") == 2


def test_a_search_that_is_too_long(browser, kaggle):
    answer = browser.get(SEARCH, {"q": "x" * 201})
    assert answer.status_code == 422
    assert "at most 200 characters" in page(answer)
    assert kaggle.seen == []


def test_the_servers_token_is_named_as_such(stack, user, client_for, kaggle, settings):
    settings.KAGGLE_API_TOKEN = f"server-{new_id()}"
    found = page(client_for(user).get(SEARCH, {"q": "house"}))
    assert "this server&#x27;s token" in found or "this server's token" in found
    assert settings.KAGGLE_API_TOKEN not in found


# --- Failures ------------------------------------------------------------------------------------------------
FAILURES = [
    (401, 422, "does not accept your token"),
    (403, 403, "does not let this account"),
    (429, 429, "asks for a pause of 30 seconds"),
    (500, 503, "a fault of its own"),
]


@pytest.mark.parametrize(("status", "ours", "sentence"), FAILURES)
@pytest.mark.parametrize("url", [f"{SEARCH}?q=house", VIEW], ids=["search", "dataset"])
def test_a_failure_stands_where_the_results_would(browser, kaggle, status, ours, sentence, url):
    kaggle.fail |= {"ListDatasets": status, "GetDataset": status}
    answer = browser.get(url)
    assert answer.status_code == ours
    assert sentence in page(answer)
    assert 'data-test="kaggle-failure"' in page(answer)
    assert ("Retry-After" in answer) == (status == 429)
    assert "hush" not in page(answer)
    fragment = browser.get(url, headers=HX)
    assert fragment.status_code == ours
    assert fragment["HX-Retarget"] == "#alerts"
    as_json = browser.get(url, headers={"Accept": "application/json"})
    assert (as_json.status_code, as_json.json()["error"]["message"]) == (ours, as_json.json()["error"]["message"])


def test_a_failure_is_not_remembered(browser, kaggle):
    kaggle.fail["ListDatasets"] = [500]
    assert browser.get(SEARCH, {"q": "house"}).status_code == 503
    assert browser.get(SEARCH, {"q": "house"}).status_code == 200


def test_a_dataset_that_is_not_there(browser, kaggle):
    assert browser.get("/datasets/kaggle/view/ada/nothing").status_code == 404


def test_a_token_that_cannot_be_read_any_more(browser, kaggle, settings):
    settings.KAGGLE_CREDENTIALS_KEY = []
    answer = browser.get(SEARCH)
    assert answer.status_code == 409
    assert "can no longer be decrypted" in page(answer)


def test_looking_is_limited(browser, kaggle, monkeypatch):
    limit = throttle.Limit(name="kaggle-look", per_place=9, per_account=2, message=throttle.KAGGLE_LOOK.message)
    monkeypatch.setattr(throttle, "KAGGLE_LOOK", limit)
    assert [browser.get(VIEW).status_code for _ in range(3)] == [200, 200, 429]
    assert browser.get(SEARCH).status_code == 200


# --- A dataset -----------------------------------------------------------------------------------------------
def test_a_dataset_shows_licence_size_version_and_files(browser, kaggle, settings):
    settings.MAX_UPLOAD_BYTES = 1000
    kaggle.datasets["ada/houses"].sizes["houses.csv"] = 900
    shown = page(browser.get(VIEW))
    assert "CC0-1.0" in shown
    assert "houses.csv" in shown
    assert "900\xa0bytes" in shown
    assert shown.count('name="file"') == 1  # the PDF has no button
    assert "notes.pdf" in shown
    assert 'name="version" value="3"' in shown


def test_a_file_over_the_limit_has_no_button(browser, kaggle, settings):
    settings.MAX_UPLOAD_BYTES = 10
    shown = page(browser.get(VIEW))
    assert 'name="file"' not in shown
    assert "Larger than the limit of 10" in shown


def test_more_files_are_of_the_same_version(browser, kaggle):
    kaggle.datasets["ada/houses"].files |= {"third.csv": TABLE}
    first = page(browser.get(VIEW))
    link = re.search(r'href="([^"]+token=[^"]+)"', first)[1].replace("&amp;", "&")
    assert "version=3" in link
    rows = page(browser.get(link, headers=HX))
    assert "third.csv" in rows
    assert "<html" not in rows
    assert "third.csv" in page(browser.get(link))


# --- An import -----------------------------------------------------------------------------------------------
def test_an_import_is_queued_and_its_page_polls(browser, kaggle, user):
    answer = begin(browser, user)
    [activity] = activities.active_of_user(user_id=user.id, kind=ActivityKind.KAGGLE)
    assert answer["Location"] == f"/datasets/kaggle/imports/{activity.id}"
    assert activity.subject == "ada/houses@3:houses.csv"
    shown = browser.get(answer["Location"])
    assert "no-store" in shown["Cache-Control"]
    assert "load delay:2s" in page(shown)
    assert "Waiting" in page(shown)
    progress = browser.get(f"{answer['Location']}/progress", headers=HX)
    assert "<html" not in page(progress)
    assert "no-store" in progress["Cache-Control"]
    assert "houses.csv" in page(browser.get(SEARCH))


def test_sending_the_form_twice_makes_one_import(browser, kaggle, user):
    code = ticket(user)
    first, second = begin(browser, user, code=code), begin(browser, user, code=code)
    assert first["Location"] == second["Location"]
    stored.request_cancel(activity_id=first["Location"].rsplit("/", 1)[1], user_id=user.id)
    assert begin(browser, user, code=code)["Location"] == first["Location"]


def test_what_the_form_says_is_not_believed(browser, kaggle, user):
    missing = begin(browser, user, file="other.csv")
    assert missing.status_code == 404
    assert "no such file" in page(missing)
    assert begin(browser, user, file="").status_code == 422
    refused = begin(browser, user, file="notes.pdf")
    assert refused.status_code == 422
    assert 'data-test="kaggle-failure"' in page(refused)
    assert "House &lt;prices&gt;" in page(refused)
    assert activities.active_of_user(user_id=user.id) == ()


def test_a_file_of_a_later_page_is_found(browser, kaggle, user):
    kaggle.datasets["ada/houses"].files |= {"third.csv": TABLE, "fourth.csv": TABLE, "fifth.csv": TABLE}
    assert begin(browser, user, file="third.csv", token="2").status_code == 302
    assert begin(browser, user, file="fifth.csv").status_code == 302
    assert begin(browser, user, file="houses.csv", token="2").status_code == 302


def test_a_file_over_the_limit_is_refused_at_once(browser, kaggle, user, settings):
    settings.MAX_UPLOAD_BYTES = 10
    answer = begin(browser, user)
    assert answer.status_code == 413
    assert "larger than the limit" in page(answer) or "the limit is" in page(answer)
    assert activities.active_of_user(user_id=user.id) == ()


def test_a_ticket_is_good_for_one_person(browser, kaggle, user, other_user):
    for code in ("x", ticket(other_user), tickets.issue(user_id=user.id, purpose="upload")):
        answer = begin(browser, user, code=code)
        assert answer.status_code == 422
        assert "out of date" in page(answer)
    assert activities.active_of_user(user_id=user.id) == ()


def test_importing_is_limited(browser, kaggle, user, monkeypatch):
    limit = throttle.Limit(name="kaggle-import", per_place=9, per_account=1, message="Too often.")
    monkeypatch.setattr(throttle, "KAGGLE_IMPORT", limit)
    answers = [begin(browser, user) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 429]
    assert "Retry-After" in answers[1]


def test_an_import_that_is_over_says_what_became_of_it(browser, kaggle, user):
    begun = begin(browser, user)["Location"]
    assert activities.run(begun.rsplit("/", 1)[1]) == ActivityStatus.SUCCEEDED
    shown = page(browser.get(f"{begun}/progress"))
    assert "hx-trigger" not in shown
    dataset_id = stored.get(activity_id=begun.rsplit("/", 1)[1]).dataset_id
    preview = reverse("datasets:preview", args=[dataset_id])
    assert preview in shown
    assert browser.get(preview).status_code == 200
    browser.post(reverse("datasets:abandon", args=[dataset_id]))
    gone = browser.get(begun)
    assert gone.status_code == 404 or "has been deleted since" in page(gone)


def test_a_failed_import_says_why_and_what_to_do(browser, kaggle, user):
    begun = begin(browser, user)["Location"]
    kaggle.fail["DownloadDataset"] = 403
    assert activities.run(begun.rsplit("/", 1)[1]) == ActivityStatus.FAILED
    shown = page(browser.get(begun))
    assert "does not let this account" in shown
    assert "accept the rules" in shown
    assert "Nothing of it was kept" in shown
    assert "hx-trigger" not in shown.split('id="kaggle-import"')[1]


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_cancel_works_with_and_without_htmx(browser, kaggle, user, headers):
    activity = an_import(user)
    url = reverse("datasets:kaggle_import_cancel", args=[activity.id])
    answer = browser.post(url, headers=headers)
    assert answer.status_code == (200 if headers else 302)
    if headers:
        assert "Cancelled" in page(answer)
        assert "hx-trigger" not in page(answer)
    assert stored.get(activity_id=activity.id).status is ActivityStatus.CANCELLED
    assert browser.post(url, headers=headers).status_code == (200 if headers else 302)


def test_the_list_shows_what_became_of_those_it_has_shown(browser, kaggle, user):
    activity = an_import(user)
    listed = page(browser.get(SEARCH))
    poll = re.search(r'hx-get="([^"]+imports\?ids=[^"]+)"', listed)[1]
    stored.request_cancel(activity_id=activity.id, user_id=user.id)
    after = page(browser.get(poll, headers=HX))
    assert "Cancelled" in after
    assert "hx-get" not in after
    assert browser.get("/datasets/kaggle/imports?ids=x,,../etc").status_code == 200


# --- Whose it is ---------------------------------------------------------------------------------------------
OWN = ["kaggle_import", "kaggle_import_progress", "kaggle_import_cancel"]


@pytest.mark.parametrize("name", OWN)
def test_somebody_elses_import_is_not_there(browser, kaggle, user, other_user, client_for, name):
    activity = an_import(user)
    url = reverse(f"datasets:{name}", args=[activity.id])
    method = "post" if name.endswith("cancel") else "get"
    assert getattr(client_for(other_user), method)(url).status_code == 404
    visitor = getattr(Client(), method)(url)
    assert visitor.status_code == 302
    assert visitor["Location"].startswith("/accounts/sign-in")
    assert not stored.get(activity_id=activity.id).cancel_requested
    assert getattr(browser, method)(url).status_code in (200, 302)


def test_other_work_is_no_import(browser, kaggle, user):
    other = activities.start(user_id=user.id, dataset_id=new_id(), kind=ActivityKind.PROFILE)
    for name in OWN:
        method = "post" if name.endswith("cancel") else "get"
        assert getattr(browser, method)(reverse(f"datasets:{name}", args=[other.id])).status_code == 404


def test_the_list_names_nobody_elses(browser, kaggle, user, other_user, client_for):
    activity = an_import(user)
    theirs = client_for(other_user)
    assert "houses.csv" not in page(theirs.get(f"/datasets/kaggle/imports?ids={activity.id}"))
    assert "houses.csv" not in page(theirs.get(SEARCH))


def test_the_ways_in_are_linked(browser, kaggle):
    assert SEARCH in page(browser.get("/datasets/new"))


def test_closing_the_account_ends_its_imports(browser, kaggle, user):
    from accounts import closing

    activity = an_import(user)
    closing.close_account(user)
    assert stored.get(activity_id=activity.id) is None
    assert kaggle_import.undo_import(activity) is None
