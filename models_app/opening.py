"""A stored model made ready to be unpickled, by a child process without secrets: verified first, then unpacked."""

from pathlib import Path
from typing import Final

from ml import bundle
from models_app import signing
from models_app.records import Model, ModelVersion
from smartml.errors import BlobMissing, IntegrityError, VersionMismatch
from storage.blobs import get_blobs

# Why a stored model cannot be opened here, whatever is asked of it.
REFUSALS: Final = (VersionMismatch, IntegrityError, BlobMissing)


def fetch(*, model: Model, version: ModelVersion, scratch: Path) -> Path:
    """The unpacked directory of a version, inside ``scratch``. Before the zip is opened, the signature vouches for
    the recorded SHA-256, and that for the file.

    :raises IntegrityError: it is not the file that was stored.
    :raises VersionMismatch: it was made with libraries that this installation does not have.
    """
    signing.verify(model=model, version=version)
    archive, directory = scratch / "model.zip", scratch / "model"
    get_blobs().download_model(user_id=model.user_id, model_id=model.id, version=version.version, path=archive)
    bundle.check_versions(bundle.unpack(archive, directory, sha256=version.zip_sha256))
    archive.unlink()
    return directory
