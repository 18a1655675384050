"""The zip of a model: what goes in, and what is refused before anything in it is used."""

import json
import platform
import random
import shutil
import stat
import zipfile

import pytest

from ml import bundle
from smartml.errors import IntegrityError, VersionMismatch


@pytest.fixture
def packed(tmp_path):
    source = tmp_path / "source"
    (source / "predictor" / "models").mkdir(parents=True)
    (source / "predictor" / "predictor.pkl").write_bytes(b"pickle" * 100)
    (source / "predictor" / "models" / "trainer.pkl").write_bytes(b"")
    (source / "predictor" / "metadata.json").write_text("AutoGluon's own")
    target = tmp_path / "model.zip"
    bundle.pack(source, target, metadata={"label": "größe", "features": []})
    return target


def craft(path, *entries, metadata=True):
    with zipfile.ZipFile(path, "w") as archive:
        if metadata:
            archive.writestr("metadata.json", json.dumps({"format": bundle.FORMAT}))
        for name, data in entries:
            archive.writestr(name, data)
    return path


def unpack(archive, directory, **bounds):
    return bundle.unpack(archive, directory, sha256=bundle.sha256_of(archive), **bounds)


def test_what_was_packed_comes_back(packed, tmp_path):
    metadata = unpack(packed, tmp_path / "out")
    assert metadata["label"] == "größe"
    assert (tmp_path / "out/predictor/predictor.pkl").read_bytes() == b"pickle" * 100
    assert (tmp_path / "out/predictor/models/trainer.pkl").read_bytes() == b""
    assert (tmp_path / "out/predictor/metadata.json").read_text() == "AutoGluon's own"


def test_metadata_names_the_versions(packed, tmp_path):
    versions = unpack(packed, tmp_path / "out")["versions"]
    assert versions["python"] == platform.python_version()
    assert {
        "autogluon.tabular",
        "pandas",
        "numpy",
        "scikit-learn",
        "lightgbm",
        "catboost",
        "xgboost",
        "torch",
    } < set(versions)


def test_nothing_is_overwritten(packed, tmp_path):
    before = packed.read_bytes()
    with pytest.raises(FileExistsError):
        bundle.pack(tmp_path / "source", packed, metadata={})
    assert packed.read_bytes() == before


def test_a_failed_pack_leaves_nothing(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    with pytest.raises(ValueError, match="JSON"):
        bundle.pack(source, tmp_path / "model.zip", metadata={"score": float("nan")})
    assert not (tmp_path / "model.zip").exists()


def test_another_checksum_is_refused_before_the_zip_is_opened(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(IntegrityError, match="not the one"):
        bundle.unpack(packed, tmp_path / "out", sha256="0" * 64)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside",
        "predictor/../../outside",
        "a\\..\\b",
        "C:/windows",
        "predictor/models/../../../x",
    ],
)
def test_entries_that_lead_outside_are_refused_before_anything_is_written(tmp_path, name):
    archive = craft(tmp_path / "evil.zip", ("predictor/fine", "x"), (name, "evil"))
    with pytest.raises(IntegrityError, match="does not belong"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "outside").exists()


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("predictor/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(IntegrityError, match="does not belong"):
        unpack(craft(tmp_path / "evil.zip", (link, "/etc/passwd")), tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a", "./a", "a/", "a/b"])
def test_one_name_for_two_things_is_refused(tmp_path, second):
    with pytest.raises(IntegrityError, match="does not belong"):
        unpack(craft(tmp_path / "evil.zip", ("a", "1"), (second, "")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_entries_that_pack_never_writes_are_refused(tmp_path):
    odd = zipfile.ZipInfo("predictor/a")
    odd.compress_type = zipfile.ZIP_LZMA
    device = zipfile.ZipInfo("predictor/a")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    for number, entry in enumerate((odd, device, "predictor/" + "a" * 256)):
        with pytest.raises(IntegrityError, match="does not belong"):
            unpack(craft(tmp_path / f"{number}.zip", (entry, "x")), tmp_path / "out")


def test_a_zip_damaged_anywhere_fails_as_damaged_or_not_at_all(packed, tmp_path):
    """With the checksum of the damaged file, so that only the zip itself is judged."""
    numbers, good, seen = random.Random(4), packed.read_bytes(), set()
    around = sorted(tmp_path.iterdir())
    for _ in range(400):
        data = bytearray(good)
        for _ in range(numbers.randrange(1, 4)):
            data[numbers.randrange(len(data))] = numbers.randrange(256)
        packed.write_bytes(data)
        try:
            unpack(packed, tmp_path / "out")
        except IntegrityError:
            seen.add("refused")
        else:
            seen.add("unpacked")  # a date was hit, or a letter of a name
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert sorted(tmp_path.iterdir()) == around
    assert seen == {"refused", "unpacked"}


@pytest.mark.parametrize("bounds", [{"max_bytes": 500}, {"max_entries": 2}, {"max_ratio": 1}])
def test_bounds_are_kept(packed, tmp_path, bounds):
    with pytest.raises(IntegrityError, match="more than a model"):
        unpack(packed, tmp_path / "out", **bounds)
    assert not (tmp_path / "out").exists()


def test_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("predictor/zeros", b"\0" * 30_000_000)
    with pytest.raises(IntegrityError, match="more than a model"):
        unpack(path, tmp_path / "out")


def test_damaged_bytes_are_refused(packed, tmp_path):
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 0xFF
    packed.write_bytes(data)
    with pytest.raises(IntegrityError):
        unpack(packed, tmp_path / "out")
    packed.write_bytes(b"not a zip")
    with pytest.raises(IntegrityError, match="damaged"):
        unpack(packed, tmp_path / "out2")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}'])
def test_unknown_metadata_is_refused(tmp_path, text):
    archive = craft(tmp_path / "odd.zip", ("metadata.json", text), metadata=False)
    with pytest.raises(IntegrityError):
        unpack(archive, tmp_path / "out")


class TestVersions:
    def versions(self, **changes):
        return {"versions": {**bundle.library_versions(), **changes}}

    def test_the_installed_ones_are_accepted(self):
        bundle.check_versions(self.versions())

    def test_patch_releases_and_other_libraries_may_differ(self):
        here = bundle.library_versions()
        patched = ".".join([*here["python"].split(".")[:2], "99"])
        bundle.check_versions(self.versions(python=patched, pandas="1.0.0"))

    @pytest.mark.parametrize(("name", "label"), [("python", "Python"), ("autogluon.tabular", "AutoGluon")])
    def test_another_minor_version_is_refused_with_both_versions(self, name, label):
        with pytest.raises(VersionMismatch, match=rf"trained with {label} 0\.9\.1; {label} \d") as refused:
            bundle.check_versions(self.versions(**{name: "0.9.1"}))
        assert refused.value.hint

    def test_no_versions_at_all_are_refused(self):
        with pytest.raises(VersionMismatch, match="unknown"):
            bundle.check_versions({})
