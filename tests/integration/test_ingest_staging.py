"""Between upload and import: nothing counts, nothing is lost, and leaving it leaves nothing."""

import csv
import io
import json
from datetime import timedelta

import pytest
from bson import ObjectId
from django.core.cache import cache
from django.utils import timezone

from datasets import activities, receipts, repository, services, staging
from datasets.activity_records import Activity, ActivityKind, ActivityStatus
from datasets.records import DatasetStatus
from ml.tables import Dialect
from smartml.errors import BlobMissing, Conflict, InvalidTable, MetadataUnavailable, NotFound, StorageUnavailable
from storage import blobs, mongo, mongo_users
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, derived_blobs, temporary_files
from tests.services import CLOSED_PORT

TABLE = b"city;price\nBerlin;10\nParis;20\nRome;30\n"
RAGGED = b"a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n11,12\n"
USER = "a" * 24
OTHER = "b" * 24


@pytest.fixture(autouse=True)
def _empty_cache(stack, db):
    cache.clear()


def staged(content=TABLE, *, user_id=USER, file_name="cities.csv"):
    with services.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=file_name) as ingest:
        ingest.write(content)
        return ingest.stage()


def dialect_of(dataset, **changes):
    return Dialect.from_dict({**dataset.dialect, **changes})


def totals():
    found = repository.totals(user_id=USER)
    return found.datasets_count, found.datasets_bytes


def quarantine_of(dataset):
    text = b"".join(receipts.open_quarantine(dataset=dataset)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def in_background(monkeypatch):
    """Everything is large; a worker of this process does what is started."""
    monkeypatch.setattr(staging, "INLINE_BYTES", 0)


# --- Staged --------------------------------------------------------------------------------------------------
def test_a_staged_file_is_stored_and_scanned_but_is_no_dataset(stack):
    dataset = staged()

    assert dataset.status is DatasetStatus.STAGED
    assert (dataset.row_count, dataset.column_count, dataset.file_size) == (3, 2, len(TABLE))
    assert dataset.dialect["delimiter"] == ";"
    assert dataset.azure_dataset_url is None
    assert dataset_blobs(stack) == [f"{USER}/{dataset.id}/cities.csv"]
    assert totals() == (0, 0)
    assert services.list_datasets(user_id=USER).items == ()
    assert not services.has_dataset(user_id=USER, dataset_id=dataset.id)
    with pytest.raises(NotFound):
        services.get_dataset(user_id=USER, dataset_id=dataset.id)
    with pytest.raises(NotFound):
        services.set_target(user_id=USER, dataset_id=dataset.id, target_column="price")
    assert staging.staged_of(user_id=USER) == (dataset,)
    assert staging.staged_of(user_id=OTHER) == ()
    with pytest.raises(NotFound):
        staging.get_staged(user_id=OTHER, dataset_id=dataset.id)


def test_the_same_id_again_says_that_it_waits(stack):
    dataset = staged()
    with pytest.raises(Conflict, match="waits for you to import"):
        services.begin_ingest(user_id=USER, dataset_id=dataset.id, file_name="cities.csv")


def test_a_table_of_which_most_rows_do_not_fit_waits_for_another_dialect(stack):
    dataset = staged(b"x,y\n1,2\n3\n4\n5\n")

    look = staging.look(dataset=dataset)
    assert look.fault is not None
    assert "3 of 4 rows do not have 2 fields" in look.fault.message
    with pytest.raises(InvalidTable, match="3 of 4 rows"):
        staging.import_detected(dataset=dataset)
    with services.begin_ingest(user_id=USER, dataset_id=new_id(), file_name="x.csv") as ingest:
        ingest.write(b"x,y\n1,2\n3\n4\n5\n")
        with pytest.raises(InvalidTable):
            ingest.commit()
    assert [row["status"] for row in dataset_rows()] == ["staged"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, b"only,a,header\n"],
    ids=["empty", "blank lines", "png", "no rows"],
)
def test_what_is_surely_no_table_is_refused_with_nothing_stored(stack, content):
    with pytest.raises(InvalidTable):
        staged(content)

    assert_no_dataset_left(stack)


# --- Import --------------------------------------------------------------------------------------------------
def test_an_unchanged_import_uses_the_scan_made_while_it_arrived(stack, monkeypatch):
    dataset = staged()
    monkeypatch.setattr(staging.previews, "read_chunks", None)
    imported = staging.import_staged(dataset=dataset, dialect=dialect_of(dataset))

    assert imported.status is DatasetStatus.READY
    assert imported.azure_dataset_url.endswith(f"{USER}/{dataset.id}/cities.csv")
    assert (imported.etag, imported.sha256, imported.row_count) == (dataset.etag, dataset.sha256, 3)
    assert totals() == (1, len(TABLE))
    assert staging.import_staged(dataset=dataset, dialect=dialect_of(dataset)) == imported
    assert totals() == (1, len(TABLE))


def test_a_changed_dialect_reads_the_file_again(stack):
    dataset = staged()
    imported = staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, has_header=False))

    assert (imported.row_count, imported.column_count) == (4, 2)
    assert services.columns_of(dataset=imported) == ("column_1", "column_2")
    receipt = receipts.receipt_of(dataset=imported)
    assert (receipt.records, receipt.rows, receipt.quarantined) == (4, 4, 0)
    assert len(derived_blobs(stack)) == 1


def test_signs_inside_values_need_no_second_reading(stack, monkeypatch):
    dataset = staged(b"a;b\n1,5;x\n2,5;y\n")
    monkeypatch.setattr(staging.previews, "read_chunks", None)
    imported = staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, date_order="dmy"))

    assert imported.dialect["date_order"] == "dmy"
    assert receipts.receipt_of(dataset=imported).dialect == imported.dialect
    assert len(derived_blobs(stack)) == 1


def test_a_dialect_that_gives_no_table_leaves_the_file_waiting(stack):
    dataset = staged(b"a;b,c\n" + b"1;2\n3;4\n" * 3)
    with pytest.raises(InvalidTable):
        staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, delimiter=","))

    assert repository.get(dataset_id=dataset.id, user_id=USER).status is DatasetStatus.STAGED
    assert len(derived_blobs(stack)) == 1  # the receipt of what was scanned
    assert staging.import_detected(dataset=dataset).row_count == 6


def test_a_file_that_is_lost_is_said(stack):
    dataset = staged()
    blobs.get_blobs().delete_dataset(user_id=USER, dataset_id=dataset.id)
    for dialect in (dialect_of(dataset), dialect_of(dataset, has_header=False)):
        with pytest.raises(BlobMissing):
            staging.import_staged(dataset=dataset, dialect=dialect)
    assert totals() == (0, 0)


def test_an_import_into_a_closing_account_is_refused(stack):
    dataset = staged()
    mongo_users.begin_closing(user_id=USER)
    with pytest.raises(Conflict, match="is being deleted"):
        staging.import_detected(dataset=dataset)
    services.delete_all_of_user(USER)

    assert_no_dataset_left(stack)


# --- The receipt ---------------------------------------------------------------------------------------------
def test_the_receipt_adds_up_and_the_quarantine_holds_what_was_left_out(stack):
    dataset = staging.import_detected(dataset=staged(RAGGED))
    receipt = receipts.receipt_of(dataset=dataset)

    assert (receipt.records, receipt.rows, receipt.quarantined) == (6, 4, 2)
    assert receipt.reasons == {"too_few_fields": 1, "too_many_fields": 1}
    assert [(row.line, row.reason, row.expected, row.found) for row in receipt.first] == [
        (3, "too_few_fields", 2, 1),
        (5, "too_many_fields", 2, 3),
    ]
    header, *rows = quarantine_of(dataset)
    assert header == ["line", "reason", "record"]
    assert [(row[0], row[2]) for row in rows] == [("3", "3"), ("5", "6,7,8")]


def test_a_program_gets_a_receipt_too(stack):
    with services.begin_ingest(user_id=USER, dataset_id=new_id(), file_name="r.csv") as ingest:
        ingest.write(RAGGED)
        dataset = ingest.commit()

    assert receipts.receipt_of(dataset=dataset).quarantined == 2
    assert len(quarantine_of(dataset)) == 3


def test_a_file_without_bad_records_has_no_quarantine(stack):
    dataset = staging.import_detected(dataset=staged())

    assert receipts.receipt_of(dataset=dataset).quarantine is None
    with pytest.raises(NotFound):
        receipts.open_quarantine(dataset=dataset)


def test_records_with_quotes_and_line_breaks_survive_the_quarantine(stack):
    odd = '"x ""y"" \n z",2,3'
    dataset = staging.import_detected(dataset=staged(f"a,b\n1,2\n3,4\n{odd}\n5,6\n".encode()))

    assert quarantine_of(dataset)[1][2] == odd


def test_nothing_of_a_reading_that_was_not_imported_stays(stack):
    content = b"a;b,c\n" + b"1;2,3\n" * 5 + b"4;5\n"
    dataset = staged(content)
    first = derived_blobs(stack)
    other = "," if dataset.dialect["delimiter"] == ";" else ";"
    imported = staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, delimiter=other))

    receipt = receipts.receipt_of(dataset=imported)
    assert len(derived_blobs(stack)) == (2 if receipt.quarantine else 1)
    assert not set(first) & set(derived_blobs(stack))


# --- Leaving it ----------------------------------------------------------------------------------------------
def test_abandoning_leaves_nothing(stack):
    dataset = staged(RAGGED)
    assert services.abandon(user_id=USER, dataset_id=dataset.id).id == dataset.id

    assert_no_dataset_left(stack)
    with pytest.raises(NotFound):
        services.abandon(user_id=USER, dataset_id=dataset.id)


def test_somebody_elses_and_imported_ones_cannot_be_abandoned(stack):
    dataset = staged()
    with pytest.raises(NotFound):
        services.abandon(user_id=OTHER, dataset_id=dataset.id)
    staging.import_detected(dataset=dataset)
    with pytest.raises(NotFound):
        services.abandon(user_id=USER, dataset_id=dataset.id)

    assert [row["status"] for row in dataset_rows()] == ["ready"]


def test_the_sweep_deletes_what_nobody_has_finished_for_a_day(stack, settings):
    settings.STAGED_UPLOAD_HOURS = 2
    old, young, ready = staged(RAGGED), staged(), staging.import_detected(dataset=staged())
    age(old.id, ready.id, hours=3)
    age(young.id, hours=1)

    assert services.sweep_datasets() == 1
    assert {str(row["_id"]) for row in dataset_rows()} == {young.id, ready.id}
    assert {name.split("/")[1] for name in dataset_blobs(stack) + derived_blobs(stack)} == {young.id, ready.id}


def age(*ids, hours):
    mongo.get_database()["datasets"].update_many(
        {"_id": {"$in": [ObjectId(i) for i in ids]}},
        {"$set": {"touched_at": timezone.now() - timedelta(hours=hours)}},
    )


def test_closing_the_account_takes_it_along(stack):
    staged(RAGGED)
    services.delete_all_of_user(USER)

    assert_no_dataset_left(stack)


# --- The same content ----------------------------------------------------------------------------------------
def test_the_same_content_is_found_among_ones_own_only(stack):
    theirs = staged(user_id=OTHER)
    first = staged()
    assert staging.same_content(dataset=first) is None
    second = staged(file_name="again.csv")
    assert staging.same_content(dataset=second).id == first.id
    staging.import_detected(dataset=first)
    third = staged()
    assert staging.same_content(dataset=third).id == first.id
    assert staging.same_content(dataset=theirs) is None
    services.delete_dataset(user_id=USER, dataset_id=first.id)
    assert staging.same_content(dataset=third).id == second.id


# --- In the background ---------------------------------------------------------------------------------------
def begin_reading(dataset, **changes):
    work = staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, **changes))
    assert isinstance(work, Activity)
    return work


def test_a_large_file_is_read_again_in_the_background(stack, monkeypatch):
    in_background(monkeypatch)
    dataset = staged()
    work = begin_reading(dataset, has_header=False)

    assert work.kind is ActivityKind.READ
    assert json.loads(work.subject)["has_header"] is False
    with pytest.raises(Conflict, match="being read"):
        staging.import_staged(dataset=dataset, dialect=dialect_of(dataset, has_header=False))
    assert activities.run(work.id) is ActivityStatus.SUCCEEDED
    imported = services.get_dataset(user_id=USER, dataset_id=dataset.id)
    assert imported.row_count == 4
    assert activities.run(work.id) is None
    assert temporary_files(stack) == []


def test_a_background_reading_that_gives_no_table_says_so(stack, monkeypatch):
    in_background(monkeypatch)
    dataset = staged(b"a;b,c\n" + b"1;2\n3;4\n" * 3)
    work = begin_reading(dataset, delimiter=",")

    assert activities.run(work.id) is ActivityStatus.FAILED
    assert "does not look like one table" in staging.latest_work(dataset=dataset).error.message
    assert repository.get(dataset_id=dataset.id, user_id=USER).status is DatasetStatus.STAGED
    assert len(derived_blobs(stack)) == 1
    assert staging.import_detected(dataset=dataset).row_count == 6


def test_abandoning_stops_a_reading(stack, monkeypatch):
    in_background(monkeypatch)
    dataset = staged()
    work = begin_reading(dataset, has_header=False)
    services.abandon(user_id=USER, dataset_id=dataset.id)

    assert activities.run(work.id) is None
    assert_no_dataset_left(stack)


def test_a_file_deleted_while_it_is_read_leaves_nothing(stack, monkeypatch):
    dataset = staged(RAGGED)
    real = repository.mark_ready

    def delete_first(**facts):
        services.abandon(user_id=USER, dataset_id=dataset.id)
        return real(**facts)

    monkeypatch.setattr(repository, "mark_ready", delete_first)
    with pytest.raises(Conflict):
        staging.read_again(dataset=dataset, dialect=dialect_of(dataset, has_header=False))

    assert_no_dataset_left(stack)


def test_another_import_meanwhile_wins_and_keeps_its_receipt(stack, monkeypatch):
    dataset = staged(RAGGED)
    real = repository.mark_ready

    def import_first(**facts):
        monkeypatch.setattr(repository, "mark_ready", real)
        staging.import_detected(dataset=dataset)
        return real(**facts)

    monkeypatch.setattr(repository, "mark_ready", import_first)
    imported = staging.read_again(dataset=dataset, dialect=dialect_of(dataset, has_header=False))

    assert imported.row_count == 4
    assert receipts.receipt_of(dataset=imported).rows == 4
    assert len(quarantine_of(imported)) == 3
    assert len(derived_blobs(stack)) == 2
    assert totals()[0] == 1


# --- Services that go away -----------------------------------------------------------------------------------
def test_storage_that_is_away_leaves_the_file_waiting(stack, settings):
    dataset = staged(RAGGED)
    address = settings.AZURE_ACCOUNT_URL
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    for dialect in (dialect_of(dataset), dialect_of(dataset, has_header=False)):
        with pytest.raises(StorageUnavailable):
            staging.import_staged(dataset=dataset, dialect=dialect)
    with pytest.raises(StorageUnavailable):
        services.abandon(user_id=USER, dataset_id=dataset.id)
    settings.AZURE_ACCOUNT_URL = address
    blobs.reset_blobs()

    assert [row["status"] for row in dataset_rows()] == ["deleting"]
    services.delete_dataset(user_id=USER, dataset_id=dataset.id)
    assert_no_dataset_left(stack)


@pytest.mark.parametrize("done", [True, False], ids=["went through", "did not"])
def test_a_lost_answer_to_an_import_loses_nothing(stack, monkeypatch, done):
    dataset = staged(RAGGED)
    dialect = dialect_of(dataset, has_header=False)
    real = repository.mark_ready

    def unanswered(**facts):
        if done:
            real(**facts)
        raise MetadataUnavailable("The metadata database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(repository, "mark_ready", unanswered)
        with pytest.raises(MetadataUnavailable):
            staging.import_staged(dataset=dataset, dialect=dialect)
    imported = staging.import_staged(dataset=dataset, dialect=dialect)

    assert imported.row_count == 5
    assert receipts.receipt_of(dataset=imported).records == 7
    assert len(quarantine_of(imported)) == 3
    assert len(derived_blobs(stack)) == 2
    assert totals()[0] == 1


@pytest.mark.parametrize("done", [True, False], ids=["went through", "did not"])
def test_a_lost_answer_to_the_staging_is_asked_for_again(stack, monkeypatch, done):
    real, left = repository.mark_staged, [2]
    monkeypatch.setattr("datasets.ingest.READY_PAUSE_SECONDS", 0.01)

    def unanswered(**facts):
        if not left[0]:
            return real(**facts)
        left[0] -= 1
        if done:
            real(**facts)
        raise MetadataUnavailable("The metadata database does not answer.")

    monkeypatch.setattr(repository, "mark_staged", unanswered)
    dataset = staged(RAGGED)

    assert staging.get_staged(user_id=USER, dataset_id=dataset.id) == dataset


def test_a_staging_that_fails_leaves_nothing(stack, monkeypatch):
    def refuse(**_):
        raise Conflict("No.")

    monkeypatch.setattr(repository, "mark_staged", refuse)
    with pytest.raises(Conflict):
        staged(RAGGED)

    assert_no_dataset_left(stack)
