"""A predictor directory to a zip and back, with the checks that come before anything in it is unpickled.

Layout of the zip, and of the directory it is made from and unpacked to::

    metadata.json      written by ``pack``: library versions, problem type, label, features ...
    predictor/         AutoGluon's files, cut down to the best model
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import platform
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib import metadata as installed
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from smartml.errors import IntegrityError, VersionMismatch

if TYPE_CHECKING:
    from ml.evaluation import Evaluation
    from ml.prediction import Feature
    from ml.problem import ProblemType

FORMAT = 1
PREDICTOR = "predictor"
METADATA = "metadata.json"
# By the name of the module's project; some come as a wheel of another name.
LIBRARIES = {
    **{name: (name,) for name in ("autogluon.tabular", "pandas", "numpy", "scikit-learn", "lightgbm", "catboost")},
    "xgboost": ("xgboost", "xgboost-cpu"),
    "torch": ("torch",),
}
# What ``zipfile`` raises for bytes that are no zip, or are damaged somewhere.
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
    struct.error,
)
MAX_BYTES, MAX_ENTRIES, MAX_RATIO = 8 * 2**30, 20_000, 200
_CHUNK = 2**20
_ODD_ENTRY = "The model's file has an entry that does not belong into a model."
_MAX_METADATA_BYTES = 16 * 2**20


def library_versions() -> dict[str, str]:
    """Python's version and those of the installed libraries that a predictor's pickles depend on."""
    versions = {"python": platform.python_version()}
    for name, distributions in LIBRARIES.items():
        for distribution in distributions:
            with contextlib.suppress(installed.PackageNotFoundError):
                versions[name] = installed.version(distribution)
    return versions


def build_metadata(
    *,
    target: str,
    problem_type: ProblemType,
    evaluation: Evaluation,
    features: Sequence[Feature],
    unused_features: Sequence[str],
) -> dict[str, Any]:
    """What ``metadata.json`` says about a model; ``pack`` adds the format and the versions."""
    return {
        "label": target,
        "problem_type": problem_type.value,
        "best_model": evaluation.best_model,
        "metric": evaluation.metric_name,
        "holdout_score": evaluation.score,
        "classes": list(evaluation.classes),
        "positive_class": evaluation.positive_class,
        "features": [feature.as_dict() for feature in features],
        "unused_features": list(unused_features),
    }


def unused_columns(metadata: Mapping[str, Any]) -> frozenset[str]:
    """The columns of the training table that the model does not look at, its target among them."""
    return frozenset(name for name in (metadata.get("label"), *metadata.get("unused_features", ())) if name)


def prepare_for_storage(predictor: Any, directory: Path) -> Path:
    """Write ``predictor/`` below ``directory``: the best model and what it stands on, without training data.

    Returns ``directory``, ready for ``pack``. The predictor given is left as it is.
    """
    from ml.quiet import quiet_autogluon

    directory.mkdir(parents=True, exist_ok=True)
    with quiet_autogluon(logging.ERROR):  # it warns of each file that it cuts away
        predictor.clone_for_deployment(str(directory / PREDICTOR))
    return directory


def pack(directory: Path, target: Path, *, metadata: Mapping[str, Any]) -> None:
    """Zip ``directory`` with ``metadata`` (plus format and versions) into ``target``; nothing is left on failure.

    Deflate level 1: a third of the time of level 6 for a few per cent more bytes.
    """
    from ml.installed import freeze

    document = {**metadata, "format": FORMAT, "versions": library_versions(), "requirements": freeze()}
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / METADATA)
    try:
        with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(METADATA, text)
            for path in files:
                archive.write(path, path.relative_to(directory).as_posix())
    except FileExistsError:
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def unpack(
    archive: Path,
    directory: Path,
    *,
    sha256: str,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
    max_ratio: int = MAX_RATIO,
) -> dict[str, Any]:
    """Extract into ``directory`` and return the metadata.

    The checksum is compared before the zip is opened, every entry is checked before the first is written.
    Raises IntegrityError; nothing is unpickled here (call ``check_versions`` before something is).
    """
    if not hmac.compare_digest(sha256_of(archive), sha256.lower()):
        raise IntegrityError("The model's file is not the one that was stored after training.")
    try:
        with zipfile.ZipFile(archive) as source:
            entries = source.infolist()
            _check_entries(entries, archive.stat().st_size, max_bytes, max_entries, max_ratio)
            directory.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                _extract(source, entry, directory)
    except _DAMAGED as error:
        raise IntegrityError("The model's file is damaged.") from error
    return read_metadata(directory)


def open_verified(source: BinaryIO, *, size: int, found: str, sha256: str) -> zipfile.ZipFile:
    """The zip of ``size`` bytes, for reading entries of it without unpacking. ``found``, its SHA-256 as it is, and
    the entries are checked as in ``unpack``."""
    if not hmac.compare_digest(found, sha256.lower()):
        raise IntegrityError("The model's file is not the one that was stored after training.")
    try:
        archive = zipfile.ZipFile(source)
    except (*_DAMAGED, ValueError) as error:
        raise IntegrityError("The model's file is damaged.") from error
    _check_entries(archive.infolist(), size, MAX_BYTES, MAX_ENTRIES, MAX_RATIO)
    return archive


def _check_entries(
    entries: Sequence[zipfile.ZipInfo], packed: int, max_bytes: int, max_entries: int, max_ratio: int
) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > max_entries or total > max_bytes or total > max(packed, 1) * max_ratio:
        raise IntegrityError("The model's file would unpack to more than a model can be.")
    names: set[str] = set()
    files: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        path = PurePosixPath(entry.filename)
        unsafe = (
            path.is_absolute()
            or ".." in path.parts
            or not path.parts
            or any(len(part.encode()) > 255 for part in path.parts)
            # As it is in the zip: ``filename`` ends before a NUL.
            or any(character in entry.orig_filename for character in "\\:\0")
            or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
            or bool(entry.flag_bits & 0x1)  # encrypted
            or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            or not 0 <= entry.header_offset < packed
            or str(path) in names
        )
        if unsafe:
            raise IntegrityError(_ODD_ENTRY)
        names.add(str(path))
        folders.update(str(parent) for parent in path.parents)
        if not entry.is_dir():
            files.add(str(path))
    if files & folders:
        raise IntegrityError(_ODD_ENTRY)


def _extract(source: zipfile.ZipFile, entry: zipfile.ZipInfo, directory: Path) -> None:
    path = directory / entry.filename
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # zipfile itself stops at the declared size and compares the CRC, so the bounds checked above hold.
    with source.open(entry) as packed, path.open("xb") as target:
        while chunk := packed.read(_CHUNK):
            target.write(chunk)


def read_metadata(directory: Path) -> dict[str, Any]:
    """``metadata.json`` of an unpacked model."""
    path = directory / METADATA
    try:
        if path.stat().st_size > _MAX_METADATA_BYTES:
            raise IntegrityError("The model's description is too large to be one.")
        return parse_metadata(path.read_bytes())
    except OSError as error:
        raise IntegrityError("The model's file has no readable description.") from error


def parse_metadata(text: bytes) -> dict[str, Any]:
    """``metadata.json`` as it stands in the file."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise IntegrityError("The model's file has no readable description.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise IntegrityError("The model's file is of a kind this version of the app does not know.")
    return document


def check_versions(metadata: Mapping[str, Any]) -> None:
    """Raise VersionMismatch unless this installation may unpickle the model.

    AutoGluon promises nothing across minor versions, and pickles hold Python's byte code layout: both must agree
    in major.minor. The other libraries are recorded for people; AutoGluon's own pins keep them close.
    """
    trained, here = metadata.get("versions", {}), library_versions()
    for name, label in (("python", "Python"), ("autogluon.tabular", "AutoGluon")):
        then, now = str(trained.get(name, "unknown")), here.get(name, "none")
        if then.split(".")[:2] != now.split(".")[:2]:
            raise VersionMismatch(f"This model was trained with {label} {then}; {label} {now} is installed here.")
