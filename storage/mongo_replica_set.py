"""A local ``mongod`` as a replica set of one, which transactions need. Only the local stack uses it."""

from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

_NAME = "rs0"
_NOT_INITIATED = 94


def ensure_primary(host: str, port: int) -> bool:
    """Initiate the replica set if that was never done, move it to this address, and say whether it takes writes.

    Called again and again until it answers True; a server that does not answer yet is False.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(
        host, port, directConnection=True, serverSelectionTimeoutMS=500, connectTimeoutMS=500, socketTimeoutMS=5000
    )
    try:
        _configure(client, f"{host}:{port}")
        return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False
    finally:
        client.close()


def _configure(client: MongoClient[dict[str, Any]], address: str) -> None:
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_INITIATED:
            raise
        client.admin.command("replSetInitiate", {"_id": _NAME, "members": [{"_id": 0, "host": address}]})
        return
    if [member["host"] for member in config["members"]] != [address]:
        # The port differs from the last start's: without this the member does not find itself in its set.
        config["members"] = [{"_id": 0, "host": address}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
