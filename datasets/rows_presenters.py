"""What the templates of the rows browser show."""

from urllib.parse import urlencode

from django.urls import reverse

from datasets import previews, rows
from datasets.activities import Activity
from datasets.presenters import SHOWN_COLUMNS
from datasets.records import Dataset
from datasets.rows import PAGE_ROWS
from datasets.rows_forms import RowsForm


def page_context(dataset: Dataset, form: RowsForm) -> dict[str, object]:
    """The rows and columns that were asked for, and the ways to others."""
    form.is_valid()
    row, column = form.first_row, form.first_column
    page = rows.page_of(dataset=dataset, first=row)
    preview = previews.first_rows(dataset=dataset)
    window = slice(column - 1, column - 1 + SHOWN_COLUMNS)
    heads = tuple(zip(preview.columns, preview.types, strict=True))[window]
    shown = None if page.rows is None else tuple((row + i, values[window]) for i, values in enumerate(page.rows))
    last = row + len(shown) - 1 if shown else row
    return {
        "dataset": dataset,
        "form": form,
        "heads": heads,
        "rows": shown,
        "first": row,
        "last": last,
        "last_column": column + len(heads) - 1,
        "first_column": column,
        "ways": _ways(dataset, row=row, last=last, column=column),
        "status_url": _url("datasets:rows_index", dataset, row=row, column=column, wait=shown is None),
    } | work_context(dataset, page.work)


def work_context(dataset: Dataset, work: Activity | None) -> dict[str, object]:
    """The work on the index, as far as a page has to say something about it."""
    running = work is not None and not work.status.is_over
    stopped = work is not None and work.status.is_over and work.status != work.status.SUCCEEDED
    return {"dataset": dataset, "work": work, "is_running": running, "is_stopped": stopped}


def _ways(dataset: Dataset, *, row: int, last: int, column: int) -> dict[str, str]:
    """Addresses of the neighbouring pages; those that are not there are left out."""
    ends = max(dataset.row_count - PAGE_ROWS + 1, 1)
    wanted = {
        "first": (1, column, row > 1),
        "previous": (max(row - PAGE_ROWS, 1), column, row > 1),
        "next": (row + PAGE_ROWS, column, row + PAGE_ROWS <= dataset.row_count),
        "last": (ends, column, last < dataset.row_count),
        "left": (row, column - SHOWN_COLUMNS, column > SHOWN_COLUMNS),
        "right": (row, column + SHOWN_COLUMNS, column + SHOWN_COLUMNS <= dataset.column_count),
    }
    return {
        name: _url("datasets:rows", dataset, row=to_row, column=to_column)
        for name, (to_row, to_column, is_there) in wanted.items()
        if is_there
    }


def _url(view: str, dataset: Dataset, *, row: int, column: int, wait: bool = False) -> str:
    query = {"row": row} | ({"columns": column} if column > 1 else {}) | ({"wait": 1} if wait else {})
    return f"{reverse(view, args=[dataset.id])}?{urlencode(query)}"
