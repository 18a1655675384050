"""What the tests of the dataset pages share."""

from django.contrib.auth import get_user
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts import tickets

HX = {"HX-Request": "true"}
TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"


def ticket_of(client: Client) -> str:
    """What the upload form of the signed-in person would carry."""
    return tickets.issue(user_id=get_user(client).pk, purpose="upload")


def id_in(client: Client, ticket: str) -> str:
    """The id of the dataset that this ticket makes."""
    return tickets.redeem(ticket, user_id=get_user(client).pk, purpose="upload")


def upload(client: Client, content: bytes = TABLE, name: str = "cities.csv", *, ticket=None, headers=None, **extra):
    """Send the upload form as a browser does."""
    url = reverse("datasets:upload", args=[ticket or ticket_of(client)])
    return client.post(url, {**extra, "file": SimpleUploadedFile(name, content)}, headers=headers or {})
