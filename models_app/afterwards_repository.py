"""Which trainings have succeeded without what follows them having begun: a flag of the jobs themselves."""

from models_app.job_documents import to_record
from models_app.records import Job
from storage.mongo import get_collection, object_id, translated
from storage.mongo_schema import Name

_LIMIT = 200


@translated()
def owed() -> tuple[Job, ...]:
    """Some of them; the others come with the next sweep."""
    found = get_collection(Name.JOBS).find({"followups_due": True}, limit=_LIMIT)
    return tuple(map(to_record, found))


@translated()
def settle(*, job_id: str) -> None:
    """It has begun, or there is nothing to begin it with."""
    get_collection(Name.JOBS).update_one({"_id": object_id(job_id)}, {"$set": {"followups_due": False}})
