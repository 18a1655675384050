"""What the dataset templates show, computed where it can be typed."""

from datasets import previews, services
from datasets.forms import TargetForm
from datasets.records import Dataset
from ml.tables import Preview
from smartml.errors import BlobMissing, InvalidInput, ServiceUnavailable

# A table of thousands of columns would be megabytes of HTML; the list of all columns names every one.
SHOWN_COLUMNS = 60
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon", " ": "space"}


def delimiter_name(dataset: Dataset) -> str:
    """The delimiter as a word."""
    character = str((dataset.dialect or {}).get("delimiter", ""))
    return _DELIMITERS.get(character, character)


def detail_context(dataset: Dataset) -> dict[str, object]:
    """Everything the detail page shows at once, with ``failure`` in the place of the rows that cannot be read."""
    context: dict[str, object] = {"dataset": dataset, "delimiter": delimiter_name(dataset)}
    try:
        preview = services.first_rows(dataset=dataset)
    except (BlobMissing, ServiceUnavailable, InvalidInput) as error:
        # The facts, and above all the delete button, must stay within reach.
        return context | {"failure": error}
    context |= rows_context(preview)
    context["target_form"] = target_form(dataset, preview)
    known = previews.known_schema(dataset=dataset)
    if known is not None:
        context |= schema_context(dataset)
    return context


def rows_context(preview: Preview) -> dict[str, object]:
    """The first rows, cut to the columns that fit a page."""
    return {
        "heads": tuple(zip(preview.columns, preview.types, strict=True))[:SHOWN_COLUMNS],
        "rows": tuple(row[:SHOWN_COLUMNS] for row in preview.rows),
        "hidden_columns": max(len(preview.columns) - SHOWN_COLUMNS, 0),
    }


def schema_context(dataset: Dataset) -> dict[str, object]:
    """Every column, and the lines that are left out; reads the whole file unless that is cached."""
    return {
        "dataset": dataset,
        "schema": services.schema_of(dataset=dataset),
        "left_out": _left_out(dataset.bad_row_count, previews.bad_lines(dataset=dataset)),
    }


def _left_out(count: int, lines: tuple[int, ...]) -> str:
    """The sentence about rows that do not fit; empty when all do."""
    if not count:
        return ""
    where = f"line{'s' * (len(lines) != 1)} {', '.join(map(str, lines))}"
    more = " and others" if count > len(lines) else ""
    rows = "1 row does not fit the header and is" if count == 1 else f"{count:,} rows do not fit the header and are"
    return f"{rows} left out everywhere: {where}{more}."


def target_form(dataset: Dataset, preview: Preview) -> TargetForm:
    """The choice of the target, set to the stored one."""
    return TargetForm(columns=preview.columns, initial={"target_column": dataset.target_column or ""})
