"""Background work on datasets: one at a time, cancelled at any moment, taken up once after a crash, never lost."""

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from datasets import activities, stopping, work_progress
from datasets import activities_repository as repository
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.tasks import run_activity
from smartml.errors import InvalidTable, NotFound, StorageUnavailable
from storage import mongo_users
from storage.mongo import get_database
from tests.factories import stored_dataset

pytestmark = pytest.mark.django_db

KIND = ActivityKind.READ


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id)


@pytest.fixture
def handle(monkeypatch):
    """``handle(handler, undo)`` does this kind of work; the list returned is what undo saw."""
    undone: list[str] = []

    def install(handler, undo=None):
        def note(activity):
            undone.append(activity.id)
            if undo:
                undo(activity)

        monkeypatch.setitem(activities._handlers, KIND, activities._Registered(handler, note))
        return undone

    monkeypatch.setattr(work_progress, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(work_progress, "REPORT_SECONDS", 0.0)
    return install


def start(dataset, subject="a column"):
    return activities.start(user_id=dataset.user_id, dataset_id=dataset.id, kind=KIND, subject=subject)


def state(activity):
    return repository.get(activity_id=activity.id)


def messages() -> list[str]:
    tasks = [row.task for row in OrmQ.objects.filter(key="light")]
    return [task["args"][0] for task in tasks if task["func"] == "datasets.tasks.run_activity"]


def busy(activity, progress):
    while True:
        progress.report(stage="Busy")
        time.sleep(0.01)


def in_thread(activity):
    thread = threading.Thread(target=run_activity, args=(activity.id,))
    thread.start()
    return thread


def wait_for(activity, condition):
    give_up = time.monotonic() + 10
    while not condition(found := state(activity)):
        assert time.monotonic() < give_up, found
        time.sleep(0.01)
    return found


def test_work_is_done_and_says_how_far_it_is(dataset, handle):
    seen = []

    def handler(activity, progress):
        progress.report(stage="Reading", progress=0.5, done_bytes=5, total_bytes=10)
        seen.append(state(activity))

    undone = handle(handler)
    activity = start(dataset)
    assert messages() == [activity.id]
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED
    [middle] = seen
    assert (middle.status, middle.stage, middle.progress) == (ActivityStatus.RUNNING, "Reading", 0.5)
    assert (middle.done_bytes, middle.total_bytes) == (5, 10)
    over = state(activity)
    assert (over.progress, over.error, over.has_leftovers, undone) == (1.0, None, False, [])
    assert run_activity(activity.id) is None
    assert len(seen) == 1


def test_the_same_work_is_started_once(dataset, handle):
    handle(lambda activity, progress: None)
    first = start(dataset)
    assert start(dataset).id == first.id
    assert start(dataset, subject="another column").id != first.id
    assert len(messages()) == 2
    run_activity(first.id)
    assert start(dataset).id != first.id


def test_a_failure_has_its_sentence_and_is_undone(dataset, handle):
    def handler(activity, progress):
        raise InvalidTable("Line 3 is no row.", hint="Mend it.")

    undone = handle(handler)
    activity = start(dataset)
    assert run_activity(activity.id) == ActivityStatus.FAILED
    over = state(activity)
    assert (over.error.code, over.error.message, over.error.hint) == (
        "invalid_table",
        "Line 3 is no row.",
        "Mend it.",
    )
    assert (undone, over.has_leftovers) == ([activity.id], False)


def test_an_unexpected_fault_says_nothing_of_itself(dataset, handle):
    def handler(activity, progress):
        raise ValueError("a row: secret")

    handle(handler)
    activity = start(dataset)
    run_activity(activity.id)
    assert state(activity).error == activities.CRASHED


def test_undoing_that_fails_is_done_by_the_sweep(dataset, handle):
    away = [True]

    def handler(activity, progress):
        raise InvalidTable("No table.")

    def undo(activity):
        if away.pop() if away else False:
            raise StorageUnavailable("Away.")

    undone = handle(handler, undo)
    activity = start(dataset)
    run_activity(activity.id)
    assert state(activity).has_leftovers
    activities.sweep()
    assert undone == [activity.id] * 2
    assert not state(activity).has_leftovers


def test_waiting_work_is_cancelled_at_once(dataset, handle):
    handle(lambda activity, progress: None)
    activity = start(dataset)
    over = activities.request_cancel(user_id=dataset.user_id, activity_id=activity.id)
    assert over.status == ActivityStatus.CANCELLED
    assert messages() == []
    assert run_activity(activity.id) is None


def test_running_work_is_cancelled_soon_and_undone(dataset, handle):
    undone = handle(busy)
    activity = start(dataset)
    thread = in_thread(activity)
    wait_for(activity, lambda found: found.stage == "Busy")
    activities.request_cancel(user_id=dataset.user_id, activity_id=activity.id)
    over = wait_for(activity, lambda found: found.status.is_over)
    thread.join(10)
    assert (over.status, over.error, undone) == (ActivityStatus.CANCELLED, None, [activity.id])


def test_work_of_a_worker_that_stops_is_put_back(dataset, handle):
    undone = handle(busy)
    activity = start(dataset)
    thread = threading.Thread(
        target=lambda: (wait_for(activity, lambda found: found.stage == "Busy"), stopping.announce())
    )
    thread.start()
    try:
        assert run_activity(activity.id) == ActivityStatus.QUEUED
    finally:
        thread.join(10)
        stopping.retract()
    waiting = state(activity)
    assert (waiting.status, waiting.attempt, undone) == (ActivityStatus.QUEUED, 0, [activity.id])
    assert messages() == [activity.id]


def lost(activity, *, attempts=1):
    for attempt in range(attempts):
        if attempt:
            repository.requeue(activity_id=activity.id, owner="dead worker")
        repository.claim(activity_id=activity.id, owner="dead worker", lease_seconds=-1)


def test_lost_work_is_taken_up_once_after_undoing_what_was_begun(dataset, handle):
    undone = handle(lambda activity, progress: None)
    activity = start(dataset)
    lost(activity)
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=4))  # taken by the cluster that died
    assert activities.sweep() == 1
    assert OrmQ.objects.filter(lock__lte=timezone.now()).count() == 1
    assert run_activity(activity.id) == ActivityStatus.SUCCEEDED
    assert (state(activity).attempt, undone) == (2, [activity.id])


def test_work_that_is_lost_twice_fails_with_the_reason_and_is_undone(dataset, handle):
    undone = handle(lambda activity, progress: None)
    activity = start(dataset)
    lost(activity, attempts=2)
    assert activities.sweep() == 2
    over = state(activity)
    assert (over.status, over.error) == (ActivityStatus.FAILED, activities.STOPPED_TWICE)
    assert (over.has_leftovers, undone) == (False, [activity.id])


def test_lost_work_that_was_to_be_cancelled_is_cancelled(dataset, handle):
    handle(lambda activity, progress: None)
    activity = start(dataset)
    lost(activity)
    activities.request_cancel(user_id=dataset.user_id, activity_id=activity.id)
    activities.sweep()
    assert state(activity).status == ActivityStatus.CANCELLED


def test_work_that_no_message_speaks_of_is_enqueued(dataset, handle):
    activity = start(dataset)
    OrmQ.objects.all().delete()
    activities.sweep()
    assert messages() == []  # the request that stored it may be about to
    long_ago = timezone.now() - 2 * activities.UNCLAIMED_AFTER
    get_database()["activities"].update_one({}, {"$set": {"queued_at": long_ago}})
    activities.sweep()
    activities.sweep()
    assert messages() == [activity.id]


def test_nobody_elses_work_is_found(dataset, other_user, handle):
    activity = start(dataset)
    with pytest.raises(NotFound):
        activities.get(user_id=other_user.id, activity_id=activity.id)
    with pytest.raises(NotFound):
        activities.request_cancel(user_id=other_user.id, activity_id=activity.id)
    assert activities.latest(user_id=other_user.id, dataset_id=dataset.id) is None
    assert activities.active_of_user(user_id=other_user.id) == ()
    assert activities.latest(user_id=dataset.user_id, dataset_id=dataset.id, kind=KIND) == state(activity)


def test_deleting_the_dataset_ends_its_work(dataset, handle):
    handle(busy)
    activity = start(dataset)
    thread = in_thread(activity)
    wait_for(activity, lambda found: found.stage == "Busy")
    datasets.delete_dataset(user_id=dataset.user_id, dataset_id=dataset.id)
    thread.join(10)
    assert not thread.is_alive()
    assert state(activity) is None


def test_nothing_is_started_for_an_account_that_is_closing(dataset, user):
    mongo_users.begin_closing(user_id=user.id)
    with pytest.raises(activities.SmartMLError):
        start(dataset)
    assert messages() == []
    activities.forget_user(user.id)
    assert get_database()["activities"].count_documents({}) == 0


def test_old_work_is_forgotten(dataset, handle):
    handle(lambda activity, progress: None)
    activity = start(dataset)
    run_activity(activity.id)
    activities.sweep()
    assert state(activity) is not None
    get_database()["activities"].update_one({}, {"$set": {"finished_at": timezone.now() - 2 * activities.KEPT_FOR}})
    activities.sweep()
    assert state(activity) is None
