"""A version to take away: one zip with the predictor and all that is needed to ask it, made while it is sent.

Nothing of it is kept and nothing touches the disk. The stored zip is read twice: once whole, to know that it is the
file that was stored, and once by ranges, under the same etag, entry by entry into the bundle. Nothing is unpickled.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.template.loader import render_to_string
from zipstream import ZipStream

from ml import bundle, bundled_predict, installed, module_closure
from ml.portable import MANIFEST
from models_app import services, signing
from models_app.presenters import EvaluationView, present_evaluation
from models_app.records import Model, ModelVersion
from models_app.report import limits
from models_app.setup_presenter import PROBLEM_LABELS, cross_validation
from smartml.errors import BlobMissing, IntegrityError
from storage.blob_file import open_blob_file
from storage.blobs import get_blobs

REPORT: Final = "report.html"
_PIECE: Final = 2**20
_SHOWN_CATEGORIES: Final = 8
_PREDICTOR: Final = f"{bundle.PREDICTOR}/"
_MODELS: Final = f"{_PREDICTOR}models/"


@dataclass(slots=True)
class _Bundle:
    """Entries in the order they are sent; ``digests`` fills as they pass, so the manifest comes last."""

    entries: ZipStream = field(
        default_factory=lambda: ZipStream(compress_type=zipfile.ZIP_DEFLATED, compress_level=1)
    )
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        self.entries.add(self._hashed(name, pieces), name)

    def _hashed(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            yield piece
        self.digests[name] = digest.hexdigest()

    def _manifest(self) -> Iterator[bytes]:
        yield _json({"format": 1, "files": self.digests})

    def stream(self) -> Iterator[bytes]:
        self.entries.add(self._manifest(), MANIFEST)
        return iter(self.entries)


def stream(*, model: Model, version: ModelVersion) -> Iterator[bytes]:
    """The bundle of a version in pieces; whatever is wrong with its files is raised before the first of them.

    :raises IntegrityError: the stored file is not the one that the training left.
    """
    signing.verify(model=model, version=version)
    archive = _verified(model, version)
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    metadata = _metadata(archive, model, version)
    made = _Bundle()
    made.add(bundle.METADATA, [_json(metadata)])
    made.add("schema.json", [_json({"features": metadata["features"]})])
    made.add("predict.py", [Path(bundled_predict.__file__).read_bytes()])
    requirements, is_locked = _requirements(metadata, names)
    context = _facts(model, version, metadata) | {
        "requirements": requirements,
        "is_locked": is_locked,
        "needs_torch": any(line.startswith("torch==") for line in requirements),
    }
    for name in ("requirements.txt", "README.md", "Dockerfile"):
        made.add(name, [render_to_string(f"models_app/portable/{name}", context).encode()])
    report = _report(model, version)
    if report is not None:
        made.add(REPORT, report)
    for name, path in module_closure.sources("ml.portable").items():
        made.add(f"lib/{name}", [path.read_bytes()])
    for name in names:
        if name.startswith(_PREDICTOR):
            made.add(name, _entry(archive, name))
    return made.stream()


def _verified(model: Model, version: ModelVersion) -> zipfile.ZipFile:
    blobs = get_blobs()
    name = blobs.model_blob(model.user_id, model.id, version.version)
    info = blobs.info(blobs.models_container, name)
    if info is None:
        raise BlobMissing("The model's file is no longer in blob storage.", hint="Train the model again.")
    digest = hashlib.sha256()
    for piece in blobs.iter_chunks(blobs.models_container, name, etag=info.etag):
        digest.update(piece)
    return bundle.open_verified(
        open_blob_file(blobs.models_container, name, etag=info.etag),
        size=info.size,
        found=digest.hexdigest(),
        sha256=version.zip_sha256,
    )


def _metadata(archive: zipfile.ZipFile, model: Model, version: ModelVersion) -> dict[str, Any]:
    metadata = bundle.parse_metadata(archive.read(bundle.METADATA))
    reach = services.model_reach(model=model, version=version.version)
    return {
        **metadata,
        "name": model.name,
        "version": version.version,
        "created_at": version.created_at.isoformat(),
        "dataset": version.dataset_name,
        "model_sha256": version.zip_sha256,
        "reach": None if reach is None else reach.as_dict(),
    }


def _requirements(metadata: dict[str, Any], names: Iterable[str]) -> tuple[list[str], bool]:
    """Lines for pip, and whether they are complete: older versions know their main libraries alone."""
    inside = (name.removeprefix(_MODELS).partition("/") for name in names if name.startswith(_MODELS))
    models = {folder for folder, slash, _ in inside if slash}
    if "requirements" in metadata:
        return installed.needed(metadata["requirements"], models), True
    known = {name: v.partition("+")[0] for name, v in metadata.get("versions", {}).items() if name != "python"}
    return [f"{name}=={version}" for name, version in sorted(known.items())], False


def _facts(model: Model, version: ModelVersion, metadata: dict[str, Any]) -> dict[str, Any]:
    evaluation = services.model_evaluation(model=model, version=version.version)
    view: EvaluationView = present_evaluation(evaluation, version)
    diagnosis = services.model_diagnosis(model=model, version=version.version)
    python = str(metadata.get("versions", {}).get("python", "3.11"))
    return {
        "model": model,
        "version": version,
        "evaluation": view,
        "problem": PROBLEM_LABELS[version.problem_type],
        "small_table": cross_validation(evaluation),
        "limits": () if diagnosis is None else limits(view, version, diagnosis),
        "features": [_as_row(feature) for feature in metadata["features"]],
        "example": ", ".join(f"{f['name']!r}: {f['default']!r}" for f in metadata["features"][:3]),
        "classes": metadata["classes"],
        "percent": metadata["reach"] and round(100 * metadata["reach"]["level"]),
        "reach": metadata["reach"],
        "python": ".".join(python.split(".")[:2]),
        "autogluon": metadata.get("versions", {}).get("autogluon.tabular", ""),
    }


def _as_row(feature: dict[str, Any]) -> dict[str, str]:
    """A feature in the table of the README."""
    if feature["categories"]:
        seen = ", ".join(feature["categories"][:_SHOWN_CATEGORIES])
        more = len(feature["categories"]) - _SHOWN_CATEGORIES
        seen += f" and {more} more" if more > 0 else ""
    elif feature["minimum"] is not None:
        seen = f"{feature['minimum']} to {feature['maximum']}"
    else:
        seen = ""
    if feature["missing_share"]:
        seen += f"{', ' if seen else ''}{feature['missing_share']:.1%} missing"
    return {
        key: text.replace("|", "\\|")
        for key, text in {"name": feature["name"], "type": feature["type"], "seen": seen}.items()
    }


def _report(model: Model, version: ModelVersion) -> Iterator[bytes] | None:
    blobs = get_blobs()
    name = blobs.model_file(model.user_id, model.id, version.version, services.REPORT, "html")
    try:
        return blobs.iter_chunks(blobs.models_container, name)
    except BlobMissing:
        return None


def _entry(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    try:
        with archive.open(name) as source:
            while piece := source.read(_PIECE):
                yield piece
    except zipfile.BadZipFile as error:
        raise IntegrityError("The model's file is damaged.") from error


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode()
