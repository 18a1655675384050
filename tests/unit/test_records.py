"""The state machine and the small arithmetic of records."""

import pytest

from models_app.records import ACTIVE, FINAL, JobStatus, Model, ModelStatus, may_become
from tests.records import make_job, make_version, now

ORDER = [JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.EVALUATING, JobStatus.STORING, JobStatus.SUCCEEDED]


def test_a_job_goes_one_step_at_a_time():
    for old in JobStatus:
        for new in ORDER[1:]:
            assert may_become(old, new) == (old in ORDER and ORDER.index(new) == ORDER.index(old) + 1)


@pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_any_job_that_is_not_over_may_end_badly(end: JobStatus):
    assert {old for old in JobStatus if may_become(old, end)} == {*ACTIVE, JobStatus.QUEUED}


def test_only_a_held_job_goes_back_to_the_queue():
    assert {old for old in JobStatus if may_become(old, JobStatus.QUEUED)} == ACTIVE


@pytest.mark.parametrize("final", sorted(FINAL))
def test_nothing_follows_a_final_state(final: JobStatus):
    assert final.is_over
    assert not final.is_active
    assert not any(may_become(final, new) for new in JobStatus)


def test_a_model_finds_its_versions():
    job = make_job()
    first, second = make_version(job, stored_size=10), make_version(job, version=2, stored_size=5)
    model = Model(
        id=job.model_id,
        user_id=job.user_id,
        name="House prices",
        status=ModelStatus.READY,
        created_at=now(),
        version=2,
        versions=(first, second),
    )
    assert model.current is second
    assert model.get_version(1) is first
    assert model.get_version(3) is None
    assert model.stored_size == 15
