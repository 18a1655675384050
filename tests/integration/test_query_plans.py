"""Every query that the repositories send is answered from an index: no collection scan, no sort in memory.

The commands are recorded as the driver sends them and explained afterwards, so a new query is judged too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo import monitoring

from datasets import activities_repository as activities
from datasets import repository as datasets
from datasets.activity_records import ActivityKind
from datasets.records import DatasetSort, DatasetStatus
from ml.problem import Preset
from models_app import afterwards_repository, files_repository, plans_repository
from models_app import batches_repository as batches
from models_app import jobs_repository as jobs
from models_app import news_repository as news
from models_app import repository as models
from models_app import turns_repository as turns
from models_app import versions_repository as versions
from models_app.batch_records import BatchError, BatchFacts, BatchStatus
from models_app.records import JobError, JobStatus, Model
from storage import mongo, mongo_users
from storage.ids import new_id
from tests.records import (
    DIALECT,
    SHA256,
    held_job,
    make_dataset,
    make_facts,
    now,
    queued_job,
    ready_dataset,
    stored_activity,
    stored_batch,
    stored_model,
)

JUDGED = ("find", "findAndModify", "aggregate", "count", "update", "delete", "distinct")


class Recorder(monitoring.CommandListener):
    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.commands is not None and event.command_name in JUDGED:
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


RECORDER = Recorder()


@pytest.fixture(autouse=True)
def recorder(stack: object) -> Iterator[Recorder]:
    listeners = monitoring._LISTENERS
    monitoring.register(RECORDER)
    mongo.reset_client()
    yield RECORDER
    RECORDER.commands = None
    mongo.reset_client()
    for kind in listeners:
        if RECORDER in kind:
            kind.remove(RECORDER)


def plans(command: dict[str, Any]) -> list[dict[str, Any]]:
    """The winning plan of a recorded command, for each part of it."""
    name = next(iter(command))
    kept = {key: command[key] for key in command if key not in DRIVER_FIELDS}
    parts = [kept]
    if name in ("update", "delete"):
        parts = [kept | {name + "s": [each]} for each in kept[name + "s"]]  # explain takes one at a time
    return [mongo.get_database().command("explain", part, verbosity="queryPlanner") for part in parts]


DRIVER_FIELDS = {"lsid", "txnNumber", "startTransaction", "autocommit", "$db", "$clusterTime", "maxTimeMS",
                 "readConcern", "writeConcern", "$readPreference"}  # fmt: skip


def stages(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        for key, value in plan.items():
            if key == "stage":
                yield value
            elif key not in {"rejectedPlans", "command"}:
                yield from stages(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from stages(value)


def in_pages(list_page: Callable[..., Any], **options: Any) -> None:
    """The first page and one after a cursor."""
    cursor = list_page(cursor=None, limit=2, **options).next_cursor
    assert cursor
    list_page(cursor=cursor, limit=2, **options)


def use_batches(model: Model) -> None:
    batch = stored_batch(model)
    about = {"batch_id": batch.id, "user_id": batch.user_id}
    batches.get(**about)
    batches.of_version(user_id=batch.user_id, model_id=model.id, version=1)
    batches.touch(**about)
    counts = {"rows": 1, "bad_rows": 0, "columns": 1, "input_size": 1}
    batches.mark_waiting(**about, **counts, first_bad_lines=(), dialect=DIALECT)
    sizes = {"rows": 1, "odd_rows": 0, "result_size": 1, "stored_size": 2}
    batches.mark_failed(batch_id=new_id(), user_id=batch.user_id, error=BatchError(code="x", message="x"))
    batches.mark_done(**about, facts=BatchFacts(**sizes, drift="", score=None, metric=None))
    batches.with_input()
    batches.forget_input(**about)
    batches.unfinished(status=BatchStatus.WAITING, untouched_since=now())
    batches.existing(batch_ids={batch.id, new_id()})
    batches.mark_deleting(**about)
    batches.forget_model(model_id=model.id, version=1)
    batches.forget_model(model_id=model.id)


def use_everything() -> None:
    user_id = new_id()
    for i in range(4):
        ready_dataset(user_id=user_id, name=f"d{i}")
        stored_model(user_id=user_id, name=f"m{i}")
    dataset = ready_dataset(user_id=user_id)
    of_dataset = {"dataset_id": dataset.id, "user_id": user_id}
    for sort in DatasetSort:
        in_pages(datasets.list_page, user_id=user_id, sort=sort)
        in_pages(datasets.list_page, user_id=user_id, sort=sort, search="d")
    datasets.get(**of_dataset)
    datasets.rename(**of_dataset, name="x")
    datasets.set_target(**of_dataset, target_column="x")
    datasets.touch(dataset_id=dataset.id)
    datasets.mark_deleting(**of_dataset, untouched_since=now())
    datasets.mark_deleting(**of_dataset)
    datasets.unfinished(untouched_since=now() + timedelta(hours=1))
    staged = make_dataset(user_id=user_id)
    datasets.insert_uploading(dataset=staged)
    datasets.mark_packed(dataset_id=staged.id, user_id=user_id, file_size=1)
    datasets.mark_staged(dataset_id=staged.id, user_id=user_id, facts=make_facts())
    datasets.staged(untouched_since=now() + timedelta(hours=1))
    datasets.staged_of_user(user_id=user_id)
    datasets.first_with_content(user_id=user_id, sha256=SHA256, before=now(), other_than=staged.id)
    datasets.first_with_content(user_id=user_id, sha256=SHA256, before=now())
    datasets.mark_deleting(
        dataset_id=staged.id, user_id=user_id, status=DatasetStatus.STAGED, untouched_since=now()
    )
    datasets.ids_of_user(user_id=user_id)
    datasets.existing(keys={(user_id, dataset.id), (user_id, new_id())})
    datasets.totals(user_id=user_id)
    datasets.remove(**of_dataset)

    model = stored_model(user_id=user_id)
    of_model = {"model_id": model.id, "user_id": user_id}
    in_pages(models.list_page, user_id=user_id)
    in_pages(models.list_page, user_id=user_id, search="m")
    models.list_page(user_id=user_id, search="m", tag="x")
    versions.tags_of_user(user_id=user_id)
    models.get(**of_model)
    models.rename(**of_model, name="x")
    models.next_version(**of_model)
    stored_model(**of_model, version=2)
    versions.promote(**of_model, version=1, instead_of=2)
    versions.set_pinned(**of_model, pinned=False)
    files_repository.count(**of_model, version=2, name="a.json", size=1)
    versions.set_labels(**of_model, version=2, tags=("a",), note="", version_note="b")
    versions.mark_deleting(**of_model, version=2)
    versions.unfinished(untouched_since=now() + timedelta(hours=1))
    versions.remove(**of_model, version=2)
    use_batches(model)
    models.mark_deleting(**of_model)
    models.unfinished(untouched_since=now() + timedelta(hours=1))
    models.ids_of_user(user_id=user_id)
    models.stored_versions(model_ids={model.id, new_id()})
    models.remove(**of_model)

    job = queued_job(user_id=user_id)
    in_pages(jobs.list_page, user_id=user_id)
    jobs.get(job_id=job.id)
    jobs.get(job_id=job.id, user_id=user_id)
    jobs.recent(user_id=user_id)
    jobs.recent(user_id=user_id, active_only=True)
    jobs.count_waiting(user_id=user_id)
    turns.waiting_in_turn()
    turns.before_one_of(user_id=user_id)
    turns.seconds_of_work()
    plans_repository.correction(preset=Preset.QUICK, last=20, at_least=5)
    plans_repository.last_planned()
    news.count_unseen(user_id=user_id)
    news.mark_seen(user_id=user_id)
    news.mark_seen(user_id=user_id, job_id=job.id)
    news.mails_due()
    afterwards_repository.owed()
    afterwards_repository.settle(job_id=job.id)
    news.take_mail(job_id=job.id)
    turns.next_that_may_begin(per_person=1)
    turns.claim_next(owner="nobody", lease_seconds=60, per_person=0)
    jobs.unclaimed(older_than=now() + timedelta(hours=1))
    jobs.active_for_dataset(dataset_id=job.dataset_id)
    jobs.active_for_model(model_id=job.model_id)
    held = held_job(user_id=user_id)
    by_worker = {"job_id": held.id, "owner": "worker"}
    jobs.expired(now=now() + timedelta(hours=1))
    jobs.heartbeat(**by_worker, lease_seconds=60)
    jobs.report(**by_worker)
    jobs.report(**by_worker, stage="x")
    jobs.advance(**by_worker, to=JobStatus.EVALUATING, stage="x", progress=0.5)
    jobs.request_cancel(job_id=held.id, user_id=user_id)
    jobs.requeue(**by_worker, expired_before=now())
    jobs.cancel(**by_worker)
    jobs.fail(job_id=job.id, owner=None, error=JobError(code="x", message="x"))
    jobs.versions_with_blobs(model_ids={held.model_id, new_id()})
    jobs.are_held(user_id=user_id, now=now())
    jobs.forget_user(user_id=user_id)

    work = stored_activity(ready_dataset(user_id=user_id))
    of_model = {"model_id": new_id(), "version": 1, "kind": ActivityKind.EXPLAIN}
    activities.insert(activity=replace(work, id=new_id(), dataset_id="", **of_model))
    activities.insert(activity=replace(work, id=new_id(), dataset_id="", **of_model))
    activities.latest_of_model(user_id=user_id, **of_model)
    activities.latest_of_model(user_id=user_id, **of_model, subject="x")
    activities.of_model(model_id=of_model["model_id"])
    activities.forget_model(model_id=of_model["model_id"])

    mongo_users.begin_closing(user_id=user_id)
    mongo_users.tombstones(before=now() + timedelta(hours=1))
    mongo_users.known(user_ids={user_id, new_id()})
    mongo_users.reopen(user_id=user_id)
    mongo_users.bury(user_id=user_id)
    mongo_users.forget(user_id=user_id)


@pytest.mark.parametrize("others", [0, 40], ids=["alone", "among many"])
def test_no_query_scans_a_collection_or_sorts_in_memory(recorder: Recorder, others: int):
    for _ in range(others):
        datasets.insert_uploading(dataset=make_dataset())
        ready_dataset()
        queued_job()
        stored_model()
    recorder.commands = []
    use_everything()
    recorded, recorder.commands = recorder.commands, None
    assert {next(iter(command)) for command in recorded} == {
        "find",
        "findAndModify",
        "aggregate",
        "distinct",
        "update",
        "delete",
    }
    # A compound sort key may be merged from several ordered scans; a SORT gathers everything first.
    for command in recorded:
        for plan in plans(command):
            found = set(stages(plan))
            assert found, plan
            assert not found & {"COLLSCAN", "SORT", "SORT_SIMPLE", "SORT_DEFAULT"}, (command, found)


def test_the_judge_knows_a_bad_plan(recorder: Recorder):
    ready_dataset()
    recorder.commands = []
    list(mongo.get_collection("datasets").find({"row_count": 3}, sort=[("etag", 1)]))
    recorded, recorder.commands = recorder.commands, None
    assert {"COLLSCAN", "SORT"} <= set(stages(plans(recorded[0])))
