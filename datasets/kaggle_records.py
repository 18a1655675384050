"""What Kaggle's datasets and files are here. A leaf module: nothing of Kaggle's client."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Self, TypeVar

from datasets.file_names import clean_name

T = TypeVar("T")

# As Kaggle makes them: letters, digits, hyphens, and underscores in old ones.
SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
# With the rest of a reference it fits what may be stored of one (`storage.mongo_schema.MAX_SOURCE_REF`).
_LONGEST_FILE_NAME: Final = 700
_REF: Final = re.compile(r"(?P<owner>[\w-]+)/(?P<slug>[\w-]+)(?:@(?P<version>\d{1,9}))?:(?P<file>.+)", re.ASCII)
_ADDRESS: Final = re.compile(
    rf"\s*(?:(?:https?://)?(?:www\.)?kaggle\.com/datasets/)?(?P<owner>{SLUG.pattern})/(?P<slug>{SLUG.pattern})"
    r"(?:[/?#].*)?\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRef:
    """A dataset on Kaggle, ``owner/slug``."""

    owner: str
    slug: str

    @property
    def text(self) -> str:
        return f"{self.owner}/{self.slug}"

    @property
    def page_url(self) -> str:
        """Where it is on Kaggle itself."""
        return f"https://www.kaggle.com/datasets/{self.text}"

    @classmethod
    def find(cls, text: str) -> Self | None:
        """What somebody has pasted: ``owner/slug`` or the address of a dataset's page; None for anything else."""
        found = _ADDRESS.fullmatch(text)
        return cls(owner=found["owner"], slug=found["slug"]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """One file of one version of a dataset: ``owner/slug@3:folder/table.csv``; without a version, of the newest."""

    dataset: DatasetRef
    name: str
    version: int | None = None

    @property
    def text(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{self.dataset.text}{version}:{self.name}"

    @property
    def base_name(self) -> str:
        """The name without its folders."""
        return self.name.rsplit("/", 1)[-1]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From :attr:`text`. Raises ValueError."""
        found = _REF.fullmatch(text)
        if found is None:
            raise ValueError("Not a reference to a file on Kaggle.")
        version = int(found["version"]) if found["version"] else None
        return cls(
            dataset=DatasetRef(owner=found["owner"], slug=found["slug"]), name=found["file"], version=version
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of a search."""

    ref: DatasetRef
    title: str
    size: int | None
    updated_at: datetime | None
    license_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KaggleDataset:
    """A dataset's facts. ``version`` is its newest, which a download is tied to."""

    ref: DatasetRef
    title: str
    subtitle: str
    license_name: str
    size: int | None
    updated_at: datetime | None
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KaggleFile:
    """A file of a dataset. ``size`` in bytes as Kaggle lists it: a transfer may be packed, and so smaller."""

    name: str
    size: int | None
    created_at: datetime | None

    @property
    def is_nameable(self) -> bool:
        """Whether a reference to it can be stored."""
        return len(self.name) <= _LONGEST_FILE_NAME and self.name.isprintable() and bool(clean_name(self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """A page of something, and the token of the next one."""

    items: tuple[T, ...]
    next_token: str | None
