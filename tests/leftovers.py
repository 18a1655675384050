"""What a failed operation may have left, looked for behind the application's back."""

import tempfile
from pathlib import Path

from storage.mongo import get_database
from tests.services import blob_service


def dataset_blobs(stack) -> list[str]:
    """The files of datasets, without what was derived from them."""
    return [name for name in _blobs(stack) if "/derived/" not in name]


def derived_blobs(stack) -> list[str]:
    """What lies beside the files: receipts, quarantines, packed files, profiles."""
    return [name for name in _blobs(stack) if "/derived/" in name]


def _blobs(stack) -> list[str]:
    with blob_service() as service:
        return [blob.name for blob in service.get_container_client(stack.datasets_container).list_blobs()]


def dataset_rows() -> list[dict]:
    return list(get_database()["datasets"].find())


def all_temporary_files() -> frozenset[str]:
    return frozenset(path.name for path in Path(tempfile.gettempdir()).iterdir())


def temporary_files(stack) -> list[str]:
    """What has come into the temporary directory since the test began: libraries keep things there for longer."""
    return sorted(all_temporary_files() - stack.found)


def assert_no_dataset_left(stack) -> None:
    """No blob, no metadata, and nothing in the temporary directory that was not there before."""
    assert _blobs(stack) == []
    assert dataset_rows() == []
    assert temporary_files(stack) == []
