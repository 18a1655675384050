"""The waiting trainings of all people in MongoDB: whose turn it is, and taking it within the limits for one person.

Two workers that take a training of the same person at the same moment both write that person's document, so one of
them counts again after the other.
"""

from datetime import UTC, datetime

from pymongo.client_session import ClientSession

from models_app import jobs_repository as jobs
from models_app.fair_order import Waiting, in_turn
from models_app.records import ACTIVE, Job, JobStatus
from smartml.errors import AccountClosing
from storage import mongo_users
from storage.mongo import get_collection, object_id, run_in_transaction, translated
from storage.mongo_schema import Name

_ACTIVE = [status.value for status in JobStatus if status in ACTIVE]
_LIMIT = 5000


@translated()
def waiting_in_turn() -> tuple[Waiting, ...]:
    """Every waiting training in the order in which they begin."""
    return in_turn(_waiting(), _running())


def _waiting() -> list[Waiting]:
    """The longest waiting first."""
    found = get_collection(Name.JOBS).find(
        {"status": JobStatus.QUEUED.value},
        {"user_id": 1},
        sort=[("queued_at", 1), ("_id", 1)],
        limit=_LIMIT,
    )
    return [Waiting(job_id=str(each["_id"]), user_id=str(each["user_id"])) for each in found]


@translated()
def before_one_of(*, user_id: str) -> int:
    """How many waiting trainings would begin before one that this person asked for now."""
    mine = Waiting(job_id="", user_id=user_id)
    order = in_turn((*_waiting(), mine), _running())
    return order.index(mine)


@translated()
def seconds_of_work() -> tuple[int, float]:
    """How many trainings run, and the seconds of fitting that these have left and those that wait will take."""
    wanted = {"started_at": 1, "settings.time_limit": 1}
    now, collection = datetime.now(UTC), get_collection(Name.JOBS)
    active = list(collection.find({"status": {"$in": _ACTIVE}}, wanted, limit=_LIMIT))
    seconds = sum(
        max(each["settings"]["time_limit"] - (now - each["started_at"]).total_seconds(), 0.0) for each in active
    )
    waiting = collection.find({"status": JobStatus.QUEUED.value}, wanted, limit=_LIMIT)
    return len(active), seconds + sum(each["settings"]["time_limit"] for each in waiting)


@translated()
def claim_next(*, owner: str, lease_seconds: int, per_person: int) -> Job | None:
    """Take the training whose turn it is; None when none waits but of people who have ``per_person`` running."""
    full = {user_id for user_id, count in _running().items() if count >= per_person}
    for each in waiting_in_turn():
        if each.user_id in full:
            continue
        job = _claim(each, owner, lease_seconds, per_person)
        if job is not None:
            return job
    return None


@translated()
def next_that_may_begin(*, per_person: int) -> str | None:
    """The id of the training that a worker could take now."""
    running = _running()
    return next((each.job_id for each in waiting_in_turn() if running.get(each.user_id, 0) < per_person), None)


def _claim(turn: Waiting, owner: str, lease_seconds: int, per_person: int) -> Job | None:
    def commit(session: ClientSession) -> Job | None:
        mongo_users.count_in(session, user_id=turn.user_id)
        held = {"user_id": object_id(turn.user_id), "status": {"$in": _ACTIVE}}
        if get_collection(Name.JOBS).count_documents(held, session=session) >= per_person:
            return None
        return jobs.claim_in(session, job_id=turn.job_id, owner=owner, lease_seconds=lease_seconds)

    try:
        return run_in_transaction(commit)
    except AccountClosing:
        return None


def _running() -> dict[str, int]:
    found = get_collection(Name.JOBS).aggregate(
        [{"$match": {"status": {"$in": _ACTIVE}}}, {"$group": {"_id": "$user_id", "count": {"$sum": 1}}}]
    )
    return {str(each["_id"]): int(each["count"]) for each in found}
