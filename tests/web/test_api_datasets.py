"""Datasets by the API: uploaded in flat memory, looked at, deleted; the same request twice makes one."""

import gzip
import zipfile
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.api_tokens import Scope
from accounts.models import IdempotencyKey
from datasets import api_uploads, repository
from datasets import services as datasets
from datasets.ingest import begin_ingest
from storage.ids import new_id
from tests.leftovers import assert_no_dataset_left, dataset_blobs, dataset_rows
from tests.web.api_client import BASE, Program, error_of
from tests.web.dataset_pages import TABLE


@pytest.fixture(autouse=True)
def _empty_cache(stack):
    cache.clear()


@pytest.fixture
def program(user):
    return Program(user)


# --- Upload --------------------------------------------------------------------------------------------------
def test_a_table_is_ready_at_once(program, user, stack):
    answer = program.upload(TABLE, more="&name=Big+cities")
    assert answer.status_code == 201
    found = answer.json()
    assert (found["name"], found["row_count"], found["column_count"]) == ("Big cities", 3, 2)
    assert (found["status"], found["source"], found["user_id"]) == ("ready", "upload", user.id)
    assert answer["Location"] == f"{BASE}/datasets/{found['id']}"
    assert dataset_blobs(stack) == [f"{user.id}/{found['id']}/cities.csv"]
    assert datasets.totals_of(user_id=user.id).datasets_count == 1


def test_a_packed_table_is_unpacked(program):
    answer = program.upload(gzip.compress(TABLE), "cities.csv.gz", kind="application/gzip")
    assert answer.json()["row_count"] == 3


def test_a_file_may_come_without_its_type(program):
    assert program.upload(TABLE, kind="").status_code == 201


@pytest.mark.parametrize(
    ("content", "file_name", "field"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "photo.csv", None),
        (b"", "empty.csv", None),
        (b"only,a,header\n", "header.csv", None),
        (TABLE, "photo.png", "file"),
        (gzip.compress(TABLE)[:-9], "cities.csv.gz", None),
    ],
    ids=["picture", "empty", "header", "ending", "cut-gzip"],
)
def test_what_is_no_table_leaves_nothing(program, user, stack, content, file_name, field):
    error = error_of(program.upload(content, file_name, key="k"), 422)
    assert field is None or field in error["fields"]
    assert_no_dataset_left(stack)
    assert datasets.totals_of(user_id=user.id).datasets_count == 0
    # Nothing was made, so the key is free for the corrected file.
    assert program.upload(TABLE, key="k").status_code == 201


def test_an_upload_that_breaks_off_leaves_nothing(program, stack):
    class Broken(BytesIO):
        def read(self, size=-1):
            raise OSError("gone")

    for body in (Broken(), BytesIO(TABLE)):
        answer = program.client.generic(
            "POST",
            f"{BASE}/datasets?file_name=a.csv",
            b"",
            "text/csv",
            headers={"Authorization": f"Bearer {program.secret}"},
            **{"wsgi.input": body, "CONTENT_TYPE": "text/csv", "CONTENT_LENGTH": str(len(TABLE) + 5)},
        )
        assert "broke off" in error_of(answer, 422)["message"]
        assert_no_dataset_left(stack)


def test_what_is_too_large_or_of_unknown_length_is_refused_before_it_is_read(program, stack, settings):
    settings.MAX_UPLOAD_BYTES = len(TABLE) - 1
    error_of(program.upload(TABLE), 413)
    answer = program.upload(TABLE, headers={"Transfer-Encoding": "chunked"})
    assert error_of(answer, 411)["code"] == "length_required"
    assert_no_dataset_left(stack)


def test_a_form_is_told_to_send_the_file_itself(program, stack):
    answer = program.upload(b"--x--", kind="multipart/form-data; boundary=x")
    assert error_of(answer, 415)["code"] == "unsupported_media_type"
    error = error_of(program.post("/datasets", TABLE, kind="text/csv"), 422)
    assert list(error["fields"]) == ["file_name"]
    assert_no_dataset_left(stack)


# --- The same request twice ----------------------------------------------------------------------------------
def test_the_same_key_and_file_make_one_dataset(program, stack):
    first, second = program.upload(TABLE, key="one"), program.upload(TABLE, key="one")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert not first.has_header("Idempotency-Replayed")
    assert len(dataset_rows()) == 1
    assert program.upload(TABLE, key="two").json()["id"] != first.json()["id"]


def test_a_key_belongs_to_one_request_and_one_person(program, other_user, stack):
    program.upload(TABLE, key="one")
    same_length = TABLE.replace(b"Berlin", b"London")
    for answer in (
        program.upload(same_length, key="one"),
        program.upload(TABLE + b"Oslo,40\n", key="one"),
        program.upload(TABLE, "other.csv", key="one"),
    ):
        assert error_of(answer, 422)["code"] == "idempotency_key_reused"
    assert len(dataset_rows()) == 1
    assert Program(other_user).upload(TABLE, key="one").status_code == 201
    assert len(dataset_rows()) == 2


def test_while_the_first_is_running_the_second_is_told_to_wait(program, user, stack):
    program.upload(TABLE, key="one")
    row = IdempotencyKey.objects.get()
    datasets.delete_dataset(user_id=user.id, dataset_id=row.resource_id)
    IdempotencyKey.objects.update(body_digest="")
    with begin_ingest(user_id=user.id, dataset_id=row.resource_id, file_name="cities.csv"):
        error_of(program.upload(TABLE, key="one"), 409)
    # The first has failed meanwhile, its process with it: this one makes what both have asked for.
    assert program.upload(TABLE, key="one").json()["id"] == row.resource_id


def test_a_request_that_another_one_is_in_the_way_of_does_not_free_its_key(program, stack, monkeypatch):
    """Both at one moment: the one that made the key comes second where the dataset is stored."""
    receive = api_uploads.receive

    def late(request, **values):
        receive(request, **values)
        return receive(request, **values)

    with monkeypatch.context() as patch:
        patch.setattr(api_uploads, "receive", late)
        error_of(program.upload(TABLE, key="one"), 409)
    (row,) = dataset_rows()
    assert program.upload(TABLE, key="one").json()["id"] == str(row["_id"])


def test_a_key_whose_dataset_is_deleted_makes_no_second_one(program, stack):
    found = program.upload(TABLE, key="one").json()
    program.delete(f"/datasets/{found['id']}")
    error_of(program.upload(TABLE, key="one"), 409)
    assert dataset_rows() == []


def test_keys_are_kept_for_a_day_without_anything_of_the_file(program):
    program.upload(TABLE, key="one")
    row = IdempotencyKey.objects.values().get()
    assert "one" not in row.values()
    assert set(row) == {"id", "user_id", "key_digest", "request_digest", "body_digest", "resource_id", "created_at"}
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert program.upload(TABLE, key="one").json()["id"] != row["resource_id"]
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
def test_a_key_that_is_none_is_refused(program, stack, key):
    error = error_of(program.upload(TABLE, key=key), 422)
    assert list(error["fields"]) == ["Idempotency-Key"]
    assert_no_dataset_left(stack)


# --- Looking and deleting ------------------------------------------------------------------------------------
def test_a_dataset_is_its_stored_facts_with_schema_and_first_rows(program):
    made = program.upload(b"city,price\nBerlin,\n" + b"Paris,20\n" * 24).json()
    found = program.get(f"/datasets/{made['id']}").json()
    assert {name: found[name] for name in made} == made
    assert found["schema"] == [{"name": "city", "type": "category"}, {"name": "price", "type": "integer"}]
    assert len(found["sampleData"]) == 20
    assert found["sampleData"][0] == {"city": "Berlin", "price": None}
    (row,) = dataset_rows()
    assert {"schema", "sampleData", "columns", "sample_data"}.isdisjoint(row)


def test_the_list_goes_page_by_page_and_can_be_searched(program):
    ids = [program.upload(TABLE, f"c{n}.csv").json()["id"] for n in range(3)]
    first = program.get("/datasets?limit=2").json()
    second = program.get(f"/datasets?limit=2&cursor={first['next_cursor']}").json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert [item["name"] for item in program.get("/datasets?search=C1").json()["items"]] == ["c1"]
    assert program.get("/datasets?search=%00").json()["items"] == []


def test_a_deleted_dataset_is_gone_with_its_receipt(program, stack):
    made = program.upload(TABLE).json()
    answer = program.delete(f"/datasets/{made['id']}")
    assert answer.json() == {"id": made["id"], "blobs": 2, "remaining": 0}
    assert_no_dataset_left(stack)
    for again in (program.delete(f"/datasets/{made['id']}"), program.get(f"/datasets/{made['id']}")):
        error_of(again, 404)


def test_somebody_elses_dataset_does_not_exist(program, other_user, stack):
    made = program.upload(TABLE).json()
    other = Program(other_user)
    unknown = error_of(other.get(f"/datasets/{new_id()}"), 404)
    assert error_of(other.get(f"/datasets/{made['id']}"), 404) == unknown
    error_of(other.delete(f"/datasets/{made['id']}"), 404)
    assert other.get("/datasets").json()["items"] == []
    assert repository.get(dataset_id=made["id"], user_id=program.token.user_id) is not None


def test_a_visitor_sees_nothing(program):
    made = program.upload(TABLE).json()
    for method, path in (("GET", ""), ("GET", f"/{made['id']}"), ("DELETE", f"/{made['id']}"), ("POST", "")):
        error_of(Client().generic(method, f"{BASE}/datasets{path}"), 401)


# --- Packed files, and what became of the records ------------------------------------------------------------
TWO = {"one.csv": TABLE, "data/two.csv": b"a;b\n1;2\n3\n4;5\n"}


def archive(tables):
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, table in tables.items():
            packed.writestr(name, table)
    return content.getvalue()


def test_of_several_tables_the_named_one_is_taken(program, user, stack):
    content = archive(TWO)
    found = program.upload(content, "t.zip", kind="application/zip", more="&table=data%2Ftwo.csv")
    assert (found.status_code, found.json()["row_count"], found.json()["bad_row_count"]) == (201, 2, 1)
    assert found.json()["dialect"]["delimiter"] == ";"
    again = {"kind": "application/zip", "key": "k"}
    first = program.upload(content, "t.zip", more="&table=one.csv", **again).json()
    assert program.upload(content, "t.zip", more="&table=one.csv", **again).json()["id"] == first["id"]
    # The same file and another table of it is another request.
    error_of(program.upload(content, "t.zip", more="&table=data%2Ftwo.csv", **again), 422)
    assert datasets.totals_of(user_id=user.id).datasets_count == 2


@pytest.mark.parametrize(
    ("content", "file_name", "more"),
    [
        (archive(TWO), "t.zip", ""),
        (archive(TWO), "t.zip", "&table=three.csv"),
        (archive({"one.csv": TABLE}), "t.zip", "&table=three.csv"),
        (TABLE, "t.csv", "&table=one.csv"),
    ],
    ids=["none-chosen", "no-such", "no-such-in-one", "not-packed"],
)
def test_a_choice_that_cannot_be_is_said_with_what_there_is(program, stack, content, file_name, more):
    error = error_of(program.upload(content, file_name, kind="", more=more), 422)
    assert list(error["fields"]) == ["table"]
    if file_name == "t.zip":
        assert "“one.csv”" in error["fields"]["table"]
    assert_no_dataset_left(stack)


def test_the_receipt_and_the_quarantine_account_for_every_record(program, user):
    dataset = program.upload(TWO["data/two.csv"], "two.csv").json()
    found = program.get(f"/datasets/{dataset['id']}/receipt").json()
    assert (found["records"], found["rows"], found["quarantined"]) == (3, 2, 1)
    assert found["reasons"] == {"too_few_fields": 1}
    message = "1 field where the header has 2."
    assert found["first"] == [{"line": 3, "reason": "too_few_fields", "message": message}]
    kept = program.get(f"/datasets/{dataset['id']}/quarantine")
    assert (kept.status_code, kept["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert b"".join(kept.streaming_content).decode().splitlines() == [
        '"line","reason","record"',
        f'3,"{message}","3"',
    ]
    clean = program.upload(TABLE).json()["id"]
    assert program.get(f"/datasets/{clean}/receipt").json()["quarantined"] == 0
    error_of(program.get(f"/datasets/{clean}/quarantine"), 404)


def test_receipt_and_quarantine_are_their_owners(program, user, other_user):
    dataset = program.upload(TWO["data/two.csv"], "two.csv").json()["id"]
    for part in ("receipt", "quarantine"):
        path = f"/datasets/{dataset}/{part}"
        error_of(Program(other_user).get(path), 404)
        error_of(Program(user, Scope.WRITE).get(path), 403)
        error_of(Client().get(BASE + path), 401)
