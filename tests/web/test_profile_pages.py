"""The profile of a dataset: who may see it, how it fills in, how types and the target are chosen on it."""

import csv
import io
import json
import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from datasets import overrides, profiles, repository
from datasets.activities import ActivityKind, ActivityStatus
from ml.column_types import ColumnType
from storage.blobs import get_blobs
from tests.factories import stored_dataset
from tests.leftovers import temporary_files
from tests.profiles import (
    COLUMNS,
    fail,
    store_part,
    store_profile,
    store_relation,
    table_profile,
    wide_profile,
    work_on,
)
from tests.web.dataset_pages import HX

GETS = [
    "profile",
    "profile_section",
    "profile_status",
    "profile_relation",
    "profile_columns_data",
    "profile_checks_data",
    "profile_associations_data",
    "profile_relation_data",
    "profile_column_data",
]
POSTS = {
    "profile_again": {},
    "profile_relation_again": {},
    "profile_type": {"type": "category"},
    "profile_target": {"target_column": "species"},
}
WITH_COLUMN = {"profile_column_data", "profile_type"}


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def client(client_for, user):
    return client_for(user)


@pytest.fixture
def dataset(user, stack):
    return stored_dataset(user.id)


def url(name, dataset, index=0):
    arguments = [dataset.id, index] if name in WITH_COLUMN else [dataset.id]
    return reverse(f"datasets:{name}", args=arguments)


def reload(dataset):
    return repository.get(dataset_id=dataset.id, user_id=dataset.user_id)


def choose(dataset, column, kind):
    overrides.set_type(dataset=dataset, column=column, type=kind)


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


# --- Who may --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_other_people_and_strangers_get_nowhere(client_for, other_user, dataset, headers):
    store_profile(dataset)
    store_relation(dataset)
    for view in [*GETS, *POSTS]:
        method, arguments = ("post", [POSTS[view]]) if view in POSTS else ("get", [])
        theirs = getattr(client_for(other_user), method)(url(view, dataset), *arguments, headers=headers)
        stranger = getattr(Client(), method)(url(view, dataset), *arguments, headers=headers)
        assert theirs.status_code == 404, view
        place = stranger["HX-Redirect"] if headers else stranger["Location"]
        assert place.startswith(reverse("accounts:sign_in")), view

    assert work_on(dataset) is None
    assert reload(dataset) == dataset
    assert overrides.types_of(dataset=dataset) == {}


def test_what_changes_something_is_posted(client, dataset):
    assert [client.get(url(view, dataset)).status_code for view in POSTS] == [405] * len(POSTS)


# --- The dataset's page ---------------------------------------------------------------------------------------
def test_the_datasets_page_does_not_wait_for_the_profile(client, dataset):
    store_profile(dataset, wide_profile(2000))
    html = client.get(reverse("datasets:detail", args=[dataset.id])).content.decode()

    assert f'hx-get="{url("profile_section", dataset)}"' in html
    assert f'href="{url("profile", dataset)}"' in html
    assert 'data-test="column-card"' not in html
    assert len(html) < 40_000
    assert work_on(dataset) is None


# --- Filling in -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", ["profile", "profile_section"])
def test_the_first_look_starts_the_work_once(client, dataset, view, stack):
    for _ in range(3):
        html = text_of(client.get(url(view, dataset)))

    assert "Waiting for a worker" in html
    assert 'hx-trigger="load delay:2s"' in html
    activity = work_on(dataset)
    assert activity is not None
    assert activity.status is ActivityStatus.QUEUED
    messages = [row for row in OrmQ.objects.all() if row.task["args"] == (activity.id,)]
    assert len(messages) == 1
    assert temporary_files(stack) == []


def test_columns_appear_while_the_work_goes_on(client, dataset):
    section = client.get(url("profile_section", dataset)).content.decode()
    seen = re.search(r"status\?seen=([^\"]+)", section)[1]
    waiting = client.get(url("profile_status", dataset), {"seen": seen}, headers=HX)
    assert "HX-Retarget" not in waiting
    assert waiting.content.decode().lstrip().startswith('<section id="profile-status"')

    store_part(dataset, COLUMNS[:2])
    grown = client.get(url("profile_status", dataset), {"seen": seen}, headers=HX)
    assert grown["HX-Retarget"] == "#profile"
    assert grown["HX-Reswap"] == "outerHTML"
    assert "2 of 4 columns are ready" in text_of(grown)
    assert grown.content.decode().count('data-test="column-card"') == 2
    assert "no-store" in grown["Cache-Control"]

    store_profile(dataset)
    whole = client.get(url("profile_status", dataset), {"seen": "2-0"}, headers=HX)
    assert whole["HX-Retarget"] == "#profile"
    assert whole.content.decode().count('data-test="column-card"') == 4
    assert "load delay" not in whole.content.decode()


def test_the_whole_profile_is_shown(client, dataset):
    store_profile(dataset)
    response = client.get(url("profile", dataset))
    html = text_of(response)

    assert "40 rows, 4 columns, 3 duplicate rows" in html
    assert "4 missing, 10.0 %" in html
    assert "1 missing written as “?”." in html
    assert "about 40" in html
    assert "dog" in html
    assert "10 % of legs is missing." in html
    assert "1 check passed" in html
    assert "Predict species" in html
    assert "it is the last column." in html
    assert html.count("<rect ") == 4
    assert "Histogram of legs, 2 to 4; most values, 20, lie from 2 to 3" in html
    assert work_on(dataset) is None


def test_a_profile_of_another_file_is_never_shown(client, dataset):
    store_profile(dataset, etag='"another"')
    store_part(dataset, COLUMNS, etag='"another"')
    html = client.get(url("profile", dataset)).content.decode()

    assert 'data-test="column-card"' not in html
    assert work_on(dataset) is not None


def test_a_profile_of_an_older_kind_is_made_anew(client, dataset):
    store_profile(dataset, format=0)
    assert 'data-test="column-card"' not in client.get(url("profile", dataset)).content.decode()
    assert work_on(dataset) is not None


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_failure_says_why_and_can_be_tried_again(client, dataset, headers):
    client.get(url("profile_section", dataset))
    fail(work_on(dataset))
    html = client.get(url("profile_section", dataset)).content.decode()

    assert "There was not enough memory." in html
    assert "Try again when less is going on." in html
    assert "load delay" not in html
    assert work_on(dataset).status is ActivityStatus.FAILED
    answer = client.post(url("profile_again", dataset), headers=headers)
    if headers:
        assert "Waiting for a worker" in answer.content.decode()
    else:
        assert answer["Location"] == url("profile", dataset)
    assert work_on(dataset).status is ActivityStatus.QUEUED


def test_the_page_has_what_figures_need_and_nothing_inline(client, dataset):
    store_profile(dataset)
    store_relation(dataset)
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")
    html = client.get(url("profile", dataset)).content.decode()

    assert 'id="plotly.js-style-global"' in html
    assert 'data-plotly="/static/vendor/plotly.min.js"' in html
    assert " style=" not in html
    assert not re.search(r" on[a-z]+=", html)
    figures = [json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', html)]
    assert [figure["data"][0]["type"] for figure in figures] == ["bar", "heatmap"]
    assert figures[0]["data"][0]["x"] == [1.0, 0.2]
    assert 'data-test="pairs"' in html
    assert 'data-test="relations"' in html


def test_cells_and_names_are_text_not_markup(client, user):
    dataset = stored_dataset(user.id, content="<b>x</b>,b\n<script>alert(1)</script>,2\n3,4\n")
    evil = "</script><script>alert(1)</script>"
    columns = [COLUMNS[3].__class__.from_dict(_plain(COLUMNS[3]) | {"name": evil, "top": [[evil, 1]]})]
    associations = table_profile().associations
    named = associations.__class__.from_dict(_plain(associations) | {"names": [evil, "weight", "species"]})
    store_profile(dataset, table_profile(columns, associations=named))
    html = client.get(url("profile", dataset)).content.decode()

    assert "<script>alert" not in html
    assert html.count("</script>") == html.count("<script")


def _plain(record):
    from dataclasses import asdict

    return asdict(record)


# --- Many columns ---------------------------------------------------------------------------------------------
def test_a_wide_table_is_a_light_page(client, dataset):
    store_profile(dataset, wide_profile(2000))
    first = client.get(url("profile", dataset))

    assert len(first.content) < 250_000
    assert first.content.count(b'data-test="column-card"') == 24
    assert "Page 1 of 84" in text_of(first)
    last = client.get(url("profile", dataset), {"page": 84}, headers=HX)
    assert last.content.decode().lstrip().startswith('<section id="profile-columns"')
    assert last.content.count(b'data-test="column-card"') == 8
    assert "Later" not in text_of(last)
    assert "HX-Request" in last["Vary"]


def test_columns_are_searched_and_filtered(client, dataset):
    store_profile(dataset)
    found = client.get(url("profile", dataset), {"q": "W"}, headers=HX)
    assert [card.column.name for card in found.context["columns"].cards] == ["wings", "weight"]
    assert "2 of 4" in text_of(found)
    numbers = client.get(url("profile", dataset), {"q": "w", "kind": "numeric"}, headers=HX)
    assert [card.column.name for card in numbers.context["columns"].cards] == ["weight"]
    nothing = client.get(url("profile", dataset), {"q": "zzz"})
    assert "No such column" in text_of(nothing)
    for odd in [{"page": "999"}, {"page": "-3"}, {"page": "x"}, {"kind": "colour"}, {"q": "\0"}]:
        assert client.get(url("profile", dataset), odd, headers=HX).status_code == 200


# --- Types ----------------------------------------------------------------------------------------------------
def test_a_type_is_changed_in_place(client, dataset):
    store_profile(dataset)
    response = client.post(url("profile_type", dataset), {"type": "category"}, headers=HX)
    html = text_of(response)

    assert overrides.types_of(dataset=dataset) == {"legs": ColumnType.CATEGORY}
    assert html.startswith('<section id="column-0"')
    assert "The figures follow" in html
    assert '<option value="category" selected>Category</option>' in html
    assert 'id="profile-status"' in html
    assert 'hx-swap-oob="true"' in html
    assert work_on(dataset).status is ActivityStatus.QUEUED
    others = client.get(url("profile", dataset), headers=HX).context["columns"].cards
    assert [card.is_outdated for card in others] == [True, False, False, False]


def test_a_type_is_changed_without_a_script_and_taken_back(client, dataset):
    store_profile(dataset)
    response = client.post(url("profile_type", dataset, 2), {"type": "text"})
    assert response["Location"] == f"{url('profile', dataset)}?page=1#column-2"
    assert overrides.types_of(dataset=dataset) == {"weight": ColumnType.TEXT}
    client.post(url("profile_type", dataset, 2), {"type": ""})
    assert overrides.types_of(dataset=dataset) == {}
    # The profile that is there is of these types again.
    assert profiles.current(dataset=dataset) is not None


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_type_that_is_none_is_refused_at_the_field(client, dataset, headers):
    store_profile(dataset)
    response = client.post(url("profile_type", dataset), {"type": "colour"}, headers=headers)

    assert response.status_code == 422
    assert "There is no such type." in text_of(response)
    assert 'aria-invalid="true"' in text_of(response)
    assert ("<html" in response.content.decode()) is not bool(headers)
    assert overrides.types_of(dataset=dataset) == {}


def test_a_column_that_is_not_there_has_no_type(client, dataset):
    assert client.post(url("profile_type", dataset, 4), {"type": "text"}).status_code == 404


def test_a_chosen_type_is_said_with_what_does_not_fit(client, dataset):
    choose(dataset, "legs", ColumnType.NUMERIC)
    changed = COLUMNS[0].__class__.from_dict(
        _plain(COLUMNS[0]) | {"type": "numeric", "detected_type": "text", "not_of_type": 3}
    )
    store_profile(dataset, table_profile([changed, *COLUMNS[1:]]))
    html = text_of(client.get(url("profile", dataset)))

    assert "Your choice; the values look like text." in html
    assert "3 values are not of the chosen type and counted as missing." in html


def test_a_changed_type_of_a_dataset_with_a_target_renews_the_relation(client, dataset):
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")
    store_profile(dataset)
    store_relation(dataset)
    client.post(url("profile_type", dataset), {"type": "category"}, headers=HX)

    relation = work_on(reload(dataset), ActivityKind.RELATION)
    assert relation is not None
    assert relation.subject == "species"
    assert "What each column says" in text_of(client.get(url("profile_relation", dataset)))
    assert 'data-test="relations"' not in client.get(url("profile_relation", dataset)).content.decode()


# --- The target -----------------------------------------------------------------------------------------------
def test_the_suggestion_is_stored_only_by_the_person(client, dataset):
    store_profile(dataset)
    assert "Predict species" in text_of(client.get(url("profile_relation", dataset)))
    assert reload(dataset).target_column is None
    page = f"http://testserver{reverse('datasets:detail', args=[dataset.id])}"
    headers = {**HX, "HX-Current-URL": page}
    html = text_of(client.post(url("profile_target", dataset), {"target_column": "species"}, headers=headers))

    assert reload(dataset).target_column == "species"
    assert html.startswith('<section id="profile-relation"') or '<section id="profile-relation"' in html
    assert 'id="target-form"' in html
    assert '<option value="species" selected>' in html
    assert work_on(dataset, ActivityKind.RELATION).subject == "species"


def test_the_suggestion_works_without_a_script_and_on_the_page_of_its_own(client, dataset):
    store_profile(dataset)
    answer = client.post(url("profile_target", dataset), {"target_column": "wings"})
    assert answer["Location"] == f"{url('profile', dataset)}#profile-relation"
    assert reload(dataset).target_column == "wings"
    headers = {**HX, "HX-Current-URL": f"http://testserver{url('profile', dataset)}"}
    html = text_of(client.post(url("profile_target", dataset), {"target_column": "species"}, headers=headers))
    assert 'id="target-form"' not in html


def test_a_target_that_is_no_column_is_refused(client, dataset):
    response = client.post(url("profile_target", dataset), {"target_column": "prize"}, headers=HX)
    assert response.status_code == 422
    assert reload(dataset).target_column is None


def test_choosing_the_target_elsewhere_is_told_to_the_page(client, dataset):
    response = client.post(reverse("datasets:target", args=[dataset.id]), {"target_column": "legs"}, headers=HX)
    assert "target-chosen" in response["HX-Trigger-After-Settle"]


def test_the_relation_waits_for_the_profile_and_names_suspects(client, dataset):
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")
    dataset = reload(dataset)
    assert "as soon as the profile is there" in text_of(client.get(url("profile_relation", dataset)))
    assert work_on(dataset, ActivityKind.RELATION) is None
    store_profile(dataset)
    assert 'hx-trigger="load delay:2s' in client.get(url("profile_relation", dataset)).content.decode()
    assert work_on(dataset, ActivityKind.RELATION) is not None
    store_relation(dataset)
    html = text_of(client.get(url("profile_relation", dataset)))
    assert "load delay" not in html
    assert 'class="check-icon text-red"' in html
    assert "wings alone is always right." in html
    assert "Leave it out unless it is known before." in html
    assert "wings alone tells species without a mistake." in html


def test_a_relation_to_another_target_or_file_is_not_shown(client, dataset):
    store_profile(dataset)
    store_relation(dataset, etag='"another"')
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")
    assert 'data-test="relations"' not in client.get(url("profile_relation", dataset)).content.decode()


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_relation_that_failed_says_why_and_can_be_tried_again(client, dataset, headers):
    store_profile(dataset)
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")
    client.get(url("profile_relation", dataset))
    fail(work_on(dataset, ActivityKind.RELATION), "`species` is empty.")
    assert "<code>species</code> is empty." in text_of(client.get(url("profile_relation", dataset)))
    client.post(url("profile_relation_again", dataset), headers=headers)
    assert work_on(dataset, ActivityKind.RELATION).status is ActivityStatus.QUEUED


# --- The numbers ----------------------------------------------------------------------------------------------
def rows_of(response) -> list[list[str]]:
    assert response["Content-Type"].startswith("text/csv")
    assert response["Content-Disposition"].startswith("attachment")
    return list(csv.reader(io.StringIO(response.content.decode())))


def test_every_figure_has_its_numbers(client, dataset):
    store_profile(dataset)
    store_relation(dataset)
    repository.set_target(dataset_id=dataset.id, user_id=dataset.user_id, target_column="species")

    assert rows_of(client.get(url("profile_column_data", dataset, 0)))[1:] == [
        ["2.0", "3.0", "20"],
        ["3.0", "4.0", "16"],
    ]
    assert rows_of(client.get(url("profile_column_data", dataset, 3)))[1:] == [["dog", "20"], ["duck", "20"]]
    table = rows_of(client.get(url("profile_columns_data", dataset)))
    assert [row[0] for row in table] == ["column", "legs", "wings", "weight", "species"]
    assert dict(zip(table[0], table[1], strict=True))["p50"] == "3.0"
    matrix = rows_of(client.get(url("profile_associations_data", dataset)))
    assert matrix[1] == ["legs", "1.0", "0.97", ""]
    assert rows_of(client.get(url("profile_relation_data", dataset)))[1][:4] == [
        "wings",
        "1.0",
        "1.0",
        "balanced accuracy",
    ]
    assert len(rows_of(client.get(url("profile_checks_data", dataset)))) == 4


def test_numbers_that_are_not_there_are_not_found(client, dataset):
    for view in GETS:
        assert not view.endswith("_data") or client.get(url(view, dataset)).status_code == 404, view
    assert work_on(dataset) is None


# --- The end --------------------------------------------------------------------------------------------------
def test_a_deleted_dataset_takes_everything_derived_along(client, dataset):
    store_profile(dataset)
    store_relation(dataset)
    choose(dataset, "legs", ColumnType.TEXT)
    response = client.post(reverse("datasets:delete", args=[dataset.id]))

    assert "profile.json" in response.content.decode()
    blobs = get_blobs()
    prefix = blobs.dataset_prefix(dataset.user_id, dataset.id)
    assert list(blobs.list_prefix(blobs.datasets_container, prefix)) == []
