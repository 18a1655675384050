"""The table of a version, fetched again for follow-up work that looks into its training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from datasets import services as datasets
from datasets.records import Dataset
from ml.options import ClassWeights
from ml.retracing import Settings, TableChanged
from models_app import services, setup
from models_app.followups import Followup
from models_app.records import Model, ModelVersion
from models_app.training_limits import DISK_FULL, lacks_disk_for
from smartml.errors import NotFound, TrainingFailed

GONE: Final = "The dataset of this version was deleted, so its rows cannot be looked at again."


def dataset_of(*, model: Model, version: ModelVersion) -> Dataset:
    """The dataset that a version was trained on, as it was.

    :raises NotFound: it was deleted since.
    :raises TableChanged: its file is another one.
    """
    try:
        dataset = datasets.get_dataset(user_id=model.user_id, dataset_id=version.dataset_id)
    except NotFound as error:
        raise NotFound(GONE, hint="Upload the file again and train on it.") from error
    if version.dataset_sha256 is not None and version.dataset_sha256 != dataset.sha256:
        raise TableChanged
    return dataset


@contextmanager
def request_of(work: Followup) -> Iterator[dict[str, Any]]:
    """What a child needs to find the rows of the training again; the table goes when the block ends."""
    dataset = dataset_of(model=work.model, version=work.version)
    if lacks_disk_for(dataset.file_size):
        raise TrainingFailed("The server's disk has too little room for this.", hint=DISK_FULL.hint)
    work.progress.report(stage="Reading the file", progress=0.01)
    with datasets.normalised(dataset=dataset, on_bytes=lambda read: work.progress.check()) as table:
        settings = settings_of(model=work.model, version=work.version, dataset=dataset)
        yield {"table": str(table), "settings": settings.as_dict()}


def settings_of(*, model: Model, version: ModelVersion, dataset: Dataset) -> Settings:
    """How the version was made."""
    asked = version.asked
    chosen = services.model_chosen_types(model=model, version=version.version)
    return Settings(
        target=version.target,
        problem_type=version.problem_type,
        plan=asked.holdout_plan(),
        leave_out=asked.leave_out,
        types={each.column: each.type for each in chosen},
        formats=datasets.formats_of(dataset=dataset),
        preset=version.preset,
        metric=version.metric_name,
        families=setup.model_keys_of(asked),
        balance_classes=asked.class_weights is ClassWeights.BALANCED,
        train_rows=version.train_rows,
        holdout_rows=version.holdout_rows,
    )
