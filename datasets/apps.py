"""Application configuration."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "datasets"

    def ready(self) -> None:
        from accounts import closing
        from datasets import activities, kaggle_import, packed, profile_work, rows, staging
        from datasets.services import delete_all_of_user

        closing.register(delete_all_of_user)
        # Registered later, so it runs first: what still runs for a person is told to stop.
        closing.register(activities.stop_for_user, last=activities.forget_user)
        profile_work.register()
        activities.register(activities.ActivityKind.INDEX, rows.make_index)
        activities.register(activities.ActivityKind.READ, staging.run_read)
        activities.register(activities.ActivityKind.CONVERT, packed.run_convert, undo=packed.undo_convert)
        activities.register(
            activities.ActivityKind.KAGGLE, kaggle_import.run_import, undo=kaggle_import.undo_import
        )
