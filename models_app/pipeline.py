"""The training itself, inside the child process: dataset blob -> table -> holdout -> fit -> score -> zip -> blobs
-> metadata. Every stage is written to the job's document first, so the page always says what is going on.

What fails is raised; the worker that started this process removes what was stored and ends the job.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.utils import timezone

from datasets import services as datasets
from datasets.records import Dataset
from ml import bundle, drift, evaluation, golden, holdout_rows, overriding, prediction, profiling, splits, training
from ml.answers import answer_holdout
from ml.column_types import ColumnType, ValueFormat
from ml.cross_validation import FIT_SHARE, FOLDS, CrossValidated, NotCrossValidated, cross_validate, rare_rows
from ml.diagnosis import diagnose
from ml.left_out import LeftOut
from ml.options import ClassWeights, HoldoutKind
from ml.overriding import ChosenType
from ml.problem import ProblemType
from ml.setup_report import SetupReport
from ml.targets import decide_problem
from models_app import jobs_repository as jobs
from models_app import report as reports
from models_app import repository, setup
from models_app.log_tail import LogTail
from models_app.records import FittedModel, Job, JobStatus
from models_app.signing import Sign
from models_app.storing import LeaseLost, insist, store
from models_app.training_limits import DISK_FULL, lacks_disk
from smartml.errors import InvalidTarget, MetadataUnavailable, NotFound, TrainingFailed
from storage.workspace import workspace

if TYPE_CHECKING:
    from pandas import DataFrame

logger = logging.getLogger(__name__)

# Where each stage begins on the progress bar; fitting moves from FITTING to SCORING by the clock.
DOWNLOADING, READING, SPLITTING, FITTING, SCORING = 0.01, 0.05, 0.08, 0.1, 0.85
PACKING, RELOADING, REPORTING, STORING = 0.9, 0.92, 0.93, 0.95


def run(*, job_id: str, owner: str, sign: Sign, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train, evaluate and store; returns once the job has succeeded. ``should_stop``: keep the best so far.
    ``sign``: the worker's signature for the SHA-256 of the zip."""
    job = jobs.get(job_id=job_id)
    if job is None or job.lease_owner != owner:
        raise LeaseLost
    with workspace("model") as scratch:
        _Run(job, owner, scratch, should_stop, sign).run()


class _Run:
    """One attempt's way through the stages."""

    def __init__(self, job: Job, owner: str, scratch: Path, should_stop: Callable[[], bool], sign: Sign) -> None:
        self.job = job
        self.owner = owner
        self.scratch = scratch
        self.should_stop = should_stop
        self.said = LogTail(job_id=job.id, owner=owner)
        self.sign = sign
        self.fit_started: float | None = None
        self.leaderboard: tuple[FittedModel, ...] = ()
        self.left_out: tuple[LeftOut, ...] = ()
        self.chosen_types: tuple[ChosenType, ...] = ()

    def run(self) -> None:
        job, target = self.job, self.job.settings.target
        self._check_model()
        dataset = self._dataset()
        if lacks_disk(self.scratch, file_size=dataset.file_size):
            raise TrainingFailed("The server's disk has too little room for this training.", hint=DISK_FULL.hint)
        frame, schema = self._read(dataset)
        self._stage("Splitting", SPLITTING)
        split = splits.split(
            frame,
            target=target,
            problem_type=job.problem_type,
            plan=job.settings.holdout_plan(),
            leave_out=job.settings.leave_out,
        )
        del frame
        rare = self._rare_rows(split)
        is_small = rare is not None or self._is_small(split)
        fitted = self._fit(split, share=FIT_SHARE if is_small else 1.0)
        checked = self._cross_validate(split, fitted) if is_small else None
        if isinstance(checked, CrossValidated) and not self._is_small(split):
            checked = replace(checked, rare_rows=rare)
        train, holdout = split.features_only()
        self._advance(JobStatus.EVALUATING, "Scoring on the holdout", SCORING)
        parts: dict[str, Any] = {"holdout": holdout, "target": target, "problem_type": job.problem_type}
        said = answer_holdout(fitted.predictor, train=train, **parts)
        report = evaluation.evaluate(
            fitted.predictor,
            train=train,
            dropped_rows=split.dropped_rows,
            answered=said,
            units=split.groups_held_out(),
            **parts,
        )
        report = replace(
            report,
            stopped_early=fitted.stopped_early,
            left_out=fitted.left_out,
            cross_validated=checked if isinstance(checked, CrossValidated) else None,
            not_cross_validated=checked.why if isinstance(checked, NotCrossValidated) else "",
            setup=_setup_report(job, split, fitted),
        )
        figures = diagnose(fitted.predictor, said=said, seed=job.settings.seed, **parts)
        used = prediction.used_features(fitted.predictor)
        types = {column.name: column.type for column in schema}
        features = prediction.feature_schema(train, target=target, columns_types=types, used=used)
        reference = drift.reference_of(train, features)
        unused = [name for name in types if name != target and name not in used]
        kept = holdout_rows.write(
            holdout, split.places, path=self.scratch / "holdout.parquet", seed=job.settings.seed
        )
        golden_rows = golden.choose(holdout, features, seed=job.settings.seed)
        del train, holdout, split, parts, said
        self._advance(JobStatus.STORING, "Packing", PACKING)
        metadata = bundle.build_metadata(
            target=target,
            problem_type=job.problem_type,
            evaluation=report,
            features=features,
            unused_features=unused,
        ) | {"chosen_types": [chosen.as_dict() for chosen in self.chosen_types]}
        archive = self._pack(fitted.predictor, metadata)
        self._stage("Loading what was packed", RELOADING)
        kept_answers = golden.record(archive, golden_rows, features=features, scratch=self.scratch)
        self._stage("Writing the report", REPORTING)
        write_report = partial(
            reports.render,
            model_name=job.model_name,
            dataset=dataset,
            evaluation=report,
            diagnosis=figures,
            figures=reports.draw(figures, job.problem_type),
            features=features,
            unused=unused,
            chosen_types=self.chosen_types,
        )
        self._stage("Storing", STORING, leaderboard=self._with_times_of(report))
        store(
            job=job,
            owner=self.owner,
            archive=archive,
            holdout=kept,
            report=report,
            features=features,
            unused=unused,
            figures=figures,
            reference=reference,
            golden=kept_answers,
            chosen_types=self.chosen_types,
            base_model=fitted.best_model,
            fit_seconds=fitted.fit_seconds,
            dataset_sha256=dataset.sha256,
            write_report=lambda version: write_report(version=version),
            sign=self.sign,
        )

    def _check_model(self) -> None:
        """A further version needs its model; it may have been deleted while this waited."""
        job = self.job
        if job.version > 1 and repository.get(model_id=job.model_id, user_id=job.user_id) is None:
            raise TrainingFailed("The model was deleted before this training began.", hint="Train a new model.")

    def _dataset(self) -> Dataset:
        try:
            return datasets.get_dataset(user_id=self.job.user_id, dataset_id=self.job.dataset_id)
        except NotFound as error:
            raise TrainingFailed(
                "The dataset was deleted before this training began.",
                hint="Upload the file again and train on it.",
            ) from error

    def _read(self, dataset: Dataset) -> tuple["DataFrame", tuple[profiling.ColumnSchema, ...]]:
        self._stage("Downloading data", DOWNLOADING)
        with datasets.normalised(dataset=dataset) as path:
            self._stage("Reading", READING)
            formats, types = datasets.formats_of(dataset=dataset), datasets.types_of(dataset=dataset)
            found = profiling.full_schema(path, formats)
            self._check_target(path, found, types.get(self.job.settings.target), formats)
            schema, self.chosen_types = overriding.apply_types(path, found, types, formats)
            return profiling.read_frame(path, schema, formats), schema

    def _check_target(
        self,
        path: Path,
        schema: tuple[profiling.ColumnSchema, ...],
        kind: ColumnType | None,
        formats: ValueFormat,
    ) -> None:
        """Whether the target still asks the same question: its type may have been changed meanwhile."""
        target, problem_type = self.job.settings.target, self.job.problem_type
        found = next((column.type for column in schema if column.name == target), None)
        if found is None:
            # The same sentence as on the form, with the nearest name.
            profiling.target_summary(path, target, formats)
            raise InvalidTarget(f"There is no column {target}.")
        numbers = (ColumnType.INTEGER, ColumnType.NUMERIC)
        is_same = problem_type is not ProblemType.REGRESSION or (kind or found) in numbers
        if kind is not None and is_same:
            summary = profiling.target_summary(path, target, formats, kind=kind)
            wanted = self.job.settings.problem_type
            is_same = decide_problem(summary, wanted=wanted).problem_type is problem_type
        if not is_same:
            raise TrainingFailed(
                "The type of the target column was changed after this training had been asked for.",
                hint="Train again.",
            )

    def _is_small(self, split: splits.Split) -> bool:
        """Whether the rows held out are too few to say much; by time or group nothing better can be had."""
        return split.report.kind is HoldoutKind.RANDOM and len(split.holdout) < django_settings.CROSS_VALIDATE_BELOW

    def _rare_rows(self, split: splits.Split) -> int | None:
        if split.report.kind is not HoldoutKind.RANDOM or not django_settings.CROSS_VALIDATE_BELOW:
            return None
        return rare_rows(
            split.holdout,
            target=self.job.settings.target,
            problem_type=self.job.problem_type,
            all_rows=len(split.train) + len(split.holdout),
        )

    def _cross_validate(
        self, split: splits.Split, fitted: training.FitResult
    ) -> CrossValidated | NotCrossValidated:
        import pandas as pd

        job = self.job

        def fit_fold(rows: "DataFrame", seconds: float, seed: int, directory: Path) -> Any:
            part = replace(split, train=rows)
            return self._fit(part, seconds=seconds, seed=seed, directory=directory, is_shown=False).predictor

        return cross_validate(
            pd.concat(split.features_only(), ignore_index=True),
            target=job.settings.target,
            problem_type=job.problem_type,
            metric=fitted.metric,
            fit_fold=fit_fold,
            seconds=job.settings.time_limit - fitted.fit_seconds,
            seed=job.settings.seed,
            on_fold=lambda number, repeat: self._stage(
                f"Cross-validating, round {repeat}, part {number} of {FOLDS}", self._fit_progress()
            ),
            should_stop=self.should_stop,
        )

    def _fit(
        self,
        split: splits.Split,
        *,
        share: float = 1.0,
        seconds: float | None = None,
        seed: int | None = None,
        directory: Path | None = None,
        is_shown: bool = True,
    ) -> training.FitResult:
        """One fit: the model's own, within a ``share`` of the time limit, or that of a fold."""
        job = self.job
        if is_shown:
            # It takes seconds, of which the time limit knows nothing.
            self._stage("Loading the learning libraries", SPLITTING)
        fitted = training.fit(
            split.train,
            target=job.settings.target,
            problem_type=job.problem_type,
            preset=job.settings.preset,
            time_limit=share * job.settings.time_limit if seconds is None else seconds,
            directory=directory or self.scratch / "predictor",
            seed=job.settings.seed if seed is None else seed,
            on_event=self._on_event if is_shown else _say_nothing,
            should_stop=self.should_stop,
            families=setup.model_keys_of(job.settings),
            metric=job.settings.metric,
            balance_classes=job.settings.class_weights is ClassWeights.BALANCED,
            structure=split.structure,
            ignored=split.ignored,
            on_line=self.said.hear if is_shown else _hear_nothing,
        )
        if job.settings.answer_ms is None:
            return fitted
        return training.quickened(
            fitted, split.train.drop(columns=job.settings.target), limit_ms=job.settings.answer_ms
        )

    def _on_event(self, event: training.FitEvent) -> None:
        """Show what the fit is doing. Progress only: MongoDB being away for a moment must not end the fit."""
        facts: dict[str, Any] = {}
        if event.kind == "started":
            self.fit_started = time.monotonic()
            facts = {"stage": "Fitting", "fit_started_at": timezone.now(), "metric": event.metric}
        elif event.kind == "model_started":
            facts = {"stage": f"Fitting {event.model}"}
        elif event.kind == "model_finished" and event.model is not None and event.val_score is not None:
            row = FittedModel(
                name=event.model,
                val_score=event.val_score,
                fit_seconds=event.fit_seconds or 0.0,
                at_seconds=time.monotonic() - (self.fit_started or time.monotonic()),
            )
            self.leaderboard = (*self.leaderboard, row)
            facts = {"leaderboard": self.leaderboard, "metric": event.metric}
        elif event.model is not None and event.reason:
            self.left_out = (*self.left_out, LeftOut(name=event.model, reason=event.reason))
            facts = {"left_out": self.left_out}
        facts["log"] = self.said.lines
        try:
            jobs.report(job_id=self.job.id, owner=self.owner, progress=self._fit_progress(), **facts)
        except MetadataUnavailable as error:
            logger.warning("Job %s: progress could not be written: %s", self.job.id, error.message)

    def _fit_progress(self) -> float:
        elapsed = 0.0 if self.fit_started is None else time.monotonic() - self.fit_started
        return FITTING + (SCORING - FITTING) * min(1.0, elapsed / self.job.settings.time_limit)

    def _pack(self, predictor: Any, metadata: dict[str, Any]) -> Path:
        archive = self.scratch / "model.zip"
        bundle.pack(bundle.prepare_for_storage(predictor, self.scratch / "stored"), archive, metadata=metadata)
        return archive

    def _with_times_of(self, report: evaluation.Evaluation) -> tuple[FittedModel, ...]:
        """The models of the live page with the fit times of the model's page: those of an ensemble include the
        models that it is made of, whatever else was going on while it was watched."""
        times = {row.name: row.fit_seconds for row in report.leaderboard}
        return tuple(
            replace(row, fit_seconds=seconds) if (seconds := times.get(row.name)) is not None else row
            for row in self.leaderboard
        )

    def _stage(self, stage: str, progress: float, **facts: Any) -> None:
        """Say what comes next, and stop when the job is another worker's. MongoDB being away ends nothing."""
        self.said.note(stage)
        facts["log"] = self.said.lines
        try:
            held = jobs.report(job_id=self.job.id, owner=self.owner, stage=stage, progress=progress, **facts)
        except MetadataUnavailable as error:
            logger.warning("Job %s: the stage %s could not be written: %s", self.job.id, stage, error.message)
            return
        if not held:
            raise LeaseLost

    def _advance(self, to: JobStatus, stage: str, progress: float) -> None:
        self.said.note(stage)
        job = insist(
            lambda: jobs.advance(job_id=self.job.id, owner=self.owner, to=to, stage=stage, progress=progress)
        )
        if job is None and not self._is_at(to):
            raise LeaseLost

    def _is_at(self, status: JobStatus) -> bool:
        """Whether a move that was not possible had been made already: its first answer was lost."""
        job = insist(lambda: jobs.get(job_id=self.job.id))
        return job is not None and (job.lease_owner, job.status) == (self.owner, status)


def _say_nothing(event: training.FitEvent) -> None:
    """The models of a fold are none of the training's."""


def _hear_nothing(line: str) -> None:
    """Nor is what their fits say."""


def _setup_report(job: Job, split: splits.Split, fitted: training.FitResult) -> SetupReport:
    return SetupReport(
        holdout=split.report,
        leave_out=job.settings.leave_out,
        families=job.settings.families,
        class_weights=job.settings.class_weights,
        seed=job.settings.seed,
        ran_out_of_time=fitted.ran_out_of_time or fitted.stopped_early,
        threshold=fitted.threshold,
        fast=fitted.fast,
    )
