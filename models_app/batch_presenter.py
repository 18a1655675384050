"""What was found in a predicted file, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models_app.batch_records import Batch
from models_app.presenters import metric_label

KINDS: Final[Mapping[str, str]] = {
    "missing": "had no value where the model needs one; its usual value was used, or it counted as missing",
    "wrong_type": "had a value of another type; its usual value was used, or it counted as missing",
    "unseen_category": "had a value that was never seen during training",
    "out_of_range": "had a value outside what was seen during training",
    "rounded": "had a fraction where only whole numbers were seen; it was rounded",
    "unknown": "is not used by the model",
}
DRIFTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "strong": ("Strong drift", "red", "At least one column is very different from what the model was trained on."),
    "some": ("Some drift", "yellow", "At least one column has shifted since the training."),
    "none": ("No drift", "green", "The columns look like those the model was trained on."),
    "unknown": ("Too few rows", "secondary", "There are too few rows to tell whether the columns have shifted."),
}
_COLUMN_DRIFTS: Final[Mapping[str, str]] = {
    "strong": "very different",
    "some": "shifted",
    "none": "as in training",
    "unknown": "too few rows to tell",
}
_SHOWN_COLUMNS: Final = 50


@dataclass(frozen=True, slots=True)
class CountLine:
    column: str
    rows: int
    sentence: str


@dataclass(frozen=True, slots=True)
class DriftLine:
    """Shares in per cent, of the training and of the file."""

    column: str
    level: str
    colour: str
    words: str
    psi: float | None
    missing_then: float
    missing_now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreView:
    metric: str
    score: float | None
    interval: tuple[float, float] | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """``rows``: the first lines of the result, what the model says before what the file says. ``is_seen``: it is
    the file that the model was trained on."""

    counts: tuple[CountLine, ...]
    table_findings: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    drift: tuple[str, str, str] | None
    drift_lines: tuple[DriftLine, ...]
    more_columns: int
    score: ScoreView | None
    level: int | None
    is_seen: bool
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def drift_of(batch: Batch) -> tuple[str, str, str] | None:
    """Label, colour and sentence; None where nothing is known."""
    return DRIFTS.get(batch.drift)


def present(batch: Batch, summary: Mapping[str, Any], table: Sequence[Sequence[str]]) -> ResultView:
    """A batch that is done."""
    drift = summary["drift"]
    lines = () if drift is None else tuple(map(_drift_line, drift["columns"]))
    level = summary["level"]
    return ResultView(
        counts=tuple(
            CountLine(each["column"], each["rows"], KINDS.get(each["kind"], "was odd"))
            for each in summary["counts"]
        ),
        table_findings=tuple(each["message"] for each in summary["table_findings"]),
        renamed=tuple(summary["renamed"].items()),
        drift=None if drift is None else DRIFTS[drift["level"]],
        drift_lines=lines[:_SHOWN_COLUMNS],
        more_columns=max(0, len(lines) - _SHOWN_COLUMNS),
        score=None if summary["score"] is None else _score(summary["score"]),
        level=None if level is None else round(100 * level),
        is_seen=bool(summary.get("is_seen")),
        header=_answers_first(table[0], batch) if table else (),
        rows=[_answers_first(row, batch) for row in table[1:]],
    )


def _answers_first(row: Sequence[str], batch: Batch) -> Sequence[str]:
    return [*row[batch.columns :], *row[: batch.columns]]


def _drift_line(column: Mapping[str, Any]) -> DriftLine:
    level = column["level"]
    return DriftLine(
        column=column["column"],
        level=level,
        colour=DRIFTS[level][1],
        words=_COLUMN_DRIFTS[level],
        psi=column["psi"],
        missing_then=100 * column["missing_then"],
        missing_now=100 * column["missing_now"],
    )


def _score(score: Mapping[str, Any]) -> ScoreView:
    known, used, other = score["known_rows"], score["rows"], score["other_rows"]
    sentence = f"Measured on the {known:,} rows of the file that hold the true answer"
    if used < known:
        sentence = f"Measured on {used:,} rows, drawn at random from the {known:,} that hold the true answer"
    if other:
        sentence += f"; {other:,} more hold something else than an answer the model knows"
    bounds = score["interval"]
    sentence += ". Rows that were in the training too make it better than it is"
    return ScoreView(
        metric=metric_label(score["metric"]),
        score=score["score"],
        interval=None if bounds is None else (bounds[0], bounds[1]),
        sentence=f"{sentence}.",
    )
