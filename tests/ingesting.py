"""Tables that are taken in without a page."""

from datetime import timedelta

from bson import ObjectId
from django.utils import timezone

from datasets import repository, services
from storage import mongo
from storage.ids import new_id

TABLE = b"city,price\nBerlin,10\nParis,20\nRome,30\n"
USER = "a" * 24
OTHER = "b" * 24


def begin(**changes):
    values = {"user_id": USER, "dataset_id": new_id(), "file_name": "cities.csv"} | changes
    return services.begin_ingest(**values)


def stored(content=TABLE, **changes):
    ingest = begin(**changes)
    ingest.write(content)
    return ingest.commit()


def write_and_commit(ingest, content):
    ingest.write(content)
    return ingest.commit()


def totals(user_id=USER):
    found = repository.totals(user_id=user_id)
    return found.datasets_count, found.datasets_bytes


def age(*ids):
    long_ago = timezone.now() - timedelta(hours=1)
    mongo.get_database()["datasets"].update_many(
        {"_id": {"$in": [ObjectId(i) for i in ids]}}, {"$set": {"touched_at": long_ago}}
    )
