"""What one training may take of the machine, and the sentences for when it would take more."""

import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from datasets.tree_usage import machine_memory
from ml.problem import Preset
from models_app.records import Job, JobError

MIB = 2**20
# What is left for the web server, the databases and the system where the operator sets no limit.
_SHARE_OF_MACHINE = 0.8
# The stored file, its normalised copy and the packed model, with room to spare.
_DISK_PER_FILE_BYTE = 4

DISK_FULL = JobError(
    code="disk_full",
    message="The training stopped because the server's disk is full.",
    hint="Tell the operator; nothing of it is left, so train again when there is room.",
)


def memory_limit() -> int:
    """Bytes that the processes of one training may hold together."""
    wished: int = settings.TRAINING_MEMORY_MB
    if wished:
        return wished * MIB
    workers: int = settings.Q_CLUSTER["ALT_CLUSTERS"]["training"]["workers"]
    return int(machine_memory() * _SHARE_OF_MACHINE / max(workers, 1))


def out_of_memory(job: Job, *, stage: str, used: int, limit: int) -> JobError:
    """Why a training was ended for the memory it held, while doing what ``stage`` says."""
    return JobError(
        code="out_of_memory",
        message=f"Out of memory: at {_gigabytes(used)} of the {_gigabytes(limit)} allowed it was ended while "
        f"“{stage}”.",
        hint=_lighter(job),
    )


def _lighter(job: Job) -> str:
    """What would take less memory, given what was asked for."""
    wished = []
    if job.settings.preset is not Preset.QUICK:
        wished.append("choose the Quick preset")
    if not job.settings.families:
        wished.append("tick fewer kinds of models, LightGBM alone for instance")
    wished.append("leave out columns of long texts or many categories")
    return f"Train again and {', or '.join(wished)}; fewer rows help too."


def lacks_disk(scratch: Path, *, file_size: int = 0) -> bool:
    """Whether the disk of the workspace has too little room, to go on or (with ``file_size``) to begin."""
    needed: int = settings.MIN_FREE_DISK_MB * MIB + file_size * _DISK_PER_FILE_BYTE
    return shutil.disk_usage(scratch).free < needed


def lacks_disk_for(file_size: int) -> bool:
    """The same for a training that has not begun, on this machine."""
    return lacks_disk(Path(tempfile.gettempdir()), file_size=file_size)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
