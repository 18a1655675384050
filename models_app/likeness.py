"""How far two versions can be compared: what their scores are of, in sentences. Scores of different metrics, or of
different rows, are never set against each other without one of these beside them."""

from dataclasses import dataclass

from ml.evaluation import Evaluation
from ml.resampling import Interval
from models_app.presenters import metric_label
from models_app.records import Model, ModelVersion
from models_app.setup_presenter import PROBLEM_LABELS, held_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two versions; ``evaluation`` is None where its blob is lost."""

    model: Model
    version: ModelVersion
    evaluation: Evaluation | None

    @property
    def name(self) -> str:
        return f"{self.model.name} v{self.version.version}"

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of its headline score."""
        found = self.evaluation
        return None if found is None else (found.cross_validated or found).intervals.get(found.metric_name)

    @property
    def is_cross_validated(self) -> bool:
        return self.evaluation is not None and self.evaluation.cross_validated is not None


def same_question(left: ModelVersion, right: ModelVersion) -> bool:
    """Whether both predict the same column as the same kind of answer."""
    return (left.target, left.problem_type) == (right.target, right.problem_type)


def same_draw(left: Side, right: Side) -> bool:
    """Whether, as far as is recorded, the same rows of the same dataset were held out for both."""
    one, other = (None if side.evaluation is None else side.evaluation.setup for side in (left, right))
    return (
        left.version.dataset_id == right.version.dataset_id
        and left.version.holdout_rows == right.version.holdout_rows
        and one is not None
        and other is not None
        and (one.holdout, one.leave_out) == (other.holdout, other.leave_out)
    )


def cautions(left: Side, right: Side) -> tuple[str, ...]:
    """What keeps the two headline scores from being alike; empty where nothing does."""
    one, other = left.version, right.version
    if one.target != other.target:
        return (
            f"They predict different columns, `{one.target}` and `{other.target}`: their scores cannot be "
            "compared.",
        )
    if one.problem_type is not other.problem_type:
        kinds = " and as ".join(PROBLEM_LABELS[each.problem_type].lower() for each in (one, other))
        return (f"They answer `{one.target}` as {kinds}: their scores cannot be compared.",)
    found = []
    if one.metric_name != other.metric_name:
        names = " and ".join(metric_label(each.metric_name) for each in (one, other))
        found.append(f"The two scores are of different metrics, {names}: neither is better for being larger.")
    if one.dataset_id != other.dataset_id:
        found.append(
            f"They were judged by rows of different datasets, “{one.dataset_name}” and “{other.dataset_name}”: a "
            "difference can come from the rows alone."
        )
    elif not same_draw(left, right):
        draws = _draws(left, right)
        found.append(f"Different rows were held out for the two scores, so luck is part of the difference{draws}.")
    if left.is_cross_validated is not right.is_cross_validated:
        found.append("One score is cross-validated over all rows, the other is of the rows held out alone.")
    return tuple(found)


def _draws(left: Side, right: Side) -> str:
    setups = [side.evaluation.setup for side in (left, right) if side.evaluation is not None]
    said = [held_out(setup.holdout) for setup in setups if setup is not None]
    return f": {said[0]}, and {said[1]}" if len(said) == 2 and said[0] != said[1] else ""
