"""Blob storage against a real Azurite."""

import hashlib
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from smartml.errors import BlobMissing, Conflict
from storage.blobs import get_blobs
from storage.blobs_writer import BLOCK_BYTES
from storage.ids import new_id

# More than two blocks, and not a multiple of one.
BIG = hashlib.sha256(b"seed").digest() * ((2 * BLOCK_BYTES + 12_345) // 32)


@pytest.fixture
def blobs(stack):
    return get_blobs()


@pytest.fixture
def container(stack):
    return stack.datasets_container


def names(blobs, container, prefix=""):
    return [blob.name for blob in blobs.list_prefix(container, prefix)]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- In and out ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("piece", [1_000_003, len(BIG)])
def test_a_stream_goes_up_and_comes_down_unchanged(blobs, container, tmp_path, piece):
    with blobs.open_writer(container, "a/big.csv") as writer:
        for start in range(0, len(BIG), piece):
            writer.write(BIG[start : start + piece])
        assert writer.bytes_written == len(BIG)
        assert names(blobs, container) == []
        stored = writer.commit()
    assert (stored.name, stored.size, stored.sha256) == ("a/big.csv", len(BIG), sha256(BIG))
    assert stored.url.endswith(f"/devstoreaccount1/{container}/a/big.csv")
    assert b"".join(blobs.iter_chunks(container, "a/big.csv", etag=stored.etag)) == BIG
    assert blobs.download_to(container, "a/big.csv", tmp_path / "big.csv") == stored.sha256
    assert (tmp_path / "big.csv").read_bytes() == BIG


def test_an_empty_blob(blobs, container, tmp_path):
    stored = blobs.upload_bytes(container, "a/empty", b"")
    assert (stored.size, stored.sha256) == (0, sha256(b""))
    assert list(blobs.iter_chunks(container, "a/empty")) == []
    assert blobs.read_range(container, "a/empty", length=10) == b""
    assert blobs.download_to(container, "a/empty", tmp_path / "empty") == sha256(b"")
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_file_goes_up(blobs, container, tmp_path):
    (tmp_path / "model.zip").write_bytes(BIG)
    stored = blobs.upload_file(container, "a/model.zip", tmp_path / "model.zip")
    assert (stored.size, stored.sha256) == (len(BIG), sha256(BIG))


def test_info_and_listing_agree(blobs, container):
    stored = blobs.upload_bytes(container, "a/Größe 😀 %41.csv", b"x,y\n1,2\n")
    info = blobs.info(container, stored.name)
    assert (info.name, info.size, info.etag, info.url) == (stored.name, 8, stored.etag, stored.url)
    assert abs(info.last_modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert list(blobs.list_prefix(container, "a/")) == [info]
    assert blobs.read_range(container, stored.name, length=100) == b"x,y\n1,2\n"


def test_ranges(blobs, container):
    blobs.upload_bytes(container, "a/b", b"0123456789")
    assert blobs.read_range(container, "a/b", length=4) == b"0123"
    assert blobs.read_range(container, "a/b", offset=4, length=3) == b"456"
    assert blobs.read_range(container, "a/b", offset=8, length=100) == b"89"
    assert blobs.read_range(container, "a/b", offset=10, length=1) == b""
    assert blobs.read_range(container, "a/b", offset=1000, length=1) == b""
    assert blobs.read_range(container, "a/b", length=0) == b""


# --- Absent or changed ---------------------------------------------------------------------------------------
def test_a_missing_blob_is_known_before_the_first_piece(blobs, container, tmp_path):
    assert blobs.info(container, "a/b") is None
    for read in (
        lambda: blobs.iter_chunks(container, "a/b"),
        lambda: blobs.read_range(container, "a/b", length=1),
        lambda: blobs.download_to(container, "a/b", tmp_path / "b"),
    ):
        with pytest.raises(BlobMissing, match="no longer in blob storage"):
            read()
    assert list(tmp_path.iterdir()) == []


def test_another_version_than_the_recorded_one_is_missing_too(blobs, container):
    old = blobs.upload_bytes(container, "a/b", b"old")
    blobs.delete_prefix(container, "a/")
    new = blobs.upload_bytes(container, "a/b", b"new")
    assert old.etag != new.etag
    with pytest.raises(BlobMissing, match="no longer the one"):
        blobs.iter_chunks(container, "a/b", etag=old.etag)
    assert b"".join(blobs.iter_chunks(container, "a/b", etag=new.etag)) == b"new"


def test_a_blob_that_vanishes_half_way_ends_the_stream_with_an_error(blobs, container, tmp_path):
    blobs.upload_bytes(container, "a/b", BIG)
    chunks = blobs.iter_chunks(container, "a/b")
    next(chunks)
    blobs.delete_prefix(container, "a/")
    blobs.upload_bytes(container, "a/b", b"x" * len(BIG))
    with pytest.raises(BlobMissing):
        list(chunks)


# --- Create-only ---------------------------------------------------------------------------------------------
def test_a_taken_name_is_refused_at_once(blobs, container):
    blobs.upload_bytes(container, "a/b", b"first")
    with pytest.raises(Conflict, match="already a file"):
        blobs.open_writer(container, "a/b")
    with pytest.raises(Conflict):
        blobs.upload_bytes(container, "a/b", b"second")
    assert blobs.read_range(container, "a/b", length=10) == b"first"


def test_of_two_writers_the_first_to_commit_wins(blobs, container):
    with blobs.open_writer(container, "a/b") as one, blobs.open_writer(container, "a/b") as two:
        one.write(b"1" * (BLOCK_BYTES + 1))
        two.write(b"2" * (BLOCK_BYTES + 1))
        stored = two.commit()
        with pytest.raises(Conflict, match="already a file"):
            one.commit()
    assert b"".join(blobs.iter_chunks(container, "a/b", etag=stored.etag)) == b"2" * (BLOCK_BYTES + 1)


def test_a_commit_whose_answer_was_lost_is_not_taken_for_a_conflict(blobs, container):
    writer = blobs.open_writer(container, "a/b")
    send = writer._blob.commit_block_list

    def twice(*args, **kwargs):
        # What the client's own retry does after the connection broke behind the server's back.
        send(*args, **kwargs)
        return send(*args, **kwargs)

    writer._blob.commit_block_list = twice
    writer.write(b"once")
    stored = writer.commit()
    assert blobs.info(container, "a/b").etag == stored.etag
    assert blobs.read_range(container, "a/b", length=10) == b"once"


# --- Nothing half-stored -------------------------------------------------------------------------------------
def test_abort_leaves_nothing_visible(blobs, container):
    writer = blobs.open_writer(container, "a/b")
    writer.write(BIG)
    writer.abort()
    writer.abort()
    assert names(blobs, container) == []
    assert blobs.info(container, "a/b") is None
    for use in (lambda: writer.write(b"x"), writer.commit):
        with pytest.raises(ValueError, match="closed"):
            use()
    # The name is free for the next attempt.
    assert blobs.upload_bytes(container, "a/b", b"again").size == 5


def test_an_error_inside_the_with_block_leaves_nothing_visible(blobs, container):
    def fail():
        with blobs.open_writer(container, "a/b") as writer:
            writer.write(BIG)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert names(blobs, container) == []


def test_after_commit_the_writer_is_closed_and_the_blob_stays(blobs, container):
    with blobs.open_writer(container, "a/b") as writer:
        writer.write(b"x")
        writer.commit()
        writer.abort()
    assert names(blobs, container) == ["a/b"]


# --- Deleting ------------------------------------------------------------------------------------------------
def test_a_prefix_is_deleted_with_a_receipt_and_its_neighbours_stay(blobs, container):
    for name in ("a/b/1", "a/b/2", "a/bc/3", "a2/b/4"):
        blobs.upload_bytes(container, name, b"x")
    removed = blobs.delete_prefix(container, "a/b/")
    assert (removed.count, removed.names, removed.prefix, removed.remaining) == (2, ("a/b/1", "a/b/2"), "a/b/", 0)
    assert names(blobs, container) == ["a/bc/3", "a2/b/4"]
    again = blobs.delete_prefix(container, "a/b/")
    assert (again.count, again.names, again.remaining) == (0, (), 0)


@pytest.mark.parametrize("prefix", ["", "/", "a", "a/b"])
def test_a_careless_prefix_deletes_nothing(blobs, container, prefix):
    blobs.upload_bytes(container, "a/b", b"x")
    with pytest.raises(ValueError, match="Refusing"):
        blobs.delete_prefix(container, prefix)
    assert names(blobs, container) == ["a/b"]


# --- Signed links --------------------------------------------------------------------------------------------
def test_a_signed_link_opens_one_blob_under_its_own_name(blobs, container):
    stored = blobs.upload_bytes(container, "a/b c.csv", b"x,y\n")
    blobs.upload_bytes(container, "a/other", b"secret")
    url = blobs.signed_url(container, stored.name, expires_in=timedelta(minutes=5), download_name="b c é.csv")
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"x,y\n"
        assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''b%20c%20%C3%A9.csv"
    for refused in (stored.url, url.replace("b%20c.csv", "other"), expired(blobs, container, stored.name)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(refused)
        assert caught.value.code in {403, 404}
        caught.value.close()


def expired(blobs, container, name):
    return blobs.signed_url(container, name, expires_in=timedelta(seconds=-60), download_name="x")


# --- The vocabulary ------------------------------------------------------------------------------------------
def test_datasets(blobs, stack, tmp_path):
    user, one, two = new_id(), new_id(), new_id()
    for dataset in (one, two):
        with blobs.upload_dataset(user_id=user, dataset_id=dataset, file_name="h.csv") as writer:
            writer.write(b"a\n1\n")
            stored = writer.commit()
    assert stored.name == f"{user}/{two}/h.csv"
    path = tmp_path / "h.csv"
    assert blobs.download_dataset(user_id=user, dataset_id=one, file_name="h.csv", path=path) == stored.sha256
    removed = blobs.delete_dataset(user_id=user, dataset_id=one)
    assert (removed.names, removed.remaining) == ((f"{user}/{one}/h.csv",), 0)
    assert names(blobs, stack.datasets_container) == [stored.name]


def test_models_and_their_versions(blobs, stack, tmp_path):
    user, model = new_id(), new_id()
    (tmp_path / "in.zip").write_bytes(b"PK")
    for version in (1, 2, 10):
        blobs.upload_model(user_id=user, model_id=model, version=version, path=tmp_path / "in.zip")
        beside = blobs.model_file(user, model, version, "evaluation", "json")
        blobs.upload_bytes(blobs.models_container, beside, b"{}")
    with pytest.raises(Conflict):
        blobs.upload_model(user_id=user, model_id=model, version=2, path=tmp_path / "in.zip")
    digest = blobs.download_model(user_id=user, model_id=model, version=2, path=tmp_path / "out.zip")
    assert digest == sha256(b"PK")

    removed = blobs.delete_model_version(user_id=user, model_id=model, version=1)
    assert removed.names == (f"{user}/{model}/evaluation-v1.json", f"{user}/{model}/model-v1.zip")
    assert (removed.count, removed.remaining) == (2, 0)
    assert blobs.delete_model_version(user_id=user, model_id=model, version=1).count == 0
    assert len(names(blobs, stack.models_container)) == 4

    removed = blobs.delete_model(user_id=user, model_id=model)
    assert (removed.count, removed.remaining) == (4, 0)
    assert names(blobs, stack.models_container) == []
