"""The main job from a shell: a CSV file in, a model and its honest score out, by the services of the web app."""

import logging
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from datasets import services as datasets
from datasets.records import Dataset
from ml.evaluation import Evaluation, lower_is_better
from ml.options import METRICS, ClassWeights, HoldoutKind
from ml.problem import Preset, ProblemType
from models_app import queue, services, worker
from models_app.forms import PRESETS
from models_app.presenters import metric_label, present_job
from models_app.records import Job, JobSettings, JobStatus, Model
from models_app.setup import families_offered
from models_app.setup_presenter import held_out
from smartml.errors import InvalidInput, NotFound, ServiceUnavailable, SmartMLError, TrainingFailed
from smartml.local import LocalStackError
from smartml.terminal import Progress
from storage import blobs, mongo
from storage.ids import new_id

_CHUNK_BYTES = 2**20
_POLL_SECONDS = 0.3
# A running queue takes a job within half a second; longer means that no worker is free or none runs.
_CLAIM_SECONDS = 5.0
_CANCEL_SECONDS = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Command(BaseCommand):
    help = "Upload a CSV file, train on it, and print the leaderboard, the holdout score and where the model is."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the table, a CSV file")
        parser.add_argument("--target", required=True, help="the column to predict")
        parser.add_argument("--preset", choices=[preset.value for preset in Preset], default=Preset.QUICK.value)
        parser.add_argument("--time-limit", type=int, help="seconds of fitting (default: that of the preset)")
        _add_setup_arguments(parser)
        parser.add_argument("--email", help="whose model it becomes (default: the demo account)")

    def handle(self, *, file: Path, target: str, email: str | None, verbosity: int, **options: Any) -> None:
        if verbosity > 1:
            os.environ["LOG_LEVEL"] = "INFO"
            logging.getLogger().setLevel(logging.INFO)
        preset = Preset(options["preset"])
        seconds = options["time_limit"] or next(choice.seconds for choice in PRESETS if choice.preset is preset)
        wanted = JobSettings(target=target, preset=preset, time_limit=seconds, **_setup(options))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.stdout.ending = ""
            with Progress(self.stdout) as progress, _running_services(progress) as others_may_work:
                wait = _CLAIM_SECONDS if others_may_work else 0.0
                _Run(_owner(email), progress, wait).run(file, wanted)
        except KeyboardInterrupt:
            self.stderr.write("Cancelled; nothing was kept.")
            sys.exit(130)
        except (SmartMLError, LocalStackError) as error:
            self.stderr.write(f"{error} {getattr(error, 'hint', '')}".strip())
            sys.exit(1)


def _add_setup_arguments(parser: ArgumentParser) -> None:
    """What the form calls advanced settings."""
    problems = [kind.value for kind in ProblemType]
    metrics = sorted({name for names in METRICS.values() for name in names})
    families = [family.name for family in families_offered()]
    parser.add_argument("--problem-type", choices=problems, help="(default: inferred from the target)")
    parser.add_argument("--metric", choices=metrics, help="what decides (default: accuracy, or RMSE for numbers)")
    parser.add_argument("--holdout", type=int, default=20, metavar="PERCENT", help="of the rows (default: 20)")
    by_column = parser.add_mutually_exclusive_group()
    by_column.add_argument("--time-column", metavar="COLUMN", help="hold the latest rows out")
    by_column.add_argument("--group-column", metavar="COLUMN", help="hold whole groups out; it is no feature then")
    parser.add_argument("--leave-out", action="append", default=[], metavar="COLUMN", help="may be repeated")
    parser.add_argument("--families", nargs="+", choices=families, default=[], help="(default: the preset's)")
    parser.add_argument("--balance-classes", action="store_true", help="rare classes count alike in fitting")
    parser.add_argument("--seed", type=int, default=0)


def _setup(options: dict[str, Any]) -> dict[str, Any]:
    """These options by their names in ``JobSettings``."""
    time_column, group_column = options["time_column"], options["group_column"]
    kind = HoldoutKind.TIME if time_column else HoldoutKind.GROUP if group_column else HoldoutKind.RANDOM
    return {
        "problem_type": ProblemType(options["problem_type"]) if options["problem_type"] else None,
        "metric": options["metric"],
        "holdout_share": options["holdout"] / 100,
        "holdout_kind": kind,
        "holdout_column": time_column or group_column,
        "leave_out": tuple(options["leave_out"]),
        "families": tuple(options["families"]),
        "class_weights": ClassWeights.BALANCED if options["balance_classes"] else ClassWeights.NONE,
        "seed": options["seed"],
    }


def _owner(email: str | None) -> User:
    """The account named, or the demo account, which cannot sign in until the local stack gives it a password."""
    from smartml.local.state import DEMO_EMAIL

    user = User.objects.filter(email__iexact=email or DEMO_EMAIL, closing_at=None).first()
    if user is None and email:
        raise NotFound(f"There is no account {email}.", hint="Sign up on the website, or leave --email out.")
    return user or User.objects.create_user(DEMO_EMAIL)


class _Run:
    """One file's way to a model; whatever ends it early takes back what it stored."""

    def __init__(self, user: User, progress: Progress, claim_seconds: float) -> None:
        self.user = user
        self.progress = progress
        self.claim_seconds = claim_seconds

    def run(self, file: Path, wanted: JobSettings) -> None:
        dataset = self._upload(file)
        try:
            model = self._train(dataset, wanted)
        except BaseException:
            datasets.delete_dataset(user_id=self.user.id, dataset_id=dataset.id)
            raise
        self._report(model)

    def _upload(self, file: Path) -> Dataset:
        try:
            source = file.open("rb")
            size = file.stat().st_size
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}.", hint="") from error
        with (
            source,
            datasets.begin_ingest(user_id=self.user.id, dataset_id=new_id(), file_name=file.name) as ingest,
        ):
            done = 0
            while piece := source.read(_CHUNK_BYTES):
                ingest.write(piece)
                done += len(piece)
                self.progress.update(f"Uploading {file.name}", done / max(size, 1))
            dataset = ingest.commit()
        left_out = f", {dataset.bad_row_count:,} left out" if dataset.bad_row_count else ""
        self.progress.say(
            f"{file.name}: {dataset.row_count:,} rows{left_out}, {dataset.column_count:,} columns, stored."
        )
        return dataset

    def _train(self, dataset: Dataset, wanted: JobSettings) -> Model:
        self.progress.update("Checking the target")
        job = services.request_training(
            user_id=self.user.id, dataset=dataset, job_id=new_id(), settings=wanted, model_name="", model_id=None
        )
        self.progress.say(f"{job.problem_type.value.capitalize()}: {job.problem_reason}")
        with ExitStack() as helpers:
            try:
                over = self._follow(job, helpers)
            except BaseException:
                self._cancel(job)
                raise
        if over.status is JobStatus.CANCELLED:
            raise TrainingFailed("The training was cancelled.", hint="")
        if over.error is not None:
            raise TrainingFailed(over.error.message, hint=over.error.hint)
        return services.get_model(user_id=self.user.id, model_id=over.model_id)

    def _follow(self, job: Job, helpers: ExitStack) -> Job:
        """Show the job until it is over; run it here when no worker takes it."""
        inline_after = time.monotonic() + self.claim_seconds
        shown = 0
        while not job.status.is_over:
            if job.status is JobStatus.QUEUED and time.monotonic() > inline_after:
                helpers.enter_context(_worker_thread(job.id))
                inline_after = float("inf")
            shown = self._show(job, shown)
            time.sleep(_POLL_SECONDS)
            job = services.get_job(user_id=self.user.id, job_id=job.id)
        self._show(job, shown)
        return job

    def _show(self, job: Job, shown: int) -> int:
        """New leaderboard rows, then the changing line; returns how many rows have been shown."""
        for row in job.leaderboard[shown:]:
            score = "no score" if row.val_score is None else _figure(_natural(row.val_score, job.metric))
            self.progress.say(f"  {row.name:<28} validation {score:>10}   {row.fit_seconds:6.1f} s")
        view = present_job(job, now=timezone.now())
        left = "" if view.fit_seconds_left is None else f", at most {view.fit_seconds_left:.0f} s of fitting left"
        self.progress.update(job.stage, view.percent / 100, f"({view.elapsed:.0f} s{left})")
        return max(shown, len(job.leaderboard))

    def _cancel(self, job: Job) -> None:
        services.cancel_job(user_id=self.user.id, job_id=job.id)
        give_up = time.monotonic() + _CANCEL_SECONDS
        while not services.get_job(user_id=self.user.id, job_id=job.id).status.is_over:
            if time.monotonic() > give_up:
                raise ServiceUnavailable("The training has been told to stop but has not done so yet.")
            self.progress.update("Stopping")
            time.sleep(_POLL_SECONDS)

    def _report(self, model: Model) -> None:
        version = model.current
        evaluation = services.model_evaluation(model=model, version=version.version)
        for line in _leaderboard(evaluation):
            self.progress.say(line)
        better = "lower is better" if version.lower_is_better else "higher is better"
        self.progress.say(
            f"Holdout {metric_label(version.metric_name)} {_figure(version.accuracy)} ({better}) on "
            f"{version.holdout_rows:,} rows the model had never seen; without any feature it would be "
            f"{_figure(version.baseline)}."
        )
        if evaluation.setup is not None:
            self.progress.say(f"Held out: {held_out(evaluation.setup.holdout).replace('`', '')}.")
        self.progress.say(f"Model: {version.azure_model_url}")
        self.progress.say(f"Page:  {settings.SITE_URL.rstrip('/')}{reverse('models:detail', args=[model.id])}")


def _leaderboard(evaluation: Evaluation) -> Iterator[str]:
    yield ""
    yield f"  {'model':<28} {'validation':>11} {'holdout':>11} {'fit':>9}"
    for row in evaluation.leaderboard:
        scores = "".join(
            f" {'-' if score is None else _figure(score):>11}" for score in (row.val_score, row.holdout_score)
        )
        yield f"  {row.name:<28}{scores} {row.fit_seconds or 0.0:7.1f} s"
    yield ""


def _figure(value: float) -> str:
    return f"{value:,.6g}"


def _natural(score: float, metric: str | None) -> float:
    """A live score without AutoGluon's sign: errors are positive."""
    return -score if metric and lower_is_better(metric) else score


@contextmanager
def _worker_thread(job_id: str) -> Iterator[None]:
    """Run the job in this process, for want of a queue worker, and drop the queue's message about it."""

    def work() -> None:
        try:
            worker.run_job(job_id)
            queue.forget(job_id)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    try:
        yield
    finally:
        thread.join()


# --- Services ------------------------------------------------------------------------------------------------
@contextmanager
def _running_services(progress: Progress) -> Iterator[bool]:
    """The services that the settings name; when those are local ones and do not run, start them for this command.

    Yields whether queue workers may be running too.
    """
    fault = _fault()
    if fault is None:
        yield True
        return
    if not _is_local():
        raise fault
    from smartml.local.stack import data_services
    from smartml.local.state import local_directory, locked

    progress.update("Starting MongoDB and Azurite")
    directory = local_directory()
    with locked(directory), data_services(directory) as running, _pointed_to(running.environment):
        mongo.prepare_database()
        blobs.get_blobs().ensure_containers()
        call_command("migrate", verbosity=0, interactive=False)
        yield False


def _fault() -> ServiceUnavailable | None:
    """Why the services cannot be used, or None."""
    try:
        mongo.ping()
        blobs.get_blobs().check()
    except ServiceUnavailable as error:
        return error
    return None


def _is_local() -> bool:
    """Whether nothing in the settings leads off this machine."""
    addresses = [settings.MONGODB_URI, settings.AZURE_ACCOUNT_URL]
    hosts = [urlsplit(address).hostname for address in addresses if address]
    accounts = settings.DATABASES["default"]
    if not accounts["ENGINE"].endswith("sqlite3"):
        hosts.append(accounts["HOST"])
    return all(host in _LOOPBACK for host in hosts)


@contextmanager
def _pointed_to(environment: dict[str, str]) -> Iterator[None]:
    """Settings and environment (for the training's process) that lead to services started here."""
    before = {name: (os.environ.get(name), getattr(settings, name)) for name in environment}
    os.environ.update(environment)
    for name, value in environment.items():
        setattr(settings, name, value == "true" if isinstance(before[name][1], bool) else value)
    _reset()
    try:
        yield
    finally:
        _reset()
        for name, (variable, setting) in before.items():
            setattr(settings, name, setting)
            os.environ.pop(name, None)
            if variable is not None:
                os.environ[name] = variable


def _reset() -> None:
    mongo.reset_client()
    blobs.reset_blobs()
