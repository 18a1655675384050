"""What can be done with trainings: ask for one, watch it, cancel it. The document is the truth; the queue only
carries its id."""

import logging
import time
import unicodedata

from django.conf import settings as django_settings
from django.db import DatabaseError
from django.utils import timezone

from datasets import services as datasets
from datasets.file_names import clean_name
from datasets.records import Dataset
from ml.problem import ProblemDecision, ProblemType
from ml.profiling import nearest_name
from ml.targets import decide_problem
from models_app import jobs_repository, planning, queue, repository, setup, turns_repository
from models_app.records import Job, JobSettings, JobStatus
from smartml.errors import AccountClosing, Conflict, InvalidInput, InvalidTarget, NotFound, ServiceUnavailable
from storage.ids import new_id
from storage.paging import Page

logger = logging.getLogger(__name__)

# AutoGluon checks its time limit between models, and a bagged model may take as long again as what was left.
DEADLINE_FACTOR = 2
# Download, reading, the holdout, packing and upload of the largest table the app takes.
DEADLINE_ALLOWANCE_SECONDS = 15 * 60
MIN_FIT_SECONDS = 5
MAX_MODEL_NAME = 120
MAX_TARGET_NAME = 1000
_QUOTED = 60
_END_OF_JOBS_SECONDS = 10.0


def deadline_seconds(time_limit: int) -> int:
    """How long a whole training may take, from the claim to the end: twice its fit plus 15 minutes, within
    ``MAX_TRAINING_SECONDS``."""
    longest: int = django_settings.MAX_TRAINING_SECONDS
    return min(longest, DEADLINE_FACTOR * time_limit + DEADLINE_ALLOWANCE_SECONDS)


def longest_fit_seconds() -> int:
    """The largest time limit a person may ask for: what fits the deadline even when a fit takes twice as long."""
    spare: int = django_settings.MAX_TRAINING_SECONDS - DEADLINE_ALLOWANCE_SECONDS
    return max(MIN_FIT_SECONDS, spare // DEADLINE_FACTOR)


def time_limit_fault(seconds: int) -> str | None:
    """Why a fit cannot be given so many seconds, in a sentence; None when it can."""
    longest = longest_fit_seconds()
    if MIN_FIT_SECONDS <= seconds <= longest:
        return None
    return f"The time limit must be between {MIN_FIT_SECONDS} and {longest} seconds."


class FormAlreadyUsed(Conflict):
    """The form's job exists already, and was asked for with other settings."""

    def __init__(self, job: Job) -> None:
        super().__init__(
            f"This form has already been used, for a training of “{job.model_name}” with other settings.",
            hint="Send it again to train with these settings as well.",
        )
        self.job = job


class TooManyTrainings(InvalidInput):
    """This person's trainings that wait are as many as may."""

    status = 429
    code = "too_many_trainings"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} of your trainings are waiting already, and more may not.",
            hint="Wait until one has begun, or cancel one on the page of your trainings.",
        )


def check_target(*, dataset: Dataset, target: str, wanted: ProblemType | None = None) -> ProblemDecision:
    """What kind of question ``target`` asks, decided on the whole data; ``wanted`` overrides that if possible.

    :raises InvalidTarget: nothing can be learned from it, or not as ``wanted``; the sentence is in ``fields`` too,
        as ``target`` or ``problem_type``.
    """
    try:
        _check_target_name(target, datasets.columns_of(dataset=dataset))
        summary = datasets.target_summary_of(dataset=dataset, target=target)
        return decide_problem(summary, wanted=wanted)
    except InvalidTarget as error:
        fields = error.fields or {"target": error.message}
        raise InvalidTarget(error.message, hint=error.hint, fields=fields) from error


def _check_target_name(target: str, columns: tuple[str, ...]) -> None:
    """What the header alone decides, before the table is read."""
    if target not in columns:
        near = nearest_name(target[:MAX_TARGET_NAME], columns)
        meant = f" Did you mean `{_readable(near)}`?" if near else ""
        raise InvalidTarget(f"There is no column `{_readable(target)}` in this table.{meant}")
    if len(target) > MAX_TARGET_NAME:
        raise InvalidTarget(
            f"The name of the column `{_readable(target)}` has {len(target):,} characters; "
            f"a target's name has at most {MAX_TARGET_NAME:,}.",
            hint="Give it a shorter name in the file and upload it again.",
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in target):
        raise InvalidTarget(
            f"The name of the column `{_readable(target)}` holds a line break or another control character.",
            hint="Give it a plain name in the file and upload it again.",
        )


def _readable(column: str) -> str:
    name = clean_name(column)
    return f"{name[:_QUOTED]}…" if len(name) > _QUOTED else name


def request_training(
    *, user_id: str, dataset: Dataset, job_id: str, settings: JobSettings, model_name: str, model_id: str | None
) -> Job:
    """Queue one training, however often the same ``job_id`` is sent; ``model_id`` asks for its next version.

    :raises InvalidTarget: before anything is stored or queued.
    :raises InvalidInput: settings outside their limits, by field.
    :raises FormAlreadyUsed: ``job_id`` was sent before, with other settings.
    """
    if existing := jobs_repository.get(job_id=job_id):
        return _same(_own(existing, user_id), dataset, settings, model_name, model_id)
    _check_room(user_id)
    _check_settings(settings)
    decision = check_target(dataset=dataset, target=settings.target, wanted=settings.problem_type)
    setup.check_against_table(dataset=dataset, settings=settings, decision=decision)
    name, version = _name_and_version(user_id, dataset, settings, model_name, model_id)
    job = Job(
        id=job_id,
        user_id=user_id,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        model_id=model_id or new_id(),
        model_name=name,
        version=version,
        settings=settings,
        status=JobStatus.QUEUED,
        created_at=timezone.now(),
        problem_type=decision.problem_type,
        problem_reason=decision.plain_reason,
        plan=planning.plan_to_keep(
            dataset=dataset, settings=settings, problem_type=decision.problem_type, user_id=user_id
        ),
    )
    # Before the job: a dataset that has just been deleted is said here and nothing is queued.
    datasets.set_target(user_id=user_id, dataset_id=dataset.id, target_column=settings.target)
    try:
        jobs_repository.insert(job=job)
    except AccountClosing:
        raise
    except Conflict:
        # The same POST, sent twice at the same moment.
        return _same(get_job(user_id=user_id, job_id=job_id), dataset, settings, model_name, model_id)
    try:
        queue.enqueue(job.id)
    except DatabaseError:
        # The job is stored: the sweep finds it waiting and puts it into the queue again.
        logger.exception("Job %s could not be put into the queue; the sweep will do it.", job.id)
    return job


def _check_room(user_id: str) -> None:
    """Refuse what would only wait. Two requests at one moment may both be let in: the limit is about piles."""
    most: int = django_settings.TRAININGS_WAITING_PER_USER
    if jobs_repository.count_waiting(user_id=user_id) >= most:
        raise TooManyTrainings(most)


def _check_settings(settings: JobSettings) -> None:
    if message := time_limit_fault(settings.time_limit):
        raise InvalidInput(message, fields={"time_limit": message})
    setup.check_bounds(settings)


def _name_and_version(
    user_id: str, dataset: Dataset, settings: JobSettings, model_name: str, model_id: str | None
) -> tuple[str, int]:
    """A new model gets the wished name or one from its data; an existing one keeps its own."""
    if model_id is None:
        return _new_name(model_name, dataset.name, settings.target), 1
    model = repository.get(model_id=model_id, user_id=user_id)
    version = repository.next_version(model_id=model_id, user_id=user_id)
    if model is None or version is None:
        raise NotFound("There is no such model.", hint="It may have been deleted; train a new model instead.")
    return model.name, version


def _new_name(wished: str, dataset_name: str, target: str) -> str:
    """The wished name, or when nothing is wished one that always serves.

    :raises InvalidInput: what is wished cannot be seen, or is too long.
    """
    if not wished.strip():
        return clean_name(f"{dataset_name} · {target}")
    name = clean_name(wished)
    if not name or len(wished.strip()) > MAX_MODEL_NAME:
        message = f"A model's name has 1 to {MAX_MODEL_NAME} characters that can be seen."
        raise InvalidInput(message, fields={"name": message})
    return name


def _same(job: Job, dataset: Dataset, settings: JobSettings, model_name: str, model_id: str | None) -> Job:
    """The job of an earlier request, if this one asks for the same."""
    # A first version belongs to a model whose id nobody knew before; later ones to the model that was named.
    again = job.version > 1
    same_model = model_id == job.model_id if again else model_id is None
    same_name = again or _new_name(model_name, job.dataset_name, settings.target) == job.model_name
    if (job.dataset_id, job.settings) != (dataset.id, settings) or not (same_model and same_name):
        raise FormAlreadyUsed(job)
    return job


def get_job(*, user_id: str, job_id: str) -> Job:
    """This person's training; NotFound when it is absent or somebody else's."""
    job = jobs_repository.get(job_id=job_id, user_id=user_id)
    if job is None:
        raise NotFound("There is no such training.")
    return job


def _own(job: Job, user_id: str) -> Job:
    if job.user_id != user_id:
        raise NotFound("There is no such training.")
    return job


def list_jobs(*, user_id: str, cursor: str | None = None, limit: int = 20) -> Page[Job]:
    """This person's trainings, newest first."""
    return jobs_repository.list_page(user_id=user_id, cursor=cursor, limit=limit)


def recent_jobs(*, user_id: str, limit: int = 20, active_only: bool = False) -> tuple[Job, ...]:
    """The newest trainings; with ``active_only`` those that have not ended."""
    return jobs_repository.recent(user_id=user_id, limit=limit, active_only=active_only)


def queue_position(*, job: Job) -> int | None:
    """How many trainings begin before this one; None once it has left the queue."""
    if job.status is not JobStatus.QUEUED:
        return None
    order = [waiting.job_id for waiting in turns_repository.waiting_in_turn()]
    return order.index(job.id) if job.id in order else len(order)


def cancel_job(*, user_id: str, job_id: str) -> Job:
    """End a waiting training at once, ask a running one to stop (within seconds); one that is over stays so."""
    job = jobs_repository.request_cancel(job_id=job_id, user_id=user_id)
    if job is None:
        raise NotFound("There is no such training.")
    return job


def stop_job(*, user_id: str, job_id: str) -> Job:
    """End the fitting of a running training after the current model and keep the best; once it is scored or over it
    stays as it is.

    :raises Conflict: it has not begun, so there is nothing to keep.
    """
    job = jobs_repository.request_stop(job_id=job_id, user_id=user_id) or get_job(user_id=user_id, job_id=job_id)
    if job.status is JobStatus.QUEUED:
        raise Conflict(
            "This training has not begun, so there is nothing to keep.", hint="Cancel it, or wait for its turn."
        )
    return job


def end_all_of_user(user_id: str) -> None:
    """Cancel every training of a person and give the workers a moment to clean up after themselves.

    :raises ServiceUnavailable: one may still be storing something; ask again later.
    """
    give_up = time.monotonic() + _END_OF_JOBS_SECONDS
    while unfinished := recent_jobs(user_id=user_id, active_only=True):
        for job in unfinished:
            cancel_job(user_id=user_id, job_id=job.id)
        if time.monotonic() > give_up:
            break
        time.sleep(0.2)
    if jobs_repository.are_held(user_id=user_id, now=timezone.now()):
        raise ServiceUnavailable("A training is still being stopped.")
