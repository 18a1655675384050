"""Datasets as the API says them. The names of stored facts are those of the metadata."""

from datetime import datetime
from typing import Any, Final

from ninja import Schema
from pydantic import ConfigDict, Field

from accounts.api_schemas import SAMPLE_ID
from datasets import services
from datasets.receipts import Receipt
from datasets.records import Dataset, DatasetSort, DatasetStatus, Source
from ml.column_types import ColumnType
from storage.paging import MAX_PAGE

_TYPES: Final = "One of " + ", ".join(
    kind if kind == kind.label else f"{kind} ({kind.label})" for kind in ColumnType
)
_EXAMPLE: Final[dict[str, Any]] = {
    "id": SAMPLE_ID,
    "user_id": "6567c1d2a9b8f00123456780",
    "name": "Houses",
    "file_name": "houses.csv",
    "row_count": 2930,
    "bad_row_count": 0,
    "column_count": 3,
    "file_size": 81234,
    "status": "ready",
    "source": "upload",
    "source_ref": None,
    "target_column": "price",
    "uploaded_at": "2026-11-27T12:00:00Z",
    "azure_dataset_url": "https://account.blob.core.windows.net/datasets/6567…/houses.csv",
    "etag": '"0x8DBF0"',
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "dialect": {"encoding": "utf-8", "delimiter": ","},
}


class DatasetFacts(Schema):
    """What is stored about a dataset; never its rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    id: str
    user_id: str
    name: str
    file_name: str
    row_count: int = Field(description="The rows that fit the header.")
    bad_row_count: int = Field(description="The rows that do not, and are left out of everything.")
    column_count: int
    file_size: int = Field(description="In bytes.")
    status: DatasetStatus
    source: Source
    source_ref: str | None
    target_column: str | None
    uploaded_at: datetime
    azure_dataset_url: str | None
    etag: str | None
    sha256: str | None
    dialect: dict[str, Any] | None = Field(description="How the file is read: encoding, delimiter, quotes …")


class Column(Schema):
    """A column, and the type its values are read as."""

    name: str
    type: str = Field(description=_TYPES)


class DatasetDetail(DatasetFacts):
    """The stored facts, and what is read from the file on demand: its columns and first rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "schema": [{"name": "area", "type": "numeric"}, {"name": "price", "type": "integer"}],
                    "sampleData": [{"area": "61.5", "price": "210000"}],
                }
            ]
        }
    )
    columns: list[Column] = Field(serialization_alias="schema")
    sample_data: list[dict[str, str | None]] = Field(
        serialization_alias="sampleData", description="The first 20 rows as records; null is a missing value."
    )


class DatasetPage(Schema):
    """Some datasets; `next_cursor` asks for the next ones, null when there are none."""

    items: list[DatasetFacts]
    next_cursor: str | None


class ListQuery(Schema):
    """What to list, and from where on."""

    search: str = Field("", max_length=120, description="A part of the name.")
    sort: DatasetSort = Field(DatasetSort.NEWEST, description="A leading - is descending.")
    cursor: str | None = Field(None, max_length=2000, description="The `next_cursor` of the page before.")
    limit: int = Field(20, ge=1, le=MAX_PAGE)


class UploadQuery(Schema):
    """How the file is called."""

    file_name: str = Field(min_length=1, max_length=255, description="With its ending: sales.csv, sales.csv.gz …")
    name: str | None = Field(None, max_length=120, description="What people see; made from the file's name else.")
    table: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="The sheet of a workbook, or the path of a file in a zip, where there are several.",
    )


class LeftOut(Schema):
    """A record that was left out: the line it begins on, and why."""

    line: int
    reason: str = Field(description="For programs.")
    message: str = Field(description="For people.")


class IngestReceipt(Schema):
    """What became of every record of a file; the header, blank lines and comments are none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "records": 2932,
                    "rows": 2930,
                    "quarantined": 2,
                    "blank_lines": 1,
                    "comment_lines": 0,
                    "reasons": {"too_many_fields": 2},
                    "first": [
                        {
                            "line": 118,
                            "reason": "too_many_fields",
                            "message": "4 fields where the header has 3.",
                        }
                    ],
                    "dialect": {"encoding": "utf-8", "delimiter": ","},
                    "open_questions": {},
                }
            ]
        }
    )
    records: int
    rows: int
    quarantined: int
    blank_lines: int
    comment_lines: int
    reasons: dict[str, int] = Field(description="How many records were left out, by reason.")
    first: list[LeftOut] = Field(description="The first of them; `quarantine` has them all.")
    dialect: dict[str, Any]
    open_questions: dict[str, str] = Field(
        description="What the file does not say of its values: a field of the dialect, and a sentence."
    )


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """The fields of :class:`DatasetFacts`."""
    return {name: getattr(dataset, name) for name in DatasetFacts.model_fields}


def detail_of(dataset: Dataset) -> DatasetDetail:
    """A dataset with its columns and first rows."""
    preview = services.first_rows(dataset=dataset)
    chosen = services.types_of(dataset=dataset)
    pairs = zip(preview.columns, preview.types, strict=True)
    return DatasetDetail(
        **facts_of(dataset),
        columns=[Column(name=name, type=str(chosen.get(name, type))) for name, type in pairs],
        sample_data=[dict(zip(preview.columns, row, strict=True)) for row in preview.rows],
    )


def receipt_facts(receipt: Receipt) -> IngestReceipt:
    """A receipt for programs."""
    same = ("records", "rows", "quarantined", "blank_lines", "comment_lines", "reasons", "dialect")
    return IngestReceipt(
        **{name: getattr(receipt, name) for name in same},
        first=[LeftOut(line=row.line, reason=row.reason, message=row.sentence) for row in receipt.first],
        open_questions=receipt.ambiguities,
    )
