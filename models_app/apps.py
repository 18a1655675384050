"""Application configuration."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class ModelsAppConfig(AppConfig):
    name = "models_app"

    def ready(self) -> None:
        from accounts.closing import register
        from models_app import autopsies, batch_work, comparisons, doubts, explanations, twins

        explanations.register()
        comparisons.register()
        autopsies.register()
        batch_work.register()
        twins.register()
        doubts.register()
        register(_delete_all_of_user, last=_forget_jobs_of_user)
        # Django tells apps with models only.
        post_migrate.connect(_schedule_sweep, sender=apps.get_app_config("django_q"))


def _delete_all_of_user(user_id: str) -> None:
    from models_app.services import delete_all_of_user

    delete_all_of_user(user_id)


def _forget_jobs_of_user(user_id: str) -> None:
    from models_app.services import forget_jobs_of_user

    forget_jobs_of_user(user_id)


def _schedule_sweep(**_: Any) -> None:
    """Have the ``light`` cluster run the sweep each minute, and look for blobs without metadata each hour."""
    from django_q.models import Schedule

    Schedule.objects.update_or_create(
        name="stray blobs", defaults={"func": "models_app.tasks.sweep_strays", "schedule_type": Schedule.HOURLY}
    )

    Schedule.objects.update_or_create(
        name="sweep",
        defaults={
            "func": "models_app.tasks.sweep",
            "schedule_type": Schedule.MINUTES,
            "minutes": 1,
            "repeats": -1,
        },
    )
