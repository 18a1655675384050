"""Work on a version of a model after its training: apart from work on datasets, and gone with the model."""

import threading
import time

import pytest

from datasets import activities, work_progress
from datasets import activities_repository as repository
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.tasks import run_activity
from models_app import followups, services
from smartml.errors import IntegrityError, NotFound
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model
from tests.training import model_blobs, workspaces

pytestmark = pytest.mark.django_db

KIND = ActivityKind.EXPLAIN


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def model(user, dataset):
    return stored_model(user.id, dataset)


@pytest.fixture
def handle(monkeypatch):
    """``handle(handler)`` does this kind of work."""
    monkeypatch.setattr(activities, "_handlers", dict(activities._handlers))
    monkeypatch.setattr(work_progress, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(work_progress, "REPORT_SECONDS", 0.0)
    return lambda handler: followups.register(KIND, handler)


def start(model, **changes):
    return followups.start(model=model, version=1, kind=KIND, **changes)


def test_a_result_is_kept_beside_the_version_and_read(model, handle):
    handle(lambda work: work.put("explanations", b'{"of": 1}'))
    assert followups.read(model=model, version=1, stem="explanations") is None
    activity = followups.ensure(model=model, version=1, kind=KIND)
    assert followups.ensure(model=model, version=1, kind=KIND).id == activity.id
    assert (activity.model_id, activity.version, activity.dataset_id) == (model.id, 1, "")
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED
    assert followups.read(model=model, version=1, stem="explanations") == {"of": 1}
    assert followups.latest(model=model, version=1, kind=KIND).status is ActivityStatus.SUCCEEDED


def test_the_same_work_is_the_same_of_one_version_only(user, dataset, model):
    first = start(model)
    assert start(model).id == first.id
    assert start(model, subject="a column").id != first.id
    assert start(stored_model(user.id, dataset)).id != first.id
    assert followups.start(model=model, version=2, kind=KIND).id != first.id


def test_work_on_a_model_is_no_work_on_its_dataset(user, dataset, model, handle):
    handle(lambda work: None)
    activity = start(model)
    assert activities.latest(user_id=user.id, dataset_id=dataset.id) is None
    datasets.delete_dataset(user_id=user.id, dataset_id=dataset.id)
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED


def test_deleting_the_model_ends_its_work_and_leaves_nothing(stack, user, model, handle):
    busy = threading.Event()

    def work_on(work):
        busy.set()
        while True:
            work.progress.report(stage="Busy")
            time.sleep(0.01)

    handle(work_on)
    activity = start(model)
    thread = threading.Thread(target=run_activity, args=(activity.id,))
    thread.start()
    assert busy.wait(10)
    services.delete_model(user_id=user.id, model_id=model.id)
    thread.join(10)
    assert not thread.is_alive()
    assert repository.get(activity_id=activity.id) is None
    assert model_blobs(stack) == []


def test_a_result_that_comes_after_the_deletion_is_not_kept(stack, user, model, handle):
    def delete_then_put(work):
        services.delete_model(user_id=user.id, model_id=model.id)
        with pytest.raises((NotFound, work_progress.LeaseLost)):
            work.put("explanations", b"{}")

    handle(delete_then_put)
    run_activity(start(model).id)
    assert model_blobs(stack) == []


def test_what_is_kept_counts_as_storage_as_long_as_it_is_there(stack, user, model, handle):
    blobs = get_blobs()

    def assert_totals_are_true():
        found = services.get_model(user_id=user.id, model_id=model.id)
        stored = list(blobs.list_prefix(stack.models_container, ""))
        assert found.stored_size == sum(blob.size for blob in stored)
        assert datasets.totals_of(user_id=user.id).models_bytes == found.stored_size
        return len(stored)

    def done(handler):
        handle(handler)
        assert run_activity(start(model).id) == ActivityStatus.SUCCEEDED

    files = assert_totals_are_true()
    done(lambda work: work.put("explanations", b"x" * 1000))
    done(lambda work: work.put("explanations", b"x" * 10))
    done(lambda work: work.put("other", b"x" * 5, ext="csv"))
    assert assert_totals_are_true() == files + 2
    # What the training has stored is replaced too, by more and by less.
    done(lambda work: work.put("schema", b"x" * 10_000))
    done(lambda work: work.put("schema", b"x"))
    assert assert_totals_are_true() == files + 2
    done(lambda work: work.remove("other", ext="csv"))
    done(lambda work: work.remove("never"))
    assert assert_totals_are_true() == files + 1
    services.delete_model(user_id=user.id, model_id=model.id)
    assert datasets.totals_of(user_id=user.id).models_bytes == 0


def test_a_changed_zip_is_refused_before_it_is_opened(user, model, handle):
    seen = []

    def open_it(work):
        with work.opened() as place:
            seen.append(place)

    handle(open_it)
    activity = start(model)
    assert run_activity(activity.id) == ActivityStatus.FAILED
    assert activities.get(user_id=user.id, activity_id=activity.id).error.code == IntegrityError.code
    assert (seen, workspaces()) == ([], [])


def test_nobody_else_cancels_it(user, other_user, model):
    activity = start(model)
    with pytest.raises(NotFound):
        followups.cancel(user_id=other_user.id, activity_id=activity.id)
    assert followups.cancel(user_id=user.id, activity_id=activity.id).status is ActivityStatus.CANCELLED
