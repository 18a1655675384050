"""Where a comparison of two versions lies: beside the left one, named by the right one."""

import re

from storage.blobs import get_blobs
from storage.paths import user_prefix


def stem_of(model_id: str, version: int) -> str:
    """Of the comparison with this version, as the right one."""
    return f"compare-{model_id}-{version}"


def forget(*, user_id: str, model_id: str, version: int | None = None) -> None:
    """A model, or one version of it, is going: what others were compared with it by goes too."""
    blobs = get_blobs()
    number = "[0-9]+" if version is None else str(version)
    about = re.compile(rf"/compare-{re.escape(model_id)}-{number}-v[0-9]+\.json$")
    listed = blobs.list_prefix(blobs.models_container, user_prefix(user_id))
    blobs.delete_blobs(blobs.models_container, [blob.name for blob in listed if about.search(blob.name)])
