"""Stored models that can be opened: a real one of a few seconds' training, and what can be wrong with its zip."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from ml import bundle
from models_app import repository, signing
from models_app.records import Model
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model
from tests.training import ROOT

MAKE_BUNDLE = """
import sys
from pathlib import Path
import pandas
from ml import bundle, evaluation, golden, prediction, training
from ml.problem import Preset, ProblemType
from tests.factories import ANIMALS
import io
import json

directory = Path(sys.argv[1])
frame = pandas.read_csv(io.StringIO(ANIMALS))
train, holdout = training.split_holdout(
    frame, target="species", problem_type=ProblemType.BINARY, share=0.2, seed=0
)
result = training.fit(
    train, target="species", problem_type=ProblemType.BINARY, preset=Preset.QUICK, time_limit=20,
    directory=directory / "fit", seed=0, on_event=lambda event: None, families=["GBM"],
)
report = evaluation.evaluate(
    result.predictor, train=train, holdout=holdout, target="species", problem_type=ProblemType.BINARY
)
types = {"legs": "integer", "wings": "boolean", "weight": "numeric"}
features = prediction.feature_schema(train, target="species", columns_types=types)
metadata = bundle.build_metadata(
    target="species", problem_type=ProblemType.BINARY, evaluation=report, features=features, unused_features=[]
)
archive = directory / "model.zip"
bundle.pack(bundle.prepare_for_storage(result.predictor, directory / "stored"), archive, metadata=metadata)
kept = golden.record(archive, golden.choose(holdout, features, seed=0), features=features, scratch=directory)
(directory / "golden.json").write_text(json.dumps(kept))
(directory / "schema.json").write_text(json.dumps({"features": [feature.as_dict() for feature in features]}))
"""


def make_archive(directory: Path) -> Path:
    """A real model, zipped, with its golden rows and its features beside it."""
    script = f"import django; django.setup()\n{MAKE_BUNDLE}"
    subprocess.run([sys.executable, "-c", script, str(directory)], cwd=ROOT, env=os.environ, check=True)
    return directory / "model.zip"


def with_zip(user, path: Path, *, sha256: str | None = None, **changes: object) -> Model:
    """A stored model whose zip is the file at ``path``, with what :func:`make_archive` has put beside that."""
    model = stored_model(user.id, stored_dataset(user.id))
    before = model.current
    blobs = get_blobs()
    identity = {"user_id": user.id, "model_id": model.id, "version": 1}
    for stem in ("golden", "schema"):
        beside = path.with_name(f"{stem}.json").read_bytes()
        blobs.put_model_file(**identity, stem=stem, ext="json", data=beside)
    blobs.put_model_file(**identity, stem="model", ext="zip", data=path.read_bytes())
    sha256 = sha256 or bundle.sha256_of(path)
    facts = {
        "zip_sha256": sha256,
        "zip_size": path.stat().st_size,
        "zip_hmac": signing.sign(model_id=model.id, version=1, sha256=sha256),
        "golden_checked_at": before.created_at,
        "golden_drifted": 0,
    }
    known = {name: value for name, value in (facts | changes).items() if value is not None}
    assert repository.set_facts(model=model, version=before, **known)
    return replace(model, versions=(replace(before, **(facts | changes)),))


def with_other_libraries(archive: Path, directory: Path) -> Path:
    """The same zip, made with AutoGluon 0.8.2 by its own account."""
    for beside in ("golden.json", "schema.json"):
        shutil.copy(archive.with_name(beside), directory)
    target = directory / "model.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == bundle.METADATA:
                metadata = json.loads(data)
                metadata["versions"]["autogluon.tabular"] = "0.8.2"
                data = json.dumps(metadata).encode()
            copy.writestr(entry.filename, data)
    return target
