"""Answers worth a look, in neutral words. Plain data only."""

from dataclasses import dataclass
from typing import Final

from ml.doubts import FAR, FEWEST_OF_CLASS, Doubt, Doubts
from ml.options import FAMILIES
from models_app.records import ModelVersion
from models_app.setup_presenter import FAMILY_LABELS
from models_app.templatetags.scores import score

SHOWN: Final = 50
HEADS: Final = (
    "row",
    "part",
    "given",
    "expected",
    "probability of given",
    "probability of expected",
    "reaches away",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtView:
    """One row. ``why``: how unexpected its answer is."""

    row: int
    part: str
    given: str
    expected: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtsView:
    """``headline`` says what was found, ``notes`` how; ``hidden`` rows are only in the file."""

    headline: str
    notes: tuple[str, ...]
    doubts: tuple[DoubtView, ...]
    hidden: int


def view_of(found: Doubts, version: ModelVersion) -> DoubtsView:
    """What was found, as the page shows it."""
    shown = found["doubts"][:SHOWN]
    return DoubtsView(
        headline=_headline(found, version),
        notes=_notes(found),
        doubts=tuple(_view(doubt) for doubt in shown),
        hidden=len(found["doubts"]) - len(shown),
    )


def csv_rows(found: Doubts) -> list[tuple[object, ...]]:
    """A line for each row that was listed, as HEADS names them."""
    return [
        (
            doubt["row"],
            _part(doubt),
            doubt["given"],
            doubt["expected"],
            doubt["given_share"],
            doubt["expected_share"],
            doubt["reaches"],
        )
        for doubt in found["doubts"]
    ]


def _headline(found: Doubts, version: ModelVersion) -> str:
    looked = f"{found['train_rows'] + found['holdout_rows']:,} rows"
    if not found["found"]:
        return f"Of {looked} none has a `{version.target}` that stands out."
    has = "row has" if found["found"] == 1 else "rows have"
    if found["is_number"]:
        return (
            f"Of {looked}, {found['found']:,} {has} a `{version.target}` far from what was expected: more than "
            f"{FAR:g} times the distance that nine of ten rows stay within. Worth a look; rare cases look like "
            "this too."
        )
    return (
        f"Of {looked}, {found['found']:,} {has} a `{version.target}` that models which had not seen the row did "
        "not expect. Worth a look; rare but true cases look like this too."
    )


def _notes(found: Doubts) -> tuple[str, ...]:
    rows = f"{found['train_rows']:,}"
    if found["train_rows"] < found["all_train_rows"]:
        rows += f" of the {found['all_train_rows']:,}"
    notes = [
        f"{rows} rows of the training were judged by {found['folds']} models made for this ({_family(found)}, at "
        f"most {found['seconds']} seconds each), each of which had not seen the rows it judged; the stored model "
        f"keeps no such answers. {found['holdout_rows']:,} rows held out were judged by the model itself."
    ]
    if found["is_number"]:
        reaches = [
            f"{score(reach)} {where}"
            for reach, where in (
                (found["train_reach"], "for rows of the training"),
                (found["holdout_reach"], "for rows held out"),
            )
            if reach is not None
        ]
        notes.append(
            f"Nine of ten rows stay within {' and '.join(reaches)}."
            if reaches
            else "There are too few rows to say how far off is usual, so none is listed."
        )
    else:
        notes.append("Picked by confident learning (Northcutt, Jiang and Chuang, 2021), the least expected first.")
    if found["skipped"]:
        rows = "row" if found["skipped"] == 1 else "rows"
        notes.append(
            f"Not looked at: {found['skipped']:,} {rows} of classes with fewer than {FEWEST_OF_CLASS} rows of the "
            "training."
        )
    if found["found"] > len(found["doubts"]):
        notes.append(f"The first {len(found['doubts']):,} are listed and in the file.")
    return tuple(notes)


def _family(found: Doubts) -> str:
    name = next((family.name for family in FAMILIES if found["family"] in family.libraries), "")
    return FAMILY_LABELS.get(name, found["family"]).split(" (")[0]


def _part(doubt: Doubt) -> str:
    return "held out" if doubt["held_out"] else "training"


def _view(doubt: Doubt) -> DoubtView:
    given, expected = doubt["given_share"], doubt["expected_share"]
    if given is None or expected is None:
        why = f"{doubt['reaches']:.1f} times the usual reach"
    else:
        why = f"{100 * expected:.0f} % expected, {100 * given:.0f} % given"
    return DoubtView(row=doubt["row"], part=_part(doubt), given=doubt["given"], expected=doubt["expected"], why=why)
