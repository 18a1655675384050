"""The model of ``tests.opening`` as the application stores one, for tests that ask it for answers."""

from pathlib import Path

from bson import ObjectId

from ml.features import Feature
from models_app import repository, signing
from models_app.records import Model
from storage.blobs import get_blobs
from storage.mongo import get_database
from tests.factories import LEGS, stored_dataset, stored_model

WINGS = Feature(
    name="wings", type="boolean", kind="category", dtype="object", categories=("no", "yes"), default="no"
)
WEIGHT = Feature(
    name="weight", type="numeric", kind="number", dtype="float64", minimum=1.0, maximum=22.0, default=10.0
)
DOG = {"legs": 4, "wings": "no", "weight": 21.0}
DUCK = {"legs": 2, "wings": "yes", "weight": 1.5}


def store_archive(user_id: str, archive: Path) -> Model:
    """A person's model whose stored zip is ``archive``."""
    model = stored_model(user_id, stored_dataset(user_id), features=(LEGS, WINGS, WEIGHT))
    blobs = get_blobs()
    blobs.delete_blobs(blobs.models_container, [blobs.model_blob(user_id, model.id, 1)])
    stored = blobs.upload_model(user_id=user_id, model_id=model.id, version=1, path=archive)
    facts = {
        "zip_sha256": stored.sha256,
        "zip_size": stored.size,
        "zip_hmac": signing.sign(model_id=model.id, version=1, sha256=stored.sha256),
    }
    changes = {f"versions.0.{name}": value for name, value in facts.items()}
    get_database()["models"].update_one({"_id": ObjectId(model.id)}, {"$set": changes})
    found = repository.get(model_id=model.id, user_id=user_id)
    assert found is not None
    return found
