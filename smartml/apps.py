"""Application configuration."""

from django.apps import AppConfig
from django.core.checks import register


class SmartMLConfig(AppConfig):
    name = "smartml"

    def ready(self) -> None:
        from smartml import checks

        for check in checks.ALL:
            register(check)
        checks.log_findings()
