"""ObjectIds as the 24 hexadecimal characters that everything outside the repositories uses."""

import re

from bson import ObjectId

_HEX24 = re.compile(r"[0-9a-f]{24}")


def new_id() -> str:
    """A fresh ObjectId as 24 lower-case hexadecimal characters."""
    return str(ObjectId())


def is_id(value: str) -> bool:
    """Whether ``value`` is 24 lower-case hexadecimal characters."""
    return _HEX24.fullmatch(value) is not None


class ObjectIdConverter:
    """URL path converter ``<oid:name>``; a malformed id matches no route and so is a 404."""

    regex = "[0-9a-f]{24}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
