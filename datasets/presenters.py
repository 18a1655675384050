"""What the dataset templates show, computed where it can be typed."""

from datasets import receipts, services
from datasets.forms import TargetForm
from datasets.records import Dataset
from ml.tables import Dialect, Preview
from smartml.errors import BlobMissing, InvalidInput, ServiceUnavailable

# A table of thousands of columns would be megabytes of HTML; the list of all columns names every one.
SHOWN_COLUMNS = 60
_SIGNS = {
    ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon", " ": "space", '"': "double quotes",
    "'": "single quotes", "\\": "backslash", ".": "point", "": "none",
}  # fmt: skip
_DATES = {"": "ISO 8601 only", "dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}


def delimiter_name(dataset: Dataset) -> str:
    """The delimiter as a word."""
    return _delimiter(Dialect.from_dict(dataset.dialect)) if dataset.dialect else _word("")


def _delimiter(dialect: Dialect) -> str:
    return "spaces, one or more" if dialect.layout.has_runs else _word(dialect.delimiter)


def _word(sign: object) -> str:
    return _SIGNS.get(str(sign), str(sign))


def receipt_context(dataset: Dataset) -> dict[str, object]:
    """The receipt of a dataset; of one stored before receipts were kept, what its metadata says."""
    dialect = Dialect.from_dict(dataset.dialect or {})
    receipt = receipts.receipt_of(dataset=dataset)
    facts = [("Encoding", dialect.encoding), ("Delimiter", _delimiter(dialect))]
    facts.append(("Quotes", _word(dialect.quotechar)))
    facts.append(("Header row", "yes" if dialect.has_header else "no"))
    rare = {
        "Lines above the table": str(dialect.skip_lines or ""),
        "Spaces before values": "left out" if dialect.skip_blanks and not dialect.layout.has_runs else "",
        "Escape sign": dialect.escapechar and _word(dialect.escapechar),
        "Comment sign": dialect.comment,
        "Decimal sign": "" if dialect.decimal == "." else _word(dialect.decimal),
        "Thousands": dialect.thousands and _word(dialect.thousands),
        "Dates": dialect.date_order and _DATES.get(dialect.date_order, dialect.date_order),
        "Blank lines": f"{receipt.blank_lines:,}" if receipt and receipt.blank_lines else "",
        "Comment lines": f"{receipt.comment_lines:,}" if receipt and receipt.comment_lines else "",
    }
    facts += [(label, value) for label, value in rare.items() if value]
    facts.append(("Rows read", f"{dataset.row_count:,}"))
    facts.append(("In quarantine", f"{dataset.bad_row_count:,}"))
    context: dict[str, object] = {"facts": facts}
    if receipt is None:
        return context
    return context | {
        "sum": f"{receipt.rows:,} read + {receipt.quarantined:,} in quarantine = {receipt.records:,} in the file.",
        "quarantined": receipt.quarantined if receipt.quarantine else 0,
        "first": receipt.first,
        "more": receipt.quarantined > len(receipt.first),
        "reasons": _reasons(receipt.reasons),
    }


def _reasons(reasons: dict[str, int]) -> str:
    """How often each fault occurs, in one sentence; empty when there is none."""
    parts = [f"{reason.replace('_', ' ')}: {count:,}" for reason, count in reasons.items()]
    return f"{'; '.join(parts).capitalize()}." if parts else ""


def detail_context(dataset: Dataset) -> dict[str, object]:
    """Everything the detail page shows at once, with ``failure`` in the place of the rows that cannot be read."""
    context: dict[str, object] = {"dataset": dataset, "delimiter": delimiter_name(dataset)}
    try:
        preview = services.first_rows(dataset=dataset)
        context["ingest"] = receipt_context(dataset)
    except (BlobMissing, ServiceUnavailable, InvalidInput) as error:
        # The facts, and above all the delete button, must stay within reach.
        return context | {"failure": error}
    context |= rows_context(preview)
    context["target_form"] = target_form(dataset, preview)
    return context


def rows_context(preview: Preview) -> dict[str, object]:
    """The first rows, cut to the columns that fit a page."""
    return {
        "heads": tuple(zip(preview.columns, preview.types, strict=True))[:SHOWN_COLUMNS],
        "rows": tuple(row[:SHOWN_COLUMNS] for row in preview.rows),
        "hidden_columns": max(len(preview.columns) - SHOWN_COLUMNS, 0),
    }


def target_form(dataset: Dataset, preview: Preview) -> TargetForm:
    """The choice of the target, set to the stored one."""
    return TargetForm(columns=preview.columns, initial={"target_column": dataset.target_column or ""})
