"""The API's addresses of a model's versions: seen, made current, deleted, compared."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from ninja import Path, Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from accounts.api_access import MAY_READ, MAY_WRITE, ApiRequest
from accounts.api_schemas import OID, SAMPLE_ID, ModelId, Receipt, failures
from datasets.activities import ActivityStatus
from models_app import comparisons, services, versions
from models_app.api_schemas import LARGEST_VERSION, ModelFacts, VersionFacts, facts_of, version_facts
from models_app.compare_presenter import (
    Difference,
    Line,
    data_lines,
    feature_changes,
    paired_lines,
    score_lines,
    setting_lines,
)
from models_app.likeness import Side, cautions
from models_app.records import Model
from smartml.errors import InvalidInput

router = Router(tags=["Versions"])

VersionNumber = Annotated[int, Path(ge=1, le=LARGEST_VERSION, description="The number of a version.")]


# --- Versions ------------------------------------------------------------------------------------------------
class VersionList(Schema):
    """Every version of a model, newest first. `current` answers wherever none is named; `previous` is the one to
    roll back to. `pinned`: a further training does not become current by itself."""

    current: int
    previous: int | None
    pinned: bool
    current_since: datetime | None = Field(description="Null while it has been current from the beginning.")
    items: list[VersionFacts]


class PromoteRequest(Schema):
    """Which version is to answer."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"version": 2, "instead_of": 1}, {"version": 2}]}
    )
    version: int = Field(ge=1, le=LARGEST_VERSION)
    instead_of: int | None = Field(
        None,
        ge=1,
        le=LARGEST_VERSION,
        description="The one that was current when this was decided: 409 if another has become so meanwhile.",
    )


@router.get(
    "/{oid:model_id}/versions",
    auth=MAY_READ,
    response={200: VersionList, **failures(404)},
    summary="List the versions of a model",
    url_name="versions",
)
def list_versions(request: ApiRequest, model_id: ModelId) -> VersionList:
    """Newest first, with the one that answers and the one before it. Needs the right `read`."""
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    return VersionList(
        current=model.version,
        previous=None if model.previous is None else model.previous.version,
        pinned=model.pinned,
        current_since=model.current_since,
        items=[version_facts(each) for each in reversed(model.versions)],
    )


@router.post(
    "/{oid:model_id}/promote",
    auth=MAY_WRITE,
    response={200: ModelFacts, **failures(404, 409, 413, 415, 422)},
    summary="Make a version current",
    url_name="model_promote",
)
def promote(request: ApiRequest, model_id: ModelId, payload: PromoteRequest) -> ModelFacts:
    """From now on it answers wherever no version is named: on the page, here, and in files. Further trainings do
    not replace it. To roll back is to make the `previous` one current. The same request again changes nothing.
    Needs the right `write`.
    """
    model = services.get_model(user_id=request.auth.user_id, model_id=model_id)
    changed = versions.promote(
        user_id=model.user_id,
        model_id=model.id,
        version=payload.version,
        instead_of=payload.instead_of or model.version,
    )
    return ModelFacts(**facts_of(changed))


@router.delete(
    "/{oid:model_id}/versions/{int:version}",
    auth=MAY_WRITE,
    response={200: Receipt, **failures(404, 409, 422)},
    summary="Delete a version",
    url_name="version",
)
def delete_version(request: ApiRequest, model_id: ModelId, version: VersionNumber) -> Receipt:
    """All that belongs to it, for good; not the current one (409), which goes with its model. Needs the right
    `write`.
    """
    _, removed = versions.delete_version(user_id=request.auth.user_id, model_id=model_id, version=version)
    return Receipt(id=model_id, blobs=removed.count, remaining=removed.remaining)


# --- Two of them ---------------------------------------------------------------------------------------------
class PairQuery(Schema):
    """The left one is a version of the model in the address; the right one is of any model."""

    version: int | None = Field(None, ge=1, le=LARGEST_VERSION, description="Left; the current one else.")
    with_model: str | None = Field(None, pattern=OID, description="Of the right one; the same model else.")
    with_version: int | None = Field(None, ge=1, le=LARGEST_VERSION, description="Right; the current one else.")


class SideFacts(Schema):
    """One of the two."""

    model_id: str
    name: str
    version: int
    dataset_name: str
    target: str


class IntervalFacts(Schema):
    """95 % of the resamples lie between."""

    low: float
    high: float


class DifferenceFacts(Schema):
    """Right minus left. `better` is null where the interval holds zero, or where there is none."""

    value: float
    interval: IntervalFacts | None
    better: Literal["left", "right"] | None
    message: str


class ScoreFacts(Schema):
    """A metric of both, each on the rows it was judged by; `difference` is null where these scores say nothing
    about each other."""

    metric: str
    left: float | None
    left_interval: IntervalFacts | None
    right: float | None
    right_interval: IntervalFacts | None
    difference: DifferenceFacts | None


class PairedFacts(Schema):
    """A metric of both on the same rows, which neither had seen."""

    metric: str
    left: float | None
    right: float | None
    difference: DifferenceFacts | None


class SameRows(Schema):
    """Both asked the same rows. `state`: `none` (POST has it done), `running`, `done`, `failed`, `cancelled`, or
    `impossible` with the reason in `message`. `apart`: the share of rows that are answered differently, or the mean
    distance of two numbers."""

    state: Literal["none", "running", "done", "failed", "cancelled", "impossible"]
    message: str
    progress: float = Field(ge=0, le=1)
    rows: int | None
    apart: float | None
    metrics: list[PairedFacts]


class LineFacts(Schema):
    """A fact of both, for people; column names stand between backticks."""

    label: str
    left: str
    right: str
    differs: bool


_SCORE: Final[dict[str, Any]] = {
    "metric": "accuracy",
    "left": 0.81,
    "left_interval": {"low": 0.75, "high": 0.86},
    "right": 0.83,
    "right_interval": {"low": 0.77, "high": 0.88},
    "difference": {
        "value": 0.02,
        "interval": {"low": -0.06, "high": 0.1},
        "better": None,
        "message": "cannot be told apart",
    },
}


class Comparison(Schema):
    """Two versions side by side. `cautions` are what keeps their scores from being alike."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "left": {
                        "model_id": SAMPLE_ID,
                        "name": "Passengers",
                        "version": 1,
                        "dataset_name": "titanic",
                        "target": "survived",
                    },
                    "right": {
                        "model_id": SAMPLE_ID,
                        "name": "Passengers",
                        "version": 2,
                        "dataset_name": "titanic",
                        "target": "survived",
                    },
                    "cautions": [],
                    "scores": [_SCORE],
                    "settings": [{"label": "Effort", "left": "quick", "right": "balanced", "differs": True}],
                    "data": [{"label": "Rows fitted", "left": "713", "right": "713", "differs": False}],
                    "features": ["Both look at the same columns."],
                    "same_rows": {
                        "state": "none",
                        "message": "",
                        "progress": 0.0,
                        "rows": None,
                        "apart": None,
                        "metrics": [],
                    },
                }
            ]
        }
    )
    left: SideFacts
    right: SideFacts
    cautions: list[str]
    scores: list[ScoreFacts]
    settings: list[LineFacts]
    data: list[LineFacts]
    features: list[str] = Field(description="Which columns only one of the two looks at, in sentences like those.")
    same_rows: SameRows


@router.get(
    "/{oid:model_id}/comparison",
    auth=MAY_READ,
    response={200: Comparison, **failures(404, 422)},
    summary="Compare two versions",
    url_name="comparison",
)
def get_comparison(request: ApiRequest, model_id: ModelId, query: Query[PairQuery]) -> Comparison:
    """Settings, data, and scores with their intervals; and what came of asking both the same rows, if that was
    done. Needs the right `read`.
    """
    return _comparison(*_pair(request, model_id, query))


@router.post(
    "/{oid:model_id}/comparison",
    auth=MAY_WRITE,
    response={202: Comparison, **failures(404, 422)},
    summary="Ask two versions the same rows",
    url_name="comparison",
)
def start_comparison(request: ApiRequest, model_id: ModelId, query: Query[PairQuery]) -> Status[Comparison]:
    """Both are asked the rows that neither has seen, in the background: GET says how far it is. Where that is
    done or on its way nothing is begun. Needs the right `write`.
    """
    left, right = _pair(request, model_id, query)
    comparisons.start(left, right)
    return Status(202, _comparison(left, right))


def _pair(request: ApiRequest, model_id: str, query: PairQuery) -> tuple[Side, Side]:
    def side(which: str, version: int | None) -> Side:
        model: Model = services.get_model(user_id=request.auth.user_id, model_id=which)
        return comparisons.side_of(model, version or model.version)

    left = side(model_id, query.version)
    right = side(query.with_model or model_id, query.with_version)
    if (left.model.id, left.version.version) == (right.model.id, right.version.version):
        message = "These are one and the same version."
        hint = "Say with which one it is compared: `with_version`, `with_model`, or both."
        raise InvalidInput(message, fields={"with_version": message}, hint=hint)
    return left, right


def _comparison(left: Side, right: Side) -> Comparison:
    features = comparisons.features_of(left), comparisons.features_of(right)
    return Comparison(
        left=_side(left),
        right=_side(right),
        cautions=list(cautions(left, right)),
        scores=[
            ScoreFacts(
                metric=line.metric,
                left=line.left,
                left_interval=_interval(line.left_interval),
                right=line.right,
                right_interval=_interval(line.right_interval),
                difference=_difference(line.difference),
            )
            for line in score_lines(left, right)
        ],
        settings=[_line(line) for line in setting_lines(left, right)],
        data=[_line(line) for line in data_lines(left, right, features)],
        features=list(feature_changes(*features)),
        same_rows=_same_rows(left, right),
    )


def _same_rows(left: Side, right: Side) -> SameRows:
    if reason := comparisons.why_not(left, right):
        return _no_rows("impossible", reason)
    pairing = comparisons.current(left, right)
    if pairing is None:
        work = comparisons.work_on(left, right)
        if work is None or work.status is ActivityStatus.SUCCEEDED:
            return _no_rows("none", "")
        if not work.status.is_over:
            return _no_rows("running", work.stage, work.progress)
        return _no_rows(work.status.value, "" if work.error is None else work.error.message)
    if pairing["why_not"]:
        return _no_rows("impossible", pairing["why_not"])
    return SameRows(
        state="done",
        message="",
        progress=1.0,
        rows=pairing["rows"],
        apart=pairing["apart"],
        metrics=[
            PairedFacts(
                metric=line.metric, left=line.left, right=line.right, difference=_difference(line.difference)
            )
            for line in paired_lines(pairing)
        ],
    )


def _no_rows(state: Any, message: str, progress: float = 0.0) -> SameRows:
    return SameRows(state=state, message=message, progress=progress, rows=None, apart=None, metrics=[])


def _side(side: Side) -> SideFacts:
    version = side.version
    return SideFacts(
        model_id=side.model.id,
        name=side.model.name,
        version=version.version,
        dataset_name=version.dataset_name,
        target=version.target,
    )


def _line(line: Line) -> LineFacts:
    return LineFacts(label=line.label, left=line.left, right=line.right, differs=line.left != line.right)


def _interval(found: tuple[float, float] | None) -> IntervalFacts | None:
    return None if found is None else IntervalFacts(low=found[0], high=found[1])


def _difference(found: Difference | None) -> DifferenceFacts | None:
    if found is None:
        return None
    return DifferenceFacts(
        value=found.value,
        interval=_interval(found.interval),
        better=found.better,
        message=found.verdict,
    )
