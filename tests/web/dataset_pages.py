"""What the tests of the dataset pages share."""

import re

from django.contrib.auth import get_user
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts import tickets
from datasets import repository, services
from storage.ids import new_id

HX = {"HX-Request": "true"}
TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"
SEMICOLONS = b"city;price\nBerlin;10\nParis;20\nRome;30\n"
DATES = b"day,n\n01/02/2024,1\n03/04/2024,2\n05/06/2024,3\n"


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


def staged(user, content=SEMICOLONS, name="cities.csv"):
    with services.begin_ingest(user_id=user.id, dataset_id=new_id(), file_name=name) as ingest:
        ingest.write(content)
        return ingest.stage()


def url(name, dataset):
    return reverse(f"datasets:{name}", args=[dataset.id])


def reload(dataset):
    return repository.get(dataset_id=dataset.id, user_id=dataset.user_id)


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())
