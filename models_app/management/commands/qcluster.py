"""django-q2's command, with a cluster whose workers learn that it stops, or is gone. Found in place of the original
because ``models_app`` stands before ``django_q`` in ``INSTALLED_APPS``."""

import os
from typing import Any

from django_q.cluster import Cluster
from django_q.management.commands.qcluster import Command as QCluster

from datasets import stopping
from datasets.processes import end_forks_with_parent


class AnnouncingCluster(Cluster):  # type: ignore[misc]  # django-q2 has no types
    def stop(self) -> bool:
        # Before waiting for the workers: a training would keep it waiting until the system's patience ends.
        stopping.announce()
        stopped: bool = super().stop()
        return stopped


class Command(QCluster):  # type: ignore[misc]
    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        # Killed, it would leave a cluster without a head, which works on beside the one that is started next.
        end_forks_with_parent()
        cluster = AnnouncingCluster()
        cluster.start()
        if options.get("run_once"):
            cluster.stop()
