"""The work behind the profile page, with the real engine in its child process."""

import json
import threading

import psutil
import pytest
from django.core.cache import cache

from datasets import activities, activities_repository, children, overrides, profile_work, profiles, repository
from datasets import services as datasets
from datasets.activities import ActivityKind, ActivityStatus
from datasets.processes import MARK
from datasets.tasks import run_activity
from ml.column_types import ColumnType
from smartml.errors import InvalidInput, NotFound
from storage.blobs import get_blobs
from tests.factories import stored_dataset
from tests.leftovers import temporary_files

pytestmark = pytest.mark.django_db

# 40 rows; `code` says the answer, `note` has words among its numbers.
TABLE = "size,code,note,day,answer\n" + "".join(
    f"{index / 4},{'x' if index % 2 else 'y'},{index if index % 10 else 'none yet'},2024-01-{1 + index % 28:02},"
    f"{'yes' if index % 2 else 'no'}\n"
    for index in range(40)
)


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def dataset(stack, user):
    return stored_dataset(user.id, content=TABLE)


def derived(dataset) -> list[str]:
    blobs = get_blobs()
    prefix = f"{blobs.dataset_prefix(dataset.user_id, dataset.id)}derived/"
    found = blobs.list_prefix(blobs.datasets_container, prefix)
    return sorted(blob.name.removeprefix(prefix) for blob in found if "receipt" not in blob.name)


def column_of(state, name):
    return next(column for column in state.columns if column.name == name)


def reload(dataset):
    return repository.get(dataset_id=dataset.id, user_id=dataset.user_id)


def test_the_profile_is_made_stored_and_read(dataset, stack):
    state = profiles.state_of(dataset=dataset)
    assert state.is_running
    assert run_activity(state.activity.id) is ActivityStatus.SUCCEEDED

    state = profiles.state_of(dataset=dataset)
    assert state.profile is not None
    assert state.profile.rows == 40
    assert column_of(state, "size").type is ColumnType.NUMERIC
    assert column_of(state, "size").maximum == "9.75"
    assert column_of(state, "code").top == (("x", 20), ("y", 20))
    assert {check.status for check in state.profile.checks} <= {"passed", "done", "alert"}
    assert derived(dataset) == ["profile.json"]
    assert temporary_files(stack) == []
    stored = json.loads(
        get_blobs().get_derived(user_id=dataset.user_id, dataset_id=dataset.id, name="profile.json")
    )
    assert stored["etag"] == dataset.etag


def test_a_chosen_type_is_used_and_what_does_not_fit_is_counted(dataset):
    profiles.choose_type(dataset=dataset, column="note", type=ColumnType.INTEGER)
    run_activity(profiles.start(dataset=dataset).id)
    state = profiles.state_of(dataset=dataset)

    note = column_of(state, "note")
    assert (note.type, note.detected_type) == (ColumnType.INTEGER, ColumnType.TEXT)
    assert note.not_of_type == 4
    assert note.histogram is not None
    # Taken back, the profile is of other types, and is made anew.
    profiles.choose_type(dataset=dataset, column="note", type=None)
    again = profiles.state_of(dataset=dataset)
    assert again.profile is None
    assert again.outdated == {"note"}
    assert again.is_running


def test_a_type_chosen_meanwhile_is_in_the_profile(dataset, monkeypatch):
    looked = []

    def look(dataset, path, types, progress, **options):
        looked.append(types)
        if len(looked) == 1:
            overrides.set_type(dataset=dataset, column="size", type=ColumnType.CATEGORY)
        real(dataset, path, types, progress, **options)

    real = profile_work._look
    monkeypatch.setattr(profile_work, "_look", look)
    run_activity(profiles.start(dataset=dataset).id)
    assert looked == [{}, {"size": ColumnType.CATEGORY}]
    assert column_of(profiles.state_of(dataset=dataset), "size").type is ColumnType.CATEGORY


def test_every_column_is_held_against_the_target(dataset, stack):
    datasets.set_target(user_id=dataset.user_id, dataset_id=dataset.id, target_column="answer")
    state = profiles.relation_state(dataset=reload(dataset))
    assert run_activity(state.activity.id) is ActivityStatus.SUCCEEDED

    state = profiles.relation_state(dataset=reload(dataset))
    assert state.relation is not None
    by_name = {relation.column: relation for relation in state.relation.relations}
    assert by_name["code"].strength > 0.9
    assert by_name["code"].is_suspect
    assert not by_name["size"].is_suspect
    assert temporary_files(stack) == []


def test_a_target_that_says_nothing_is_a_reason(dataset):
    table = "a,b\n" + "1,x\n" * 40
    constant = stored_dataset(dataset.user_id, content=table)
    activity = profiles.start_relation(dataset=constant, target="b")
    assert run_activity(activity.id) is ActivityStatus.FAILED
    error = activities.get(user_id=dataset.user_id, activity_id=activity.id).error
    assert error.code == "invalid_target"
    assert "b" in error.message


@pytest.mark.parametrize("kind", [ActivityKind.PROFILE, ActivityKind.RELATION])
def test_a_killed_child_is_a_failure_with_a_reason_and_leaves_nothing(dataset, stack, monkeypatch, kind):
    monkeypatch.setattr(children, "POLL_SECONDS", 0.02)
    activity = activities.start(
        user_id=dataset.user_id, dataset_id=dataset.id, kind=kind, subject="answer" if kind == "relation" else ""
    )
    worker = threading.Thread(target=run_activity, args=(activity.id,))
    with child_of(monkeypatch) as child:
        worker.start()
        child.wait().kill()
    worker.join(30)
    assert not worker.is_alive()

    over = activities_repository.get(activity_id=activity.id)
    assert over.status is ActivityStatus.FAILED
    assert over.error.code == "out_of_memory"
    assert derived(dataset) == []
    assert temporary_files(stack) == []


class child_of:
    """The child process that is started inside the block."""

    def __init__(self, monkeypatch) -> None:
        self._started = threading.Event()
        self._pid = 0
        send = children._send

        def note(child, request):
            # Stopped before it reads what to do: it is killed in the middle of its work, wherever that is.
            psutil.Process(child.pid).suspend()
            self._pid = child.pid
            send(child, request)
            self._started.set()

        monkeypatch.setattr(children, "_send", note)

    def __enter__(self) -> "child_of":
        return self

    def wait(self) -> psutil.Process:
        assert self._started.wait(30)
        return psutil.Process(self._pid)

    def __exit__(self, *_: object) -> None:
        self._started.clear()


def test_a_dataset_deleted_meanwhile_gets_nothing(dataset, stack, monkeypatch):
    store = profile_work._store

    def delete_then_store(activity, name, path):
        datasets.delete_dataset(user_id=dataset.user_id, dataset_id=dataset.id)
        store(activity, name, path)

    monkeypatch.setattr(profile_work, "_store", delete_then_store)
    run_activity(profiles.start(dataset=dataset).id)
    blobs = get_blobs()
    prefix = blobs.dataset_prefix(dataset.user_id, dataset.id)
    assert list(blobs.list_prefix(blobs.datasets_container, prefix)) == []
    assert temporary_files(stack) == []


def test_two_types_chosen_at_once_are_both_kept(dataset):
    place = {"user_id": dataset.user_id, "dataset_id": dataset.id}
    threads = [
        threading.Thread(target=datasets.set_type, kwargs={**place, "column": column, "type": ColumnType.TEXT})
        for column in ("size", "code", "note", "day", "answer")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(overrides.types_of(dataset=dataset)) == {"size", "code", "note", "day", "answer"}


def test_no_process_is_left(dataset):
    run_activity(profiles.start(dataset=dataset).id)
    assert [process for process in psutil.Process().children(recursive=True) if is_marked(process)] == []


def is_marked(process: psutil.Process) -> bool:
    """Whether a child that looks at a table still runs; one that has just ended has no environment any more."""
    try:
        return MARK in process.environ()
    except psutil.NoSuchProcess:  # a zombie too
        return False


def test_a_type_of_no_column_is_refused(dataset, other_user):
    place = {"dataset_id": dataset.id, "type": ColumnType.TEXT}
    with pytest.raises(InvalidInput):
        datasets.set_type(user_id=dataset.user_id, column="sise", **place)
    with pytest.raises(NotFound):
        datasets.set_type(user_id=other_user.id, column="size", **place)
    assert datasets.types_of(dataset=dataset) == {}
