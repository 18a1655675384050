"""What was stored of a version after its training: counted with it, so that the storage a person is shown is what
there is."""

from typing import Any

from pymongo.client_session import ClientSession

from models_app.records import ModelStatus
from models_app.repository import key_of
from storage import mongo_users
from storage.mongo import Document, get_collection, run_in_transaction, translated
from storage.mongo_schema import Name


@translated()
def count(*, model_id: str, user_id: str, version: int, name: str, size: int, instead_of: int = 0) -> bool:
    """In one transaction: this file of a version has ``size`` bytes now (0: it is gone), and the size of the
    version and its owner's totals follow. Again is fine. ``instead_of``: what was counted at the training, of a
    file that was made then.

    :returns: False when there is no such version, or not for long; nothing is counted then.
    :raises AccountClosing: as :func:`storage.mongo_users.count_in`.
    """
    present = {"version": version, "deleting_at": {"$exists": False}}
    where = key_of(model_id, user_id) | {"status": ModelStatus.READY.value, "versions": {"$elemMatch": present}}

    def commit(session: ClientSession) -> bool:
        models = get_collection(Name.MODELS)
        model = models.find_one(where, session=session)
        if model is None:
            return False
        facts = next(each for each in model["versions"] if each["version"] == version)
        former, files = _files(facts, name)
        before = instead_of if former is None else former
        if size or instead_of:
            files.append({"name": name, "size": size})
        changes = {"versions.$.later_files": files, "versions.$.stored_size": facts["stored_size"] + size - before}
        models.update_one(where, {"$set": changes}, session=session)
        mongo_users.count_in(session, user_id=user_id, models_bytes=max(size - before, 0))
        if size < before:
            mongo_users.uncount_in(session, user_id=user_id, models_bytes=before - size)
        return True

    return run_in_transaction(commit)


def _files(facts: Document, name: str) -> tuple[int | None, list[dict[str, Any]]]:
    """The size that is counted for a file, None where it is not; and the others."""
    files: list[dict[str, Any]] = facts.get("later_files", [])
    former = next((file["size"] for file in files if file["name"] == name), None)
    return former, [file for file in files if file["name"] != name]
