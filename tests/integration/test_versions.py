"""One version of several is current, chosen by training or by hand; another can go while the model stays."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from datasets import activities
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from ml.problem import ProblemType
from models_app import followups, jobs_repository, repository, services, sweep, versions, versions_repository
from models_app.records import JobSettings, Model
from smartml.errors import BlobMissing, Conflict, NotFound, ServiceUnavailable
from storage import emptying
from storage.blobs import AzureBlobStorage, Removed, get_blobs
from storage.mongo import get_database
from tests.factories import EVALUATION, running_job, stored_model
from tests.training import model_blobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(user, dataset):
    """With versions 1 and 2, of which the second came by itself."""
    return another(stored_model(user.id, dataset), dataset, score=0.75)


def another(model: Model, dataset, *, score: float = 0.75, **changes: object) -> Model:
    number = repository.next_version(model_id=model.id, user_id=model.user_id)
    job = running_job(model.user_id, dataset, model_id=model.id, version=number, **changes)
    return stored_model(model.user_id, dataset, job=job, evaluation=replace(EVALUATION, score=score))


def promote(model: Model, version: int, *, instead_of: int | None = None) -> Model:
    return versions.promote(
        user_id=model.user_id, model_id=model.id, version=version, instead_of=instead_of or model.version
    )


def delete(model: Model, version: int) -> Removed:
    return versions.delete_version(user_id=model.user_id, model_id=model.id, version=version)[1]


# --- Which one is current ------------------------------------------------------------------------------------
def test_a_training_becomes_current_until_a_version_was_chosen_by_hand(model, dataset):
    assert (model.version, model.pinned, model.previous_version) == (2, False, 1)
    back = promote(model, 1)
    assert (back.version, back.pinned, back.previous.version) == (1, True, 2)
    after = another(model, dataset, score=0.9)
    assert (after.version, [each.version for each in after.versions]) == (1, [1, 2, 3])
    free = versions.follow_trainings(user_id=model.user_id, model_id=model.id, follow=True)
    assert (free.version, free.pinned) == (1, False)
    assert another(model, dataset).version == 4


def test_a_training_that_predicts_something_else_waits(model, dataset):
    wings = another(model, dataset, settings=JobSettings(target="wings", time_limit=30))
    assert (wings.version, wings.newest.target) == (2, "wings")
    assert another(model, dataset, problem_type=ProblemType.MULTICLASS).version == 2


def test_the_mirrored_facts_move_with_the_promotion(model):
    promote(model, 1)
    document = get_database()["models"].find_one()
    for field in repository.MIRRORED:
        assert document[field] == document["versions"][0][field], field
    assert document["accuracy"] == EVALUATION.score
    assert model.current.accuracy == 0.75


def test_a_promotion_counts_only_from_the_version_that_was_looked_at(model, dataset):
    another(model, dataset)
    with pytest.raises(Conflict, match="Version 3 of Animals has become current meanwhile"):
        promote(model, 1)
    assert services.get_model(user_id=model.user_id, model_id=model.id).version == 3
    done = promote(model, 1, instead_of=3)
    # The same form sent twice.
    assert promote(model, 1, instead_of=3) == done


def test_somebody_elses_version_or_one_that_is_not_there_cannot_be_promoted_or_deleted(model, other_user):
    for user_id, version in ((other_user.id, 1), (model.user_id, 7)):
        with pytest.raises(NotFound):
            versions.promote(user_id=user_id, model_id=model.id, version=version, instead_of=2)
        with pytest.raises(NotFound):
            versions.delete_version(user_id=user_id, model_id=model.id, version=version)
    with pytest.raises(NotFound):
        versions.follow_trainings(user_id=other_user.id, model_id=model.id, follow=False)
    assert services.get_model(user_id=model.user_id, model_id=model.id) == model


# --- One version goes ----------------------------------------------------------------------------------------
def test_a_version_goes_with_its_blobs_its_share_of_the_totals_and_its_work(model, user, stack):
    work = [followups.start(model=model, version=version, kind=ActivityKind.EXPLAIN).id for version in (1, 2)]
    services.model_evaluation(model=model, version=1)
    before = datasets.totals_of(user_id=user.id)
    removed = delete(model, 1)
    assert (removed.count, removed.remaining) == (3, 0)
    assert {name.rpartition("/")[2] for name in model_blobs(stack)} == {
        "model-v2.zip", "evaluation-v2.json", "schema-v2.json",
    }  # fmt: skip
    left = services.get_model(user_id=user.id, model_id=model.id)
    assert ([each.version for each in left.versions], left.version, left.previous) == ([2], 2, None)
    after = datasets.totals_of(user_id=user.id)
    assert after.models_count == before.models_count == 1
    assert before.models_bytes - after.models_bytes == model.versions[0].stored_size
    with pytest.raises(NotFound):
        activities.get(user_id=user.id, activity_id=work[0])
    assert activities.get(user_id=user.id, activity_id=work[1]).status is ActivityStatus.QUEUED
    with pytest.raises(BlobMissing):
        services.model_evaluation(model=model, version=1)  # also not from the cache
    with pytest.raises(NotFound):
        delete(model, 1)
    assert datasets.totals_of(user_id=user.id) == after


def test_the_current_version_and_the_only_one_do_not_go_by_themselves(model, user, dataset, stack):
    with pytest.raises(versions.IsCurrent, match="it answers the prediction form and the API"):
        delete(model, 2)
    alone = stored_model(user.id, dataset)
    with pytest.raises(versions.IsCurrent, match="the only version"):
        delete(alone, 1)
    assert len(model_blobs(stack)) == 9


def test_its_number_is_never_given_again(model, dataset):
    last = another(model, dataset)
    promote(last, 1)
    delete(last, 3)
    assert repository.next_version(model_id=model.id, user_id=model.user_id) == 4


def test_a_deletion_that_stops_at_any_point_is_finished_by_the_sweep(model, user, stack, monkeypatch):
    """Marked; then some blobs gone; then all of them gone, but the version still counted."""
    services.model_features(model=model, version=2)

    def crash(*_, **__):
        raise KeyboardInterrupt

    before = datasets.totals_of(user_id=user.id).models_bytes
    steps = [(followups, "stop_model"), (versions, "delete_all"), (followups, "forget_model")]
    for place in (*steps, (versions_repository, "remove")):
        with monkeypatch.context() as patch:
            patch.setattr(*place, crash)
            with pytest.raises(KeyboardInterrupt):
                delete(model, 1)
        going = services.get_model(user_id=user.id, model_id=model.id)
        # For everybody else it has gone at the first step, and it is counted until the last.
        assert [[each.version for each in part] for part in (going.versions, going.leaving)] == [[2], [1]]
        assert datasets.totals_of(user_id=user.id).models_bytes == before == going.stored_size
        with pytest.raises(NotFound):
            promote(model, 1)
    assert len(model_blobs(stack)) == 3
    assert sweep.sweep_deleted_versions() == 0  # it may be in a living process
    monkeypatch.setattr(sweep, "DELETING_AFTER", timedelta(0))
    assert sweep.sweep_deleted_versions() == 1
    left = services.get_model(user_id=user.id, model_id=model.id)
    assert (len(left.versions), left.leaving) == (1, ())
    assert datasets.totals_of(user_id=user.id).models_bytes == left.stored_size
    assert sweep.sweep_deleted_versions() == 0


def test_blobs_that_do_not_go_leave_the_version_to_the_sweep_and_are_no_strays(model, user, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(emptying, "PAUSE_SECONDS", 0.0)
        left = Removed(count=0, names=(), prefix="", remaining=2)
        patch.setattr(AzureBlobStorage, "delete_model_version", lambda *_, **__: left)
        with pytest.raises(ServiceUnavailable, match="still holds files"):
            delete(model, 1)
    assert (user.id, model.id, 1) in repository.stored_versions(model_ids={model.id})
    assert delete(model, 1).count == 3


def test_what_was_being_computed_of_it_leaves_no_blob(model, user):
    work = followups.start(model=model, version=1, kind=ActivityKind.EXPLAIN)
    delete(model, 1)
    with pytest.raises(NotFound):
        followups._find(work)
    blobs = get_blobs()
    names = [blob.name for blob in blobs.list_prefix(blobs.models_container, f"{user.id}/{model.id}/")]
    assert not [name for name in names if "-v1." in name]


def test_a_model_goes_with_a_version_whose_deletion_was_interrupted(model, user, stack):
    versions_repository.mark_deleting(model_id=model.id, user_id=user.id, version=1)
    services.delete_model(user_id=user.id, model_id=model.id)
    assert model_blobs(stack) == []
    totals = datasets.totals_of(user_id=user.id)
    assert (totals.models_count, totals.models_bytes) == (0, 0)
    assert versions_repository.unfinished(untouched_since=timezone.now() + timedelta(hours=1)) == ()
    assert jobs_repository.active_for_model(model_id=model.id) == ()
