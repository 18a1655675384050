"""What its owner writes on a model: tags to find it by, and notes."""

import re
import unicodedata
from typing import Final

from models_app import services, versions_repository
from models_app.records import Model
from smartml.errors import InvalidInput, NotFound
from storage.mongo_schema import MAX_NOTE, MAX_TAG, MAX_TAGS

_BETWEEN_TAGS: Final = re.compile(r"[\s,;]+")
_INSIDE_TAG: Final = frozenset("-_.")


def read_tags(text: str) -> tuple[str, ...]:
    """The tags of a line, as they are kept: lower case, each once, in the order they were written.

    :raises InvalidInput: with the sentence at ``tags``.
    """
    words = _BETWEEN_TAGS.split(unicodedata.normalize("NFKC", text).lower())
    tags = tuple(dict.fromkeys(word.lstrip("#") for word in words if word.lstrip("#")))
    for tag in tags:
        if not all(letter.isalnum() or letter in _INSIDE_TAG or unicodedata.combining(letter) for letter in tag):
            raise _refused("tags", f"“{_short(tag)}” is no tag: use letters, digits, -, _ and dots.")
        if len(tag) > MAX_TAG:
            raise _refused("tags", f"“{_short(tag)}” is too long: a tag has at most {MAX_TAG} characters.")
    if len(tags) > MAX_TAGS:
        raise _refused("tags", f"These are {len(tags)} tags; a model has at most {MAX_TAGS}.")
    return tags


def read_note(text: str, *, field: str = "note") -> str:
    """A note as it is kept: with plain line breaks, without blanks around it.

    :raises InvalidInput: with the sentence at ``field``.
    """
    note = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\n\t" for letter in note):
        raise _refused(field, "The note holds a control character. Remove it, or type the note anew.")
    if len(note) > MAX_NOTE:
        raise _refused(field, f"The note has {len(note):,} characters; it may have {MAX_NOTE:,}.")
    return note


def _refused(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={field: message})


def _short(tag: str) -> str:
    return tag if len(tag) <= MAX_TAG else f"{tag[:MAX_TAG]}…"


def set_labels(*, user_id: str, model_id: str, version: int, tags: str, note: str, version_note: str) -> Model:
    """Write the tags and the note of a model, and the note of one version, in the place of the former ones.

    :raises InvalidInput: by field.
    """
    changed = versions_repository.set_labels(
        model_id=model_id,
        user_id=user_id,
        version=version,
        tags=read_tags(tags),
        note=read_note(note),
        version_note=read_note(version_note, field="version_note"),
    )
    if changed is None:
        services.get_version(services.get_model(user_id=user_id, model_id=model_id), version)
        raise NotFound("There is no such model.")
    return changed


def tags_of(*, user_id: str) -> tuple[str, ...]:
    """Every tag that a person's models carry, in order."""
    return versions_repository.tags_of_user(user_id=user_id)
