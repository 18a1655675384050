"""Where every blob lives. The only place that knows a path inside the containers.

Datasets container: ``{user_id}/{dataset_id}/{file_name}``, and beside it what was derived from its rows,
``{user_id}/{dataset_id}/derived/{name}``.
Models container: ``{user_id}/{model_id}/model-v{version}.zip``, and beside it what was derived from the same
rows, ``{user_id}/{model_id}/{stem}-v{version}.{ext}``; of the files it predicts
``{user_id}/{model_id}/batch-{batch_id}-{what}-v{version}.{ext}``.
"""

import re

from storage.ids import is_id

_STEM = re.compile(r"[a-z][a-z0-9_-]*")
_EXTENSION = re.compile(r"[a-z0-9]+")
_DERIVED = re.compile(r"[a-z0-9][a-z0-9_-]*\.[a-z0-9]+")
_VERSION_STEM = re.compile(r"-v[1-9][0-9]*\.$")


def _folder(user_id: str, thing_id: str) -> str:
    if not (is_id(user_id) and is_id(thing_id)):
        raise ValueError("A blob path needs two ids of 24 hexadecimal characters.")
    return f"{user_id}/{thing_id}/"


def user_prefix(user_id: str) -> str:
    """``u/``: everything of one person."""
    if not is_id(user_id):
        raise ValueError("A blob path needs ids of 24 hexadecimal characters.")
    return f"{user_id}/"


def dataset_prefix(user_id: str, dataset_id: str) -> str:
    """``u/d/``: everything of one dataset."""
    return _folder(user_id, dataset_id)


def dataset_blob(user_id: str, dataset_id: str, file_name: str) -> str:
    """``u/d/file.csv``. Raises ValueError for a name that could leave its folder."""
    if not file_name or file_name in {".", ".."} or re.search(r"[/\\\x00-\x1f\x7f]", file_name):
        raise ValueError("A file name inside a container may not hold separators or control characters.")
    return _folder(user_id, dataset_id) + file_name


def derived_blob(user_id: str, dataset_id: str, name: str) -> str:
    """``u/d/derived/profile.json``: what was made from a dataset's rows. Raises ValueError for an odd name."""
    if not _DERIVED.fullmatch(name):
        raise ValueError("A derived blob needs a plain lower-case name with one extension.")
    return f"{_folder(user_id, dataset_id)}derived/{name}"


def model_prefix(user_id: str, model_id: str) -> str:
    """``u/m/``: every version of one model."""
    return _folder(user_id, model_id)


def model_file(user_id: str, model_id: str, version: int, stem: str, ext: str) -> str:
    """``u/m/evaluation-v1.json`` for the stem "evaluation" and the extension "json"."""
    if version < 1 or not _STEM.fullmatch(stem) or not _EXTENSION.fullmatch(ext):
        raise ValueError("A model file needs a version from 1 up, a plain stem and a plain extension.")
    return f"{_folder(user_id, model_id)}{stem}-v{version}.{ext}"


def model_blob(user_id: str, model_id: str, version: int) -> str:
    """``u/m/model-v1.zip``."""
    return model_file(user_id, model_id, version, "model", "zip")


def owner_of(name: str) -> tuple[str, str] | None:
    """User and dataset or model that a blob of this name belongs to; None for a name that is not the app's."""
    user_id, _, rest = name.partition("/")
    thing_id, _, file_name = rest.partition("/")
    return (user_id, thing_id) if is_id(user_id) and is_id(thing_id) and file_name else None


def version_of(name: str) -> int | None:
    """The version that a blob of a model is of; None when its name says none."""
    found = re.search(r"/[a-z][a-z0-9_-]*-v([1-9][0-9]*)\.[a-z0-9]+$", name)
    return None if found is None else int(found[1])


def batch_file(user_id: str, model_id: str, version: int, batch_id: str, what: str, ext: str) -> str:
    """``u/m/batch-{id}-result-v1.csv``: what belongs to one file that a version predicts."""
    if not is_id(batch_id):
        raise ValueError("A blob path needs ids of 24 hexadecimal characters.")
    return model_file(user_id, model_id, version, f"batch-{batch_id}-{what}", ext)


def batch_of(name: str) -> str | None:
    """The batch that a blob of a model belongs to; None when it is the version's own."""
    found = re.search(r"/batch-([0-9a-f]{24})-[a-z0-9_-]*-v[1-9][0-9]*\.[a-z0-9]+$", name)
    return None if found is None else found[1]


def belongs_to_version(name: str, version: int) -> bool:
    """Whether a blob of a model is of this version: ``…/model-v1.zip`` is of 1 and not of 10."""
    return version_of(name) == version


def is_deletable_prefix(prefix: str) -> bool:
    """Whether deleting by this prefix can only reach one thing.

    It is a folder (ends in ``/``) or the stem of one version (``u/m/model-v1.``). Without the last character
    ``u/m/model-v1`` would take version 10 along, and an empty prefix the whole container.
    """
    inside_a_folder = "/" in prefix.strip("/") or prefix.endswith("/")
    return (
        not prefix.startswith("/") and inside_a_folder and (prefix[-1] == "/" or bool(_VERSION_STEM.search(prefix)))
    )
