"""The paths of the storage contract, and the prefixes that may be deleted."""

import pytest

from storage.blobs import AzureBlobStorage as Storage
from storage.paths import belongs_to_version, is_deletable_prefix

U, T = "a" * 24, "b" * 24


def test_paths():
    assert Storage.dataset_blob(U, T, "houses é.csv") == f"{U}/{T}/houses é.csv"
    assert Storage.dataset_prefix(U, T) == f"{U}/{T}/"
    assert Storage.model_blob(U, T, 12) == f"{U}/{T}/model-v12.zip"
    assert Storage.model_file(U, T, 1, "evaluation", "json") == f"{U}/{T}/evaluation-v1.json"
    assert Storage.model_prefix(U, T) == f"{U}/{T}/"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.csv", "../x.csv", "a\\b.csv", "a\n.csv", "a\x00.csv"])
def test_a_file_name_that_leaves_its_folder_is_refused(name):
    with pytest.raises(ValueError, match="separators"):
        Storage.dataset_blob(U, T, name)


@pytest.mark.parametrize("user", ["", "A" * 24, "a" * 23, "../" + "a" * 21])
def test_a_path_needs_real_ids(user):
    with pytest.raises(ValueError, match="24 hexadecimal"):
        Storage.dataset_prefix(user, T)


@pytest.mark.parametrize(("version", "stem", "ext"), [(0, "model", "zip"), (1, "../x", "zip"), (1, "model", "a/b")])
def test_model_files_need_plain_parts(version, stem, ext):
    with pytest.raises(ValueError, match="plain"):
        Storage.model_file(U, T, version, stem, ext)


def test_version_1_is_not_version_10():
    assert belongs_to_version(f"{U}/{T}/model-v1.zip", 1)
    assert belongs_to_version(f"{U}/{T}/evaluation-v1.json", 1)
    assert not belongs_to_version(f"{U}/{T}/model-v10.zip", 1)
    assert not belongs_to_version(f"{U}/{T}/model-v11.zip", 1)


@pytest.mark.parametrize("prefix", [f"{U}/", f"{U}/{T}/", f"{U}/{T}/model-v1."])
def test_deletable(prefix):
    assert is_deletable_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", "/", "//", "a", U, f"{U}/{T}", f"{U}/{T}/model-v1", "model-v1.", f"/{U}/"])
def test_not_deletable(prefix):
    assert not is_deletable_prefix(prefix)
