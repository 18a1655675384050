"""What do 100 open pages of a running training cost the web server?

Each asks for its changing part every two seconds, the rate of a young training. The share of one process that this
takes, against pages that fetch themselves whole, as a page without such a part would.
"""

from datetime import timedelta

from benchmarks._bench import make_user, median_seconds, stack

PAGES = 100
EVERY_SECONDS = 2.0
MODELS = 12


def running_training(user_id: str) -> str:
    """A job with a full leaderboard that a worker holds; its id."""
    from django.utils import timezone

    from ml.problem import ProblemType
    from models_app import jobs_repository
    from models_app.records import FittedModel, Job, JobSettings, JobStatus, Readings
    from storage.ids import new_id

    now = timezone.now()
    job = Job(
        id=new_id(),
        user_id=user_id,
        dataset_id=new_id(),
        dataset_name="Houses",
        model_id=new_id(),
        model_name="House prices",
        version=1,
        settings=JobSettings(target="price"),
        status=JobStatus.QUEUED,
        created_at=now,
        problem_type=ProblemType.REGRESSION,
        problem_reason="`price` holds many different numbers.",
    )
    jobs_repository.insert(job=job)
    jobs_repository.claim(job_id=job.id, owner="bench", lease_seconds=3600)
    rows = [FittedModel(name=f"Model {n}", val_score=-n - 0.5, fit_seconds=n, at_seconds=n) for n in range(MODELS)]
    started = now - timedelta(seconds=20)
    jobs_repository.report(
        job_id=job.id, owner="bench", leaderboard=rows, metric="root_mean_squared_error", fit_started_at=started
    )
    readings = Readings(memory=10**9, memory_peak=10**9, cores=1.5)
    jobs_repository.heartbeat(job_id=job.id, owner="bench", lease_seconds=3600, readings=readings)
    return job.id


def main() -> None:
    with stack():
        from django.test import Client
        from django.urls import reverse

        from accounts.models import User

        user_id, _, _ = make_user()
        client = Client()
        client.force_login(User.objects.get(id=user_id), backend="django.contrib.auth.backends.ModelBackend")
        job_id = running_training(user_id)
        part, whole = reverse("models:job_progress", args=[job_id]), reverse("models:job", args=[job_id])

        def fetch(url: str, **headers: str) -> None:
            response = client.get(url, headers=headers)
            assert response.status_code == 200, response.status_code

        fetch(whole)
        polled = median_seconds(lambda: fetch(f"{part}?models={MODELS}", HX_Request="true"), repeat=100)
        page = median_seconds(lambda: fetch(whole), repeat=100)
        rate = PAGES / EVERY_SECONDS
        print(f"one poll     : {polled * 1000:6.1f} ms, the whole page {page * 1000:6.1f} ms")
        print(f"{PAGES} open pages: {100 * rate * polled:6.1f} % of one process (at most 50 %)")
        print(f"ratio whole page / poll: {page / polled:.2f}")


if __name__ == "__main__":
    main()
