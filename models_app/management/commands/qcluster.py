"""django-q2's command, with a cluster whose workers learn that it stops. Found in place of the original because
``models_app`` stands before ``django_q`` in ``INSTALLED_APPS``."""

import os
from typing import Any

from django_q.cluster import Cluster
from django_q.management.commands.qcluster import Command as QCluster

from datasets import stopping


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
        cluster = AnnouncingCluster()
        cluster.start()
        if options.get("run_once"):
            cluster.stop()
