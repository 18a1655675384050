"""What the tests of the dataset pages share."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from storage.ids import new_id

HX = {"HX-Request": "true"}
TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"


def upload(
    client: Client, content: bytes = TABLE, name: str = "cities.csv", *, dataset_id=None, headers=None, **extra
):
    """Send the upload form as a browser does."""
    url = reverse("datasets:upload", args=[dataset_id or new_id()])
    return client.post(url, {**extra, "file": SimpleUploadedFile(name, content)}, headers=headers or {})
