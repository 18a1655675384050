"""Packed files: the table inside is what is stored, and the packed file goes; or nothing stays."""

import gzip
import io
import zipfile
from datetime import timedelta

import pytest
from bson import ObjectId
from django.core.cache import cache
from django.utils import timezone

from datasets import activities, packed, receipts, repository, services, staging
from datasets.activity_records import ActivityStatus
from datasets.records import DatasetStatus
from smartml.errors import Conflict, InvalidInput, InvalidTable, MetadataUnavailable, StorageUnavailable, TooLarge
from storage import blobs, mongo
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows, derived_blobs, temporary_files
from tests.services import CLOSED_PORT

TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"
OTHER_TABLE = b"x;y\n1;2\n3\n4;5\n6;7\n"
USER = "a" * 24


@pytest.fixture(autouse=True)
def _empty_cache(stack, db):
    cache.clear()


def begin(name):
    return services.begin_ingest(user_id=USER, dataset_id=new_id(), file_name=name)


def staged(content, name):
    with begin(name) as ingest:
        ingest.write(content)
        return ingest.stage()


def committed(content, name):
    with begin(name) as ingest:
        for start in range(0, len(content), 1000):
            ingest.write(content[start : start + 1000])
        return ingest.commit()


def archive(**tables):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in tables.items():
            made.writestr(f"{name}.csv", content)
    return out.getvalue()


def workbook(**sheets):
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet():
    import pyarrow
    from pyarrow import parquet as format

    out = io.BytesIO()
    format.write_table(pyarrow.table({"city": ["Berlin", "Paris"], "price": [10, 20]}), out)
    return out.getvalue()


ROWS = [["city", "price"], ["Berlin", 10], ["Paris", 20]]
PACKED = {
    "gz": (lambda: gzip.compress(TABLE, mtime=0), "t.csv.gz", 3),
    "zip": (lambda: archive(t=TABLE), "t.zip", 3),
    "xlsx": (lambda: workbook(Sheet=ROWS), "t.xlsx", 2),
    "parquet": (parquet, "t.parquet", 2),
}


def only_the_table_is_there(stack, dataset):
    """The blob, its receipt, and nothing of what it came in."""
    assert dataset_blobs(stack) == [f"{USER}/{dataset.id}/t.csv"]
    assert all("/derived/receipt-" in name for name in derived_blobs(stack))
    assert temporary_files(stack) == []


@pytest.mark.parametrize("kind", list(PACKED))
def test_the_one_table_is_taken_out(stack, kind):
    make, name, rows = PACKED[kind]
    dataset = staged(make(), name)

    assert (dataset.status, dataset.row_count, dataset.column_count) == (DatasetStatus.STAGED, rows, 2)
    only_the_table_is_there(stack, dataset)
    imported = staging.import_detected(dataset=dataset)
    assert services.columns_of(dataset=imported) == ("city", "price")
    assert b"".join(services.open_download(dataset=imported)).replace(b'"', b"").startswith(b"city,price\n")
    assert imported.file_size == sum(map(len, services.open_download(dataset=imported)))


@pytest.mark.parametrize("kind", list(PACKED))
def test_a_program_gets_it_in_one_step(stack, kind):
    make, name, rows = PACKED[kind]
    dataset = committed(make(), name)

    assert (dataset.status, dataset.row_count) == (DatasetStatus.READY, rows)
    only_the_table_is_there(stack, dataset)
    assert repository.totals(user_id=USER).datasets_count == 1


def test_of_several_tables_the_chosen_one_is_taken_out(stack):
    dataset = staged(archive(one=TABLE, two=OTHER_TABLE), "t.zip")

    assert dataset.is_packed
    assert dataset_blobs(stack) == []
    assert derived_blobs(stack) == [f"{USER}/{dataset.id}/derived/source.zip"]
    assert [member.name for member in packed.members_of(dataset=dataset)] == ["one.csv", "two.csv"]
    with pytest.raises(InvalidInput):
        packed.unpack(dataset=dataset, member="three.csv")
    with pytest.raises(Conflict, match="No table"):
        staging.import_detected(dataset=dataset)
    taken = packed.unpack(dataset=dataset, member="two.csv")
    assert (taken.dialect["delimiter"], taken.row_count, taken.bad_row_count) == (";", 3, 1)
    assert not [name for name in derived_blobs(stack) if "source" in name]
    receipt = receipts.receipt_of(dataset=staging.import_detected(dataset=taken))
    assert [(row.line, row.reason) for row in receipt.first] == [(3, "too_few_fields")]


def test_a_program_is_told_of_several_tables_and_nothing_is_stored(stack):
    with pytest.raises(InvalidInput, match="holds 2 tables"):
        committed(archive(one=TABLE, two=OTHER_TABLE), "t.zip")

    assert_no_dataset_left(stack)


def test_sheets_are_a_choice_too(stack):
    dataset = staged(workbook(First=ROWS, Second=[["a"], [1], [2], [3]]), "t.xlsx")

    assert [member.name for member in packed.members_of(dataset=dataset)] == ["First", "Second"]
    assert packed.unpack(dataset=dataset, member="Second").row_count == 3


def test_a_column_of_sentences_in_a_sheet_is_a_table(stack):
    rows = [["what people have said about it"], *(["This is a sentence, with a comma and an end."],) * 5]
    dataset = staged(workbook(Sheet=rows), "t.xlsx")

    assert (dataset.row_count, dataset.column_count) == (5, 1)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(TABLE, mtime=0)[:-9], "t.csv.gz"),
        (gzip.compress(b"", mtime=0), "t.csv.gz"),
        (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40), "t.csv.gz"),
        (archive(t=TABLE)[:-20], "t.zip"),
        (archive(t=b"\x89PNG\r\n\x1a\n" * 9), "t.zip"),
        (archive(t=b""), "t.zip"),
        (b"PK\x03\x04" + b"x" * 50, "t.xlsx"),
        (b"PAR1" + bytes(100), "t.parquet"),
    ],
    ids=[
        "cut gzip",
        "empty gzip",
        "gzipped picture",
        "cut zip",
        "zipped picture",
        "empty member",
        "xlsx",
        "parquet",
    ],
)
@pytest.mark.parametrize("way", [staged, committed])
def test_what_cannot_be_opened_or_is_no_table_leaves_nothing(stack, content, name, way):
    with pytest.raises(InvalidTable):
        way(content, name)

    assert_no_dataset_left(stack)


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_what_unfolds_beyond_the_limit_leaves_nothing(stack, settings, kind):
    settings.MAX_UPLOAD_BYTES = 100_000
    large = b"a,b\n" + b"1,2\n" * 100_000
    content = gzip.compress(large) if kind == "gz" else archive(t=large)
    with pytest.raises(TooLarge, match="Unpacked"):
        staged(content, f"t.{kind}")

    assert_no_dataset_left(stack)


# --- In the background, and what goes wrong there -------------------------------------------------------------
@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(packed, "_INLINE_BYTES", dict.fromkeys(packed.SOURCE_KINDS, 0))


def test_a_large_file_is_unpacked_in_the_background(stack, large):
    dataset = staged(archive(t=TABLE), "t.zip")
    assert dataset.is_packed
    work = staging.running(dataset=dataset)
    assert work.subject == "t.csv"
    with pytest.raises(Conflict, match="just now"):
        packed.unpack(dataset=dataset, member="t.csv")

    assert activities.run(work.id) is ActivityStatus.SUCCEEDED
    taken = staging.get_staged(user_id=USER, dataset_id=dataset.id)
    assert taken.row_count == 3
    only_the_table_is_there(stack, taken)


def test_what_fails_in_the_background_leaves_the_packed_file(stack, large):
    dataset = staged(archive(t=TABLE, picture=b"\x89PNG\r\n\x1a\n" * 9), "t.zip")
    work = packed.unpack(dataset=dataset, member="picture.csv")

    assert activities.run(work.id) is ActivityStatus.FAILED
    assert [name.rsplit("/", 1)[1] for name in derived_blobs(stack)] == ["source.zip"]
    assert dataset_blobs(stack) == []
    again = packed.unpack(dataset=dataset, member="t.csv")
    assert activities.run(again.id) is ActivityStatus.SUCCEEDED


def test_abandoning_meanwhile_leaves_nothing(stack, large, monkeypatch):
    dataset = staged(archive(t=TABLE), "t.zip")
    work = staging.running(dataset=dataset)
    real = repository.mark_staged

    def abandon_first(**facts):
        services.abandon(user_id=USER, dataset_id=dataset.id)
        return real(**facts)

    monkeypatch.setattr(repository, "mark_staged", abandon_first)
    activities.run(work.id)

    assert_no_dataset_left(stack)


def test_two_at_once_make_one_table(stack, monkeypatch):
    dataset = staged(archive(one=TABLE, two=OTHER_TABLE), "t.zip")
    real = repository.mark_staged

    def other_first(**facts):
        monkeypatch.setattr(repository, "mark_staged", real)
        with pytest.raises(Conflict):
            packed.take_out(dataset=dataset, member="two.csv")
        return real(**facts)

    monkeypatch.setattr(repository, "mark_staged", other_first)
    taken = packed.take_out(dataset=dataset, member="one.csv")

    assert taken.row_count == 3
    imported = staging.import_detected(dataset=taken)
    assert b"".join(services.open_download(dataset=imported)) == TABLE


@pytest.mark.parametrize("done", [True, False], ids=["went through", "did not"])
def test_a_lost_answer_is_made_good_by_the_next_attempt(stack, monkeypatch, done):
    dataset = staged(archive(one=TABLE, two=OTHER_TABLE), "t.zip")
    real = repository.mark_staged

    def unanswered(**facts):
        if done:
            real(**facts)
        raise MetadataUnavailable("The metadata database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(repository, "mark_staged", unanswered)
        with pytest.raises(MetadataUnavailable):
            packed.take_out(dataset=dataset, member="one.csv")
    now = staging.get_staged(user_id=USER, dataset_id=dataset.id)
    assert now.is_packed is not done
    if not done:
        with pytest.raises(Conflict, match="was a moment ago"):
            packed.take_out(dataset=now, member="one.csv")
        age(now.id)
        now = packed.take_out(dataset=staging.get_staged(user_id=USER, dataset_id=dataset.id), member="one.csv")
    imported = staging.import_detected(dataset=now)

    assert b"".join(services.open_download(dataset=imported)) == TABLE
    assert all("/receipt-" in name for name in derived_blobs(stack))


def age(dataset_id):
    mongo.get_database()["datasets"].update_one(
        {"_id": ObjectId(dataset_id)}, {"$set": {"touched_at": timezone.now() - timedelta(minutes=5)}}
    )


def test_storage_that_goes_away_leaves_the_packed_file(stack, settings):
    dataset = staged(archive(one=TABLE, two=OTHER_TABLE), "t.zip")
    address = settings.AZURE_ACCOUNT_URL
    settings.AZURE_ACCOUNT_URL = f"http://127.0.0.1:{CLOSED_PORT}/devstoreaccount1"
    blobs.reset_blobs()
    with pytest.raises(StorageUnavailable):
        packed.unpack(dataset=dataset, member="one.csv")
    settings.AZURE_ACCOUNT_URL = address
    blobs.reset_blobs()

    assert [row["status"] for row in dataset_rows()] == ["staged"]
    assert packed.unpack(dataset=dataset, member="one.csv").row_count == 3
