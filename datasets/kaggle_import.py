"""The background work of an import from Kaggle: bytes from there go straight into the ingestion."""

import logging
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from datasets import repository
from datasets.activities import Progress
from datasets.activity_records import Activity
from datasets.ingest import Ingest, begin_ingest
from datasets.kaggle_records import FileRef
from datasets.kaggle_services import credential_of
from datasets.records import DatasetStatus, Source
from storage.blobs import get_blobs
from storage.emptying import delete_all

if TYPE_CHECKING:
    from datasets.kaggle_download import Download

logger = logging.getLogger(__name__)

_KEPT = (DatasetStatus.STAGED, DatasetStatus.READY)


def run_import(activity: Activity, progress: Progress) -> None:
    """Import the file that the activity names. Cancelled or failed at any point, it leaves nothing."""
    from datasets.kaggle_client import Client
    from datasets.kaggle_download import Download

    already = repository.get(dataset_id=activity.dataset_id, user_id=activity.user_id)
    if already is not None and already.status in _KEPT:
        return  # a former worker died after its last step
    ref = FileRef.parse(activity.subject)
    progress.report(stage="Asking Kaggle for the file")
    with Client(credential_of(user_id=activity.user_id)) as client:
        download = Download(client, ref)
        with download.pieces(progress.check) as pieces:
            # The first piece comes before anything is stored: most refusals are known by then.
            first = next(pieces, b"")
            with _begin(activity, ref) as ingest:
                _write(ingest, first, download, progress)
                for piece in pieces:
                    _write(ingest, piece, download, progress)
                progress.report(stage="Storing the file", progress=1.0)
                ingest.stage()
    logger.info("Import %s: %d bytes of %s.", activity.id, download.done, ref.dataset.text)


def _begin(activity: Activity, ref: FileRef) -> Ingest:
    return begin_ingest(
        user_id=activity.user_id,
        dataset_id=activity.dataset_id,
        # Kaggle leaves names as they are in addresses.
        file_name=unquote(ref.base_name),
        source=Source.KAGGLE,
        source_ref=ref.text,
    )


def _write(ingest: Ingest, piece: bytes, download: "Download", progress: Progress) -> None:
    ingest.write(piece)
    share = download.done / download.size if download.size else None
    progress.report(
        stage="Downloading from Kaggle", progress=share, done_bytes=download.done, total_bytes=download.size
    )


def undo_import(activity: Activity) -> None:
    """Remove whatever an attempt has stored and nobody has imported. Harmless when there is nothing."""
    for status in (DatasetStatus.UPLOADING, DatasetStatus.STAGED, DatasetStatus.DELETING):
        dataset = repository.mark_deleting(dataset_id=activity.dataset_id, user_id=activity.user_id, status=status)
        if dataset is not None:
            delete_all(partial(get_blobs().delete_dataset, user_id=dataset.user_id, dataset_id=dataset.id))
            repository.remove(dataset_id=dataset.id, user_id=dataset.user_id)
            return
