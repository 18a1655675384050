"""The numbers behind a figure, as a file."""

import csv
import io
from collections.abc import Iterable

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from models_app.figures import FigureView


def csv_of(view: FigureView | None, *, name: str) -> HttpResponse | None:
    """All rows of a figure as a download called ``name``; None where there is no such figure."""
    if view is None:
        return None
    return csv_file(view.heads, view.rows, name=name)


def csv_file(heads: Iterable[object], rows: Iterable[Iterable[object]], *, name: str) -> HttpResponse:
    """A table as a download called ``name``."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(heads)
    writer.writerows(rows)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response
