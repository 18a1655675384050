"""Tags and notes: changed in place or on a page of their own, found again in the list."""

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from models_app import services
from tests.factories import stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db
POSTED = {"tags": "Zoo, Birds", "note": "Ask <b>Ada</b>\r\nfirst", "version_note": "more rows"}


@pytest.fixture
def model(stack, user):
    return stored_model(user.id, stored_dataset(user.id))


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


def address(model, version=1):
    return reverse("models:labels", args=[model.id, version])


def text_of(response):
    return " ".join(strip_tags(response.content.decode()).split())


def test_they_are_changed_in_place(owner, model, user):
    form = owner.get(address(model), {"edit": "1"}, headers=HX).content.decode()
    assert "<html" not in form
    assert "Note on version 1" in form
    saved = owner.post(address(model), POSTED, headers=HX).content.decode()
    assert "<html" not in saved
    assert "Ask &lt;b&gt;Ada&lt;/b&gt;<br>first" in saved
    assert "The tags and notes are saved" in saved
    kept = services.get_model(user_id=user.id, model_id=model.id)
    assert (kept.tags, kept.note, kept.current.note) == (("zoo", "birds"), "Ask <b>Ada</b>\nfirst", "more rows")
    assert "more rows" in owner.get(address(model), headers=HX).content.decode()
    owner.post(address(model), {}, headers=HX)
    bare = services.get_model(user_id=user.id, model_id=model.id)
    assert (bare.tags, bare.note, bare.current.note) == ((), "", "")


def test_they_are_changed_without_scripts(owner, model):
    assert "<html" in owner.get(address(model), {"edit": "1"}).content.decode()
    done = owner.post(address(model), POSTED)
    assert done["Location"] == f"{reverse('models:detail', args=[model.id])}?version=1"
    page = text_of(owner.get(done["Location"]))
    for said in ("The tags and notes are saved.", "zoo birds", "more rows"):
        assert said in page
    assert owner.get(address(model))["Location"] == done["Location"]


@pytest.mark.parametrize("headers", [{}, HX], ids=["page", "fragment"])
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tags", "a b c d e f g h i j k", "a model has at most 10"),
        ("tags", "what?", "is no tag"),
        ("note", "x" * 2001, "2,001 characters"),
        ("version_note", "a\x1bb", "control character"),
    ],
)
def test_what_cannot_be_kept_is_said_at_its_field_and_nothing_changes(
    owner, model, user, headers, field, value, said
):
    refused = owner.post(address(model), POSTED | {field: value}, headers=headers)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert said in page.partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert "more rows" in page or field == "version_note"
    kept = services.get_model(user_id=user.id, model_id=model.id)
    assert (kept.tags, kept.note, kept.current.note) == ((), "", "")


def test_the_list_is_filtered_by_tag_and_searched_by_it(owner, model, user):
    other = stored_model(user.id, stored_dataset(user.id))
    owner.post(address(model), POSTED)
    services.rename_model(user_id=user.id, model_id=other.id, name="A zoologist's")
    listed = reverse("models:list")

    def found(**query):
        page = owner.get(listed, query, headers=HX).content.decode()
        return [name for name in (model.id, other.id) if f"/models/{name}" in page]

    assert found(tag="zoo") == found(tag=" Birds") == [model.id]
    assert found(q="ZOO") == [model.id, other.id]
    assert found(q="bird") == [model.id]
    assert found(q="zoologist", tag="zoo") == []
    assert found(tag="$ne") == []
    page = owner.get(listed, {"tag": "zoo"}).content.decode()
    assert f'href="{listed}?tag=birds"' in page
    assert '<input type="hidden" name="tag" value="zoo">' in page


def test_nobody_else_reads_or_writes_them(owner, model, client_for, other_user, client, user):
    owner.post(address(model), POSTED)
    other = client_for(other_user)
    for headers in ({}, HX):
        assert other.get(address(model), {"edit": "1"}, headers=headers).status_code == 404
        assert other.post(address(model), {"tags": "mine"}, headers=headers).status_code == 404
        assert owner.post(address(model, 2), {"tags": "late"}, headers=headers).status_code == 404
    assert "zoo" not in other.get(reverse("models:list")).content.decode()
    assert client.post(address(model), {"tags": "mine"})["Location"].startswith(reverse("accounts:sign_in"))
    assert services.get_model(user_id=user.id, model_id=model.id).tags == ("zoo", "birds")
