"""A leak autopsy in words that a person can act on. Plain data only."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from ml.autopsy import Autopsy, Side
from models_app.presenters import metric_label
from models_app.records import Model, ModelVersion
from models_app.templatetags.scores import score

_NAMED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SideView:
    """One line of the table. ``again`` is the query of a training without these columns, "" where none can be."""

    name: str
    alone: str
    score: float | None
    worse: float | None
    interval: tuple[float, float] | None
    sentence: str
    leans: bool
    again: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopsyView:
    """``headline`` says what came of it, ``notes`` how it was made."""

    metric: str
    headline: str
    notes: tuple[str, ...]
    sides: tuple[SideView, ...]
    whole: float | None
    guess: float | None


def view_of(found: Autopsy, *, model: Model, version: ModelVersion) -> AutopsyView:
    """The autopsy of one version as its page shows it."""
    return AutopsyView(
        metric=metric_label(found["metric"]),
        headline=_headline(found, version),
        notes=_notes(found) if found["sides"] else (),
        sides=tuple(_view(found, side, model, version) for side in found["sides"]),
        whole=found["score"],
        guess=found["guess"],
    )


def leans(side: Side) -> bool:
    """Whether the model is worse without these columns, beyond the luck of the rows held out."""
    return side["low"] is not None and side["low"] > 0


def _headline(found: Autopsy, version: ModelVersion) -> str:
    suspects = [each["column"] for each in found["suspects"]]
    if not suspects:
        return (
            f"No column that this version was trained on says more about `{version.target}` alone than seems fair. "
            "There is nothing to take apart."
        )
    if any(map(leans, found["sides"])):
        return (
            "The model leans on what may give the answer away. A column that is only known once "
            f"`{version.target}` is known makes the score look better than it will be: leave it out."
        )
    return f"The model does as well without {_listed(suspects)}, as far as {found['rows']:,} rows can tell."


def _notes(found: Autopsy) -> tuple[str, ...]:
    notes = [
        f"Each line is a model fitted anew for at most {found['seconds']} seconds with the settings of this "
        f"version, judged by the same {found['rows']:,} rows held out; so is the one with every column. The scores "
        "can therefore differ from those above. The interval is that of the difference, with 95 % confidence."
    ]
    if found["unopened"]:
        notes.append(f"Left out only together with the others: {_listed(found['unopened'])}.")
    return tuple(notes)


def _listed(columns: list[str]) -> str:
    shown = ", ".join(f"`{column}`" for column in columns[:_NAMED])
    return f"{shown} and {len(columns) - _NAMED:,} more" if len(columns) > _NAMED else shown


def _view(found: Autopsy, side: Side, model: Model, version: ModelVersion) -> SideView:
    columns = side["columns"]
    alone = {each["column"]: each for each in found["suspects"]}
    single = alone[columns[0]] if len(columns) == 1 else None
    low, high = side["low"], side["high"]
    return SideView(
        name=f"`{columns[0]}`" if single else _together(columns),
        alone=f"{found['alone_metric']} {single['alone']:.2f} (a guess {single['chance']:.2f})" if single else "",
        score=side["score"],
        worse=side["worse"],
        interval=None if low is None or high is None else (low, high),
        sentence=_sentence(found, side),
        leans=leans(side),
        again=""
        if side["failed"]
        else urlencode(
            [("model", model.id), ("version", version.version), *(("leave_out", column) for column in columns)]
        ),
    )


def _sentence(found: Autopsy, side: Side) -> str:
    several = len(side["columns"]) > 1
    without = "Without " + (_together(side["columns"]) if several else f"`{side['columns'][0]}`")
    if side["failed"]:
        return f"{without} nothing could be fitted: {side['failed']}"
    without += f" the {_in_a_sentence(metric_label(found['metric']))}"
    scores = f"from {score(found['score'])} to {score(side['score'])}"
    if leans(side):
        moves = "rises" if found["lower_is_better"] else "falls"
        them, asked = ("them", "Are they") if several else ("it", "Is it")
        return f"{without} {moves} {scores}: the model leans on {them}. {asked} known before the answer is?"
    if side["high"] is not None and side["high"] < 0:
        return f"{without} gets better, {scores}: the model is better off without."
    if not side["worse"]:
        return f"{without} stays at {score(side['score'])}."
    return f"{without} goes {scores}: no difference that the {found['rows']:,} rows held out could show."


def _together(columns: list[str]) -> str:
    return "both of them" if len(columns) == 2 else f"all {len(columns)} of them"


def _in_a_sentence(label: str) -> str:
    """Accuracy, but RMSE."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label
