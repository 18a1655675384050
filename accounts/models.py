"""The person who signs in."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from storage.ids import new_id


class UserManager(BaseUserManager["User"]):
    """Makes users; an e-mail address is compared without regard to case."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Store a user; ``password=None`` makes one that cannot sign in."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Store a member of staff who may do everything."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """An account; ``id`` is the ``user_id`` of every document and the first segment of every blob path."""

    id = models.CharField(primary_key=True, max_length=24, default=new_id, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    # Set when the person asks for deletion; the sweep finishes what a crash interrupts.
    closing_at = models.DateTimeField(null=True, blank=True)
    mail_when_done = models.BooleanField("mail me when a training has ended", default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="user_email_ci")]

    def __str__(self) -> str:
        return self.email


class KaggleToken(models.Model):
    """A person's own Kaggle token, encrypted (``accounts.kaggle_credentials``); it goes with the account."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="kaggle_token")
    ciphertext = models.TextField()
    # What its owner recognises it by.
    ending = models.CharField(max_length=4)
    stored_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"Kaggle token of {self.user_id}"


class ApiToken(models.Model):
    """A personal token of the API: what it may do, until when, and a digest of it (``accounts.api_tokens``)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    # What its owner recognises it by: the beginning of the token.
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    # Words with a space between them.
    scopes = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user_id}"


class IdempotencyKey(models.Model):
    """What a POST with an ``Idempotency-Key`` makes (``accounts.idempotency``): ids and digests, never a body."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key_digest = models.CharField(max_length=64)
    # Of method, address and what is known of the body before it is read; and of the body itself once it was.
    request_digest = models.CharField(max_length=64)
    body_digest = models.CharField(max_length=64, default="")
    resource_id = models.CharField(max_length=24)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key_digest"], name="idempotency_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} of {self.user_id}"
