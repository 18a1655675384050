"""What the pages between upload and import show, computed where it can be typed."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from datasets import presenters, staging
from datasets.activity_records import Activity, ActivityStatus
from datasets.dialect_form import SEEN, DialectForm
from datasets.records import Dataset
from datasets.staging import Look
from ml.tables import BadRow
from smartml.errors import InvalidInput, InvalidTable

SHOWN_BAD_ROWS = 10
_SHOWN_TEXT = 200
# The choices that most files need, and those that few do.
_USUAL = ("delimiter", "has_header", "encoding")


def dialect_form(dataset: Dataset, data: Mapping[str, str]) -> DialectForm:
    """The choices in ``data``, with what they leave open of this file; judged already (see ``errors``).

    Other records have other values: when the choices were made with other records in sight, those about numbers and
    dates are made anew.

    :raises InvalidTable: nothing at all can be read this way.
    """
    detected = staging.detected_dialect(dataset)
    of_records = {name: value for name, value in data.items() if name not in staging.FORMATS}
    form = DialectForm(of_records, detected=detected)
    if form.is_valid():
        found = staging.values_found(dataset=dataset, dialect=form.dialect)
        are_new = data.get(SEEN, form.signature) != form.signature
        form = DialectForm(
            of_records if are_new else data,
            detected=replace(detected, **asdict(found.formats)),
            ambiguities={each.field: each.sentence for each in found.ambiguities},
        )
        form.is_valid()
    return form


def table_context(
    dataset: Dataset,
    data: Mapping[str, str],
    *,
    work: Activity | None = None,
    refusal: InvalidInput | None = None,
    importing: bool = False,
) -> dict[str, object]:
    """The choices, the first rows as they read them, and what stands in the way of an import.

    A reading in the background that has failed is shown with the choices it was made with.
    """
    failed = work if work is not None and work.status is ActivityStatus.FAILED else None
    if failed is not None and not data:
        data = DialectForm({}, detected=staging.dialect_in(failed)).as_sent
    seen: Look | None = None
    try:
        form = dialect_form(dataset, data)
        if not form.errors:
            seen = staging.look(dataset=dataset, dialect=form.dialect)
    except InvalidTable as error:
        refusal = refusal or error
        form = DialectForm(data, detected=staging.detected_dialect(dataset))
        form.is_valid()
    if importing and seen is not None:
        form.demand_answers()
    context: dict[str, object] = {
        "dataset": dataset,
        "form": form,
        "usual": [form[name] for name in _shown_first(form)],
        "further": [form[name] for name in form.fields if name not in _shown_first(form)],
        "further_open": _is_special(form),
        "refusal": refusal,
        "failure": failed.error if failed is not None else None,
        "same": staging.same_content(dataset=dataset),
    }
    return context | (_rows_context(dataset, seen) if seen is not None else {})


def _shown_first(form: DialectForm) -> tuple[str, ...]:
    return (*_USUAL, *(name for name in form.asked if name not in _USUAL))


def _is_special(form: DialectForm) -> bool:
    """Whether one of the choices that are folded away is wrong, or differs from what nearly every file has."""
    return any(
        name not in _shown_first(form) and (name in form.errors or form.is_rare(name)) for name in form.fields
    )


def _rows_context(dataset: Dataset, seen: Look) -> dict[str, object]:
    return {
        **presenters.rows_context(seen.preview),
        "column_count": len(seen.preview.columns),
        "receipt": seen.receipt,
        "fault": seen.fault,
        "bad_rows": [_shown_bad_row(row) for row in seen.preview.bad[:SHOWN_BAD_ROWS]],
        "bad_count": len(seen.preview.bad),
        "summary": _summary(dataset, seen),
    }


def _shown_bad_row(row: BadRow) -> dict[str, object]:
    return {"line": row.line, "sentence": row.sentence, "text": row.text[:_SHOWN_TEXT]}


def _summary(dataset: Dataset, seen: Look) -> str:
    """One line about the whole file, or about its beginning when the file has not been read this way yet."""
    columns = len(seen.preview.columns)
    wide = f"{columns:,} column{'s' * (columns != 1)}"
    if seen.receipt is None:
        return f"{wide}. The rows are counted when you import it."
    rows = f"{dataset.row_count:,} row{'s' * (dataset.row_count != 1)} of {wide}"
    if not dataset.bad_row_count:
        return f"{rows}; every record fits."
    bad = dataset.bad_row_count
    records = f"{bad:,} record{'s' * (bad != 1)}"
    if seen.fault is not None:
        return f"{rows}; {records} do{'es' * (bad == 1)} not fit."
    return f"{rows}; {records} would go into quarantine."


def imported_sentence(dataset: Dataset) -> str:
    """What is said on the page of a dataset that has just been imported."""
    rows = f"{dataset.row_count:,} row{'s' * (dataset.row_count != 1)}"
    if not dataset.bad_row_count:
        return f"Imported: {rows}."
    return f"Imported: {rows}, and {dataset.bad_row_count:,} in quarantine."
