"""A blob read as a file: every byte where it is, few requests, and never another version."""

import io
import random
import zipfile

import pytest

from smartml.errors import BlobMissing
from storage.blob_file import open_blob_file
from storage.blobs import AzureBlobStorage, get_blobs
from storage.ids import new_id

pytestmark = pytest.mark.usefixtures("stack")
MIB = 2**20


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every range that is asked for: offset and length."""
    seen: list[tuple[int, int]] = []
    read_range = AzureBlobStorage.read_range

    def counted(self, container, name, *, offset=0, length, etag=None):
        seen.append((offset, length))
        return read_range(self, container, name, offset=offset, length=length, etag=etag)

    monkeypatch.setattr(AzureBlobStorage, "read_range", counted)
    return seen


def stored(data: bytes) -> tuple[str, str, str]:
    """Container, name and etag of a new blob."""
    blobs = get_blobs()
    name = blobs.dataset_blob(new_id(), new_id(), "file.bin")
    return blobs.datasets_container, name, blobs.upload_bytes(blobs.datasets_container, name, data).etag


def test_it_reads_and_seeks_like_a_file():
    data = random.Random(1).randbytes(3 * MIB + 17)
    file = open_blob_file(*stored(data))
    model = io.BytesIO(data)
    chance = random.Random(2)
    for _ in range(60):
        move = chance.choice([(chance.randrange(4 * MIB), 0), (-chance.randrange(3 * MIB), 2), (5, 1), (0, 1)])
        size = chance.choice([0, 1, 30, 65536, MIB])
        assert file.seek(*move) == model.seek(*move)
        assert file.read(size) == model.read(size)
        assert file.tell() == model.tell()
    file.seek(0)
    assert file.read() == data
    assert file.read(1) == b""
    with pytest.raises(ValueError, match="before the beginning"):
        file.seek(-1)
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_reading_on_takes_few_requests_and_a_jump_reads_little(requests: list[tuple[int, int]]):
    with open_blob_file(*stored(bytes(20 * MIB))) as file:
        while file.read(1000):
            pass
        assert len(requests) < 12
        assert max(length for _, length in requests) == 4 * MIB
        requests.clear()
        file.seek(5 * MIB + 3)
        file.read(10)
        assert requests == [(5 * MIB + 3, 256 * 1024)]


def test_going_to_and_fro_reads_nothing_twice(requests: list[tuple[int, int]]):
    with open_blob_file(*stored(bytes(5 * MIB))) as file:
        for _ in range(10):
            for at in (0, 2 * MIB, 4 * MIB):
                file.seek(at)
                file.read(100)
        assert len(requests) == 3


def test_a_zip_is_read_without_being_downloaded(requests: list[tuple[int, int]]):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("large.bin", bytes(10 * MIB))
        archive.writestr("small.csv", "a,b\n1,2\n")
    with open_blob_file(*stored(out.getvalue())) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("small.csv") == b"a,b\n1,2\n"
    assert sum(length for _, length in requests) < 2 * MIB


def test_another_version_is_never_read():
    container, name, etag = stored(bytes(MIB))
    file = open_blob_file(container, name, etag)
    file.read(10)
    blobs = get_blobs()
    blobs.delete_blobs(container, [name])
    blobs.upload_bytes(container, name, bytes(MIB))
    file.seek(600_000)
    with pytest.raises(BlobMissing, match="no longer the one"):
        file.read(10)
    with pytest.raises(BlobMissing, match="no longer the one"):
        open_blob_file(container, name, etag)


def test_a_blob_that_is_not_there():
    blobs = get_blobs()
    with pytest.raises(BlobMissing):
        open_blob_file(blobs.datasets_container, blobs.dataset_blob(new_id(), new_id(), "none.csv"))
