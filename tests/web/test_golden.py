"""Golden rows on a model's page and in the operator's command; a model that cannot be opened any more."""

import json
from urllib.parse import urlencode

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from datasets import services as datasets
from models_app import predictor, repository
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model
from tests.opening import with_other_libraries, with_zip
from tests.web.api_client import Program, error_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HX = {"HX-Request": "true"}
# Legs, wings (the first of the choices), weight.
DOG = {"f0": "4", "f1": "0", "f2": "21.0"}


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


@pytest.fixture
def model(stack, user, archive):
    return with_zip(user, archive)


@pytest.fixture
def other_libraries(stack, user, archive, tmp_path):
    return with_zip(user, with_other_libraries(archive, tmp_path))


def url(name, model):
    return reverse(f"models:{name}", args=[model.id, 1])


def detail(owner, model):
    return owner.get(reverse("models:detail", args=[model.id])).content.decode()


def tamper(model):
    """Answers of another model than this one."""
    blobs = get_blobs()
    identity = {"user_id": model.user_id, "model_id": model.id, "version": 1, "stem": "golden", "ext": "json"}
    kept = json.loads(blobs.get_model_file(**identity))
    kept["answers"][0]["probabilities"] = {"dog": 0.3, "duck": 0.7}
    blobs.put_model_file(**identity, data=json.dumps(kept).encode())


def test_the_owner_replays_and_is_told_whether_the_answers_are_the_same(owner, model):
    assert "Golden rows" in detail(owner, model)
    fragment = owner.post(url("replay", model), headers=HX)
    assert fragment.status_code == 200
    assert "Same: all 8 golden rows" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    tamper(model)
    page = owner.post(url("replay", model)).content.decode()
    assert "<html" in page
    assert "Drifted: 1 of 8 golden rows" in page
    assert "points" in page
    stored = repository.get(model_id=model.id, user_id=model.user_id).current
    assert stored.golden_drifted == 1
    assert stored.golden_checked_at > model.current.golden_checked_at
    assert "Drifted: 1 row gets another answer" in detail(owner, model)


def test_nobody_else_replays(client_for, other_user, model):
    assert client_for(other_user).post(url("replay", model)).status_code == 404


def test_the_operator_replays_all_and_one(stack, user, model, capsys):
    older = stored_model(user.id, stored_dataset(user.id))
    call_command("replay_golden")
    said = capsys.readouterr().out
    assert f"{model.id} v1 Same" in said
    assert f"{older.id} v1 This version was trained before golden rows" in said
    assert "1 same, 0 drifted, 0 cannot be opened, 1 without golden rows." in said
    tamper(model)
    with pytest.raises(CommandError, match="0 same, 1 drifted"):
        call_command("replay_golden", model=model.id)
    assert older.id not in capsys.readouterr().out
    with pytest.raises(CommandError, match="no model"):
        call_command("replay_golden", model="0" * 24)


def test_a_model_of_other_libraries_is_refused_with_a_way_out(owner, user, other_libraries, capsys):
    """The whole way: what the zip says of itself, the child that would open it, page, fragment and JSON."""
    model = other_libraries
    train = reverse("models:train", args=[model.current.dataset_id])
    again = f"{train}?{urlencode({'model': model.id, 'version': 1})}".replace("&", "&amp;")
    for headers in ({}, HX):
        answer = owner.post(url("predict", model), DOG, headers=headers)
        page = answer.content.decode()
        assert answer.status_code == 409
        assert "trained with AutoGluon 0.8.2" in page
        assert again in page
        assert 'value="21.0"' in page
    answer = owner.post(url("predict", model), DOG, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "version_mismatch")
    assert "Train" in answer.json()["error"]["hint"]
    told = error_of(Program(user).post(f"/models/{model.id}/predict", {"rows": [DOG]}), 409)
    assert told == answer.json()["error"]
    replayed = owner.post(url("replay", model), headers=HX)
    assert (replayed.status_code, "AutoGluon 0.8.2" in replayed.content.decode()) == (409, True)
    with pytest.raises(CommandError, match="1 cannot be opened"):
        call_command("replay_golden")
    assert "Cannot be opened: This model was trained with AutoGluon 0.8.2" in capsys.readouterr().out
    datasets.delete_dataset(user_id=user.id, dataset_id=model.current.dataset_id)
    page = owner.post(url("predict", model), DOG).content.decode()
    assert train not in page
    assert "upload it again" in page


def test_a_version_from_before_says_so(stack, owner, user):
    older = stored_model(user.id, stored_dataset(user.id))
    assert "None: this version was trained before" in detail(owner, older)
    answer = owner.post(url("replay", older), headers=HX)
    assert (answer.status_code, "before golden rows were kept" in answer.content.decode()) == (409, True)
    assert predictor._predictor.child_pids == []
