"""Which trainings have ended since their owners looked.

These are flags of the jobs themselves, set in the update that ends one: one piece of news for each end, whoever
wrote it.
"""

from models_app.records import Job
from storage.mongo import Document, get_collection, object_id, translated
from storage.mongo_schema import Name

_LIMIT = 200


@translated()
def count_unseen(*, user_id: str) -> int:
    """How many trainings of a person have ended unseen."""
    return get_collection(Name.JOBS).count_documents({"user_id": object_id(user_id), "unseen": True})


@translated()
def mark_seen(*, user_id: str, job_id: str | None = None) -> None:
    """Their owner has looked: at one of them, or at the list of all."""
    where: Document = {"user_id": object_id(user_id), "unseen": True}
    if job_id is not None:
        where["_id"] = object_id(job_id)
    get_collection(Name.JOBS).update_many(where, {"$set": {"unseen": False}})


@translated()
def mails_due() -> tuple[str, ...]:
    """Ids of trainings that have ended and of which no mail has been sent."""
    found = get_collection(Name.JOBS).find({"mail_due": True}, {"_id": 1}, limit=_LIMIT)
    return tuple(str(each["_id"]) for each in found)


@translated()
def take_mail(*, job_id: str) -> Job | None:
    """The training, for the one caller who sends its mail; None when it is another one's."""
    from models_app import jobs_repository

    changed = get_collection(Name.JOBS).update_one(
        {"_id": object_id(job_id), "mail_due": True}, {"$set": {"mail_due": False}}
    )
    return jobs_repository.get(job_id=job_id) if changed.modified_count else None
