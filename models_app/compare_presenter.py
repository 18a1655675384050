"""Two versions side by side: what was asked for, what they learned from, how well, how fast. No input or output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ml.column_types import ColumnType
from ml.differences import unpaired
from ml.evaluation import Evaluation, ModelRow
from ml.metrics import lower_is_better
from ml.pairing import Pairing
from ml.prediction import Feature
from ml.readable import plain_number
from ml.resampling import Interval
from models_app.likeness import Side, same_question
from models_app.presenters import metric_label
from models_app.setup_presenter import PROBLEM_LABELS, chosen, held_out

_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fact of both. Values may hold column names between backticks. ``is_chosen``: somebody has, so it is worth
    a mark where the two differ; times of fitting always do."""

    label: str
    left: str
    right: str
    is_chosen: bool = True

    @property
    def is_marked(self) -> bool:
        return self.is_chosen and self.left != self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Right minus left. ``better``: the better one; None where that cannot be told. ``without_interval``: why there
    is no interval."""

    value: float
    interval: Interval | None
    better: Literal["left", "right"] | None = None
    without_interval: str = ""

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.interval is None:
            return self.without_interval
        return "cannot be told apart" if self.better is None else f"{self.better} is better"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """One metric of both, each on its own rows; None where one does not have it. ``decides``: it is the headline
    metric of both."""

    metric: str
    label: str
    left: float | None
    left_interval: Interval | None
    right: float | None
    right_interval: Interval | None
    difference: Difference | None
    decides: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLine:
    """One metric of both on the rows that neither has seen."""

    metric: str
    label: str
    left: float | None
    right: float | None
    difference: Difference | None


def setting_lines(left: Side, right: Side) -> tuple[Line, ...]:
    """What was asked of the two trainings."""
    one, other = (_settings(side) for side in (left, right))
    labels = [*one, *(label for label in other if label not in one)]
    return tuple(Line(label=label, left=one.get(label, "–"), right=other.get(label, "–")) for label in labels)


def _settings(side: Side) -> dict[str, str]:
    version = side.version
    facts = {
        "Target": f"`{version.target}`",
        "Problem": PROBLEM_LABELS[version.problem_type],
        "Effort": f"{version.preset}, limit {version.time_limit} s",
    }
    metric = metric_label(version.metric_name)
    facts |= {fact.label: fact.value for fact in chosen(version.asked, metric=metric)}
    setup = None if side.evaluation is None else side.evaluation.setup
    if setup is not None:
        facts["Held out"] = held_out(setup.holdout)
        facts.pop("Holdout", None)
    if side.evaluation is not None and side.evaluation.stopped_early:
        facts["Ended"] = "early, by its owner"
    return facts


def data_lines(left: Side, right: Side, features: tuple[Sequence[Feature], Sequence[Feature]]) -> tuple[Line, ...]:
    """What they learned from. ``features`` of both."""
    facts = (
        ("Dataset", lambda side, _: side.version.dataset_name),
        ("Rows fitted", lambda side, _: f"{side.version.train_rows:,}"),
        ("Rows held out", lambda side, _: f"{side.version.holdout_rows:,}"),
        ("Features", lambda _, found: f"{len(found):,}"),
    )
    return tuple(
        Line(label=label, left=fact(left, features[0]), right=fact(right, features[1])) for label, fact in facts
    )


def feature_changes(left: Sequence[Feature], right: Sequence[Feature]) -> tuple[str, ...]:
    """What the right one looks at and the left one does not, the other way round, and what was read as another
    type; in sentences."""
    before, after = ({feature.name: feature.type for feature in found} for found in (left, right))
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [
        f"`{name}` ({ColumnType(before[name]).label}, then {ColumnType(after[name]).label})"
        for name in before
        if name in after and before[name] != after[name]
    ]
    said = []
    if added:
        said.append(f"Only the right one looks at {_named([f'`{name}`' for name in added])}.")
    if removed:
        said.append(f"Only the left one looks at {_named([f'`{name}`' for name in removed])}.")
    if changed:
        said.append(f"Read as another type: {_named(changed)}.")
    return tuple(said) or ("Both look at the same columns.",)


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"


def effort_lines(
    left: Side, right: Side, *, milliseconds: Callable[[float | None], str], size: Callable[[int], str]
) -> tuple[Line, ...]:
    """What they cost: to fit, to ask, to keep."""

    def facts(side: Side) -> dict[str, str]:
        row = _own_row(side)
        board = () if side.evaluation is None else side.evaluation.leaderboard
        return {
            "Model": side.version.base_model,
            "Models tried": f"{len(board):,}" if board else "–",
            "Fitted in": f"{side.version.fit_seconds:,.1f} s",
            "One row": milliseconds(None if row is None else row.one_row_seconds),
            "Each of many rows": milliseconds(None if row is None else row.predict_seconds_per_row),
            "File": size(side.version.zip_size),
        }

    one, other = facts(left), facts(right)
    return tuple(Line(label=label, left=one[label], right=other[label], is_chosen=False) for label in one)


def _own_row(side: Side) -> ModelRow | None:
    found = side.evaluation
    return None if found is None else next((r for r in found.leaderboard if r.name == found.best_model), None)


def score_lines(left: Side, right: Side) -> tuple[ScoreLine, ...]:
    """Every metric of either, each on the rows that its own model was judged by; the headline metric first."""
    if left.evaluation is None or right.evaluation is None:
        return ()
    one, other = left.evaluation, right.evaluation
    both = one.cross_validated is not None and other.cross_validated is not None
    sources = [(each.cross_validated if both else None) or each for each in (one, other)]
    comparable = same_question(left.version, right.version) and sorted(one.classes) == sorted(other.classes)
    names = list(dict.fromkeys([one.metric_name, other.metric_name, *one.metrics, *other.metrics]))
    lines = []
    for name in names:
        values = [source.metrics.get(name) for source in sources]
        bounds = [source.intervals.get(name) for source in sources]
        alike = comparable and (name not in _ONE_SIDED or one.positive_class == other.positive_class)
        lines.append(
            ScoreLine(
                metric=name,
                label=metric_label(name),
                left=values[0],
                left_interval=bounds[0],
                right=values[1],
                right_interval=bounds[1],
                difference=_unpaired(name, values, bounds) if alike else None,
                decides=name == one.metric_name == other.metric_name,
            )
        )
    return tuple(lines)


_ONE_SIDED = frozenset({"f1", "roc_auc"})


def _unpaired(metric: str, values: Sequence[float | None], bounds: Sequence[Interval | None]) -> Difference | None:
    left, right = values
    if left is None or right is None:
        return None
    if bounds[0] is None or bounds[1] is None:
        return Difference(value=right - left, interval=None, without_interval="no interval known")
    found = unpaired(left, bounds[0], right, bounds[1])
    return Difference(value=right - left, interval=found, better=_better(metric, found))


def _better(metric: str, bounds: Interval) -> Literal["left", "right"] | None:
    low, high = bounds
    if low <= 0 <= high:
        return None
    return "right" if (high < 0) is lower_is_better(metric) else "left"


def paired_lines(pairing: Pairing) -> tuple[PairedLine, ...]:
    """Every metric on the rows that neither has seen."""
    return tuple(
        PairedLine(
            metric=each["metric"],
            label=metric_label(each["metric"]),
            left=each["left"],
            right=each["right"],
            difference=_paired(each["metric"], each["difference"], each["low"], each["high"]),
        )
        for each in pairing["metrics"]
    )


def _paired(metric: str, value: float | None, low: float | None, high: float | None) -> Difference | None:
    if value is None:
        return None
    if low is None or high is None:
        return Difference(value=value, interval=None, without_interval="the same in every resample")
    return Difference(value=value, interval=(low, high), better=_better(metric, (low, high)))


def paired_sentence(pairing: Pairing, metric: str, left: Side, right: Side) -> str:
    """What the paired comparison comes to, in the metric that decides."""
    rows = f"Asked the same {pairing['rows']:,} rows, which neither had seen in its training"
    found = next((each for each in pairing["metrics"] if each["metric"] == metric), None)
    difference = None if found is None else _paired(metric, found["difference"], found["low"], found["high"])
    apart = _apart(pairing, left.version.problem_type.value == "regression")
    if difference is None:
        return f"{rows}: {apart}"
    label = metric_label(metric)
    if difference.interval is None:
        return f"{rows}, both have the same {label}. {apart}"
    if difference.better is None:
        same = f"the two cannot be told apart by their {label}: the interval of the difference holds zero"
        return f"{rows}, {same}. {apart}"
    better = right if difference.better == "right" else left
    return (
        f"{rows}, {better.name} has the better {label}: the interval of the difference does not hold zero. {apart}"
    )


def _apart(pairing: Pairing, is_number: bool) -> str:
    apart = pairing["apart"]
    if apart is None:
        return ""
    if is_number:
        return f"Their answers lie {plain_number(apart)} apart on average."
    return f"They answer {apart:.1%} of these rows differently." if apart else "They answer all of them alike."


def best_of(evaluation: Evaluation | None) -> ModelRow | None:
    """The first of the leaderboard: the best by validation."""
    return None if evaluation is None or not evaluation.leaderboard else evaluation.leaderboard[0]
