"""Application configuration."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "datasets"

    def ready(self) -> None:
        from accounts import closing
        from datasets.services import delete_all_of_user

        closing.register(delete_all_of_user)
