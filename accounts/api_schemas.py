"""What every address of the API has in common: the answer to a failure, ids, pages of a list."""

from typing import Annotated, Any, Final

from ninja import Header, Path, Schema
from pydantic import ConfigDict, Field

OID: Final = "^[0-9a-f]{24}$"
SAMPLE_ID: Final = "6567c1d2a9b8f00123456789"

DatasetId = Annotated[str, Path(pattern=OID, description="The id of a dataset.")]
TrainingId = Annotated[str, Path(pattern=OID, description="The id of a training.")]
ModelId = Annotated[str, Path(pattern=OID, description="The id of a model.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Any text of your choice, a UUID for example. The same request sent again with the same key "
        "within 24 hours makes nothing twice.",
    ),
]


class ErrorDetail(Schema):
    """What is wrong, and what to do next."""

    code: str = Field(description="For programs; it stays the same when the sentences change.")
    message: str = Field(description="One sentence for people.")
    hint: str = Field(description="The next step; may be empty.")
    fields: dict[str, str] = Field(
        description="Sentences by field, where the fault belongs to one: a parameter by its name, a part of the "
        "body by its path. Rows are counted from 0: `rows.1.sex` is `sex` in the second row, `rows.*.sex` in every "
        "row."
    )


class ErrorAnswer(Schema):
    """The answer to every request that failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "not_found",
                        "message": "There is no such dataset.",
                        "hint": "Go back to the list and choose from there.",
                        "fields": {},
                    }
                }
            ]
        }
    )
    error: ErrorDetail


class Receipt(Schema):
    """What was deleted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": SAMPLE_ID, "blobs": 4, "remaining": 0}]})
    id: str
    blobs: int = Field(description="How many blobs were removed.")
    remaining: int = Field(description="How many are still there: 0 is the proof.")


def failures(*more: int) -> dict[Any, Any]:
    """The failures an operation may answer with, beside those that every one may."""
    return {tuple(sorted({400, 401, 403, 429, 503, *more})): ErrorAnswer}
