"""Application configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import api_tokens, closing, kaggle_credentials

        closing.register(kaggle_credentials.remove_of_closing)
        closing.register(api_tokens.remove_of_closing)
