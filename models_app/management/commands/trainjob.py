"""The child process of one training. Started by ``models_app.worker``, not by people."""

import faulthandler
import json
import logging
import os
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand

from datasets.processes import DISK_FULL_EXIT, TRACE
from ml.child import be_first_to_go, follow
from smartml.errors import SmartMLError, means_disk_full, trace_without_values

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Run one claimed training (internal: started by a queue worker)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_id")
        parser.add_argument("owner", help="the lease owner that the worker claimed the job with")
        parser.add_argument("--lifeline", type=int, required=True, help="a pipe that ends with the worker")
        parser.add_argument(
            "--signer", type=int, required=True, help="a socket at which the worker signs the model"
        )
        parser.add_argument("--outcome", type=Path, required=True, help="where to write why the training failed")
        parser.add_argument("--stop", type=Path, required=True, help="a file that appears when the best is wanted")

    def handle(
        self, *, job_id: str, owner: str, lifeline: int, signer: int, outcome: Path, stop: Path, **options: Any
    ) -> None:
        follow(lifeline)
        be_first_to_go()
        trace = (outcome.parent / TRACE).open("w", encoding="utf-8")
        # A fault in native code leaves Python's frames there, without values.
        faulthandler.enable(trace)
        try:
            from models_app import pipeline, signing

            pipeline.run(job_id=job_id, owner=owner, sign=signing.asking(signer), should_stop=stop.exists)
            logging.shutdown()
            # Everything is stored and the workspace gone; unloading the learning libraries would take seconds.
            os._exit(0)
        except SmartMLError as error:
            logger.warning("Job %s: %s", job_id, error.message)
            _leave_a_full_disk(error)
            _tell(trace, error)
            _write(outcome, error.code, error.message, error.hint)
            sys.exit(1)
        except MemoryError as error:
            logger.warning("Job %s: memory ran out.", job_id)
            _tell(trace, error)
            # As if the system had ended this process: the worker explains both alike.
            os.kill(os.getpid(), signal.SIGKILL)
        except Exception as error:  # noqa: BLE001 -- logged, and the exit code tells the worker
            logger.error("Job %s: unexpected.", job_id)
            _leave_a_full_disk(error)
            _tell(trace, error)
            sys.exit(1)


def _leave_a_full_disk(error: BaseException) -> None:
    """Exit at once when the disk was full: neither the trace nor the outcome could be written."""
    if means_disk_full(error):
        os._exit(DISK_FULL_EXIT)


def _tell(trace: TextIO, error: BaseException) -> None:
    """Where it failed, for the worker's log."""
    trace.write(trace_without_values(error))
    trace.flush()


def _write(outcome: Path, code: str, message: str, hint: str) -> None:
    outcome.write_text(json.dumps({"code": code, "message": message, "hint": hint}), encoding="utf-8")
