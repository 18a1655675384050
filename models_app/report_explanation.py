"""What the model looks at, put into a report that was written before it was known."""

from typing import Final

from django.template.loader import render_to_string

from models_app.explanation_figures import ExplanationView

# Around the part of the report, see `models_app/_report_explanation.html`. Nothing of a table can look like them:
# its "<" is written as an entity.
_BEGIN: Final = b"<!-- explanation begins -->"
_END: Final = b"<!-- explanation ends -->"


def with_explanation(report: bytes, view: ExplanationView) -> bytes | None:
    """The same report with what has been found; None for one from before there was a place for it."""
    head, begin, rest = report.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        return None
    part = render_to_string("models_app/_report_explanation.html", {"explanation": view}).encode()
    return head + part.strip() + tail
