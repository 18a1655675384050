"""A model of animals that really predicts, made in seconds and stored for each test that wants one."""

import io
import json
import tempfile
from functools import cache
from pathlib import Path

from ml import bundle, drift, prediction
from ml.prediction import Feature
from ml.problem import ProblemType
from models_app.records import Model
from storage.blobs import get_blobs
from tests.factories import ANIMALS, EVALUATION, stored_dataset, stored_model

TYPES = {"legs": "integer", "wings": "boolean", "weight": "numeric"}
REACH = {"level": 0.9, "reach": 0.6, "calibration_rows": 100, "covered": 0.9, "size": 1.0}


@cache
def _made() -> tuple[bytes, tuple[Feature, ...], bytes]:
    """Zip, features and reference of a linear model."""
    import pandas as pd

    from tests.unit.ml_samples import fit

    frame = pd.read_csv(io.StringIO(ANIMALS))
    with tempfile.TemporaryDirectory(prefix="animals_") as name:
        directory = Path(name)
        predictor = fit(frame, "species", ProblemType.BINARY, directory / "fit").predictor
        features = prediction.feature_schema(frame, target="species", columns_types=TYPES)
        metadata = bundle.build_metadata(
            target="species",
            problem_type=ProblemType.BINARY,
            evaluation=EVALUATION,
            features=features,
            unused_features=[],
        )
        bundle.pack(
            bundle.prepare_for_storage(predictor, directory / "stored"), directory / "m.zip", metadata=metadata
        )
        reference = json.dumps(drift.reference_of(frame, features)).encode()
        return (directory / "m.zip").read_bytes(), features, reference


def animals_model(user_id: str, **changes: object) -> Model:
    """A model of this person that says whether an animal is a dog or a duck."""
    archive, features, reference = _made()
    model = stored_model(
        user_id,
        stored_dataset(user_id),
        features=features,
        archive=archive,
        **changes,
    )
    for stem, data in {"reference": reference, "figures": json.dumps({"coverage": REACH}).encode()}.items():
        get_blobs().put_model_file(user_id=user_id, model_id=model.id, version=1, stem=stem, ext="json", data=data)
    return model
