"""The part of the training form that most people can leave alone: what is learned, how it is checked, with what."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ml.options import METRICS, ClassWeights, HoldoutKind
from ml.problem import ProblemType
from models_app import setup
from models_app.job_settings import (
    MAX_ANSWER_MS,
    MAX_HOLDOUT,
    MAX_SEED,
    MIN_ANSWER_MS,
    MIN_HOLDOUT,
    JobSettings,
)
from models_app.presenters import metric_label
from models_app.setup_presenter import FAMILY_LABELS, METRIC_NOTES, PROBLEM_LABELS

_MIN_PERCENT, _MAX_PERCENT = round(100 * MIN_HOLDOUT), round(100 * MAX_HOLDOUT)
_HOLDOUT_CHOICES = (
    (HoldoutKind.RANDOM.value, "Random rows, classes in proportion"),
    (HoldoutKind.TIME.value, "The latest rows, by a time column"),
    (HoldoutKind.GROUP.value, "Whole groups, by a group column"),
)
_WEIGHT_CHOICES = (
    (ClassWeights.NONE.value, "As they are"),
    (ClassWeights.BALANCED.value, "Balanced: each class counts alike in fitting"),
)
# What the services call these fields.
_COLUMN_FIELDS = {HoldoutKind.TIME.value: "time_column", HoldoutKind.GROUP.value: "group_column"}
_TICKED = {"class": "form-check-input"}
_USUAL = JobSettings(target="")


def metric_choices(problem_types: Iterable[ProblemType] = ProblemType) -> list[Any]:
    """Metrics for a select, each with what it says in a line; grouped when there are several problem types."""
    groups = [
        (
            PROBLEM_LABELS[kind],
            [(name, f"{metric_label(name)}: {METRIC_NOTES[name]}") for name in METRICS[kind]],
        )
        for kind in problem_types
    ]
    if len(groups) > 1:
        return [("", "The usual one: accuracy for classes, RMSE for numbers"), *groups]
    (_, fitting), *_ = groups
    return [("", f"The usual one: {fitting[0][1].partition(':')[0]}"), *fitting]


class ColumnSelect(forms.Select):
    """A choice of one column. There may be thousands, too many for a template each."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """As Django's, in one go."""
        chosen = "" if value is None else str(value)
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((key, SafeString(" selected") if key == chosen else "", label) for key, label in self.choices),
        )
        return format_html(
            '<select name="{}"{}>{}</select>', name, flatatt(self.build_attrs(self.attrs, attrs)), options
        )


class SetupForm(forms.Form):
    """Every field may be missing: what is not sent has its default."""

    problem_type = forms.ChoiceField(
        label="Problem type",
        required=False,
        choices=[
            ("", "As inferred from the data"),
            *((kind.value, label) for kind, label in PROBLEM_LABELS.items()),
        ],
        help_text="Few whole numbers can be classes or a number: say which you mean.",
    )
    metric = forms.ChoiceField(
        label="Metric",
        required=False,
        help_text="Decides between models, and is the headline score. All others are reported too.",
    )
    holdout_share = forms.IntegerField(
        label="Held out, in percent",
        required=False,
        initial=20,
        help_text=f"Of the rows, {_MIN_PERCENT} to {_MAX_PERCENT}. They are used for nothing but the score.",
    )
    holdout_kind = forms.ChoiceField(
        label="Which rows",
        required=False,
        choices=_HOLDOUT_CHOICES,
        initial=HoldoutKind.RANDOM.value,
        widget=forms.RadioSelect(attrs=_TICKED),
    )
    time_column = forms.ChoiceField(
        label="Time column",
        required=False,
        widget=ColumnSelect,
        help_text="Rows of equal time stay together; rows without one are used nowhere. It stays a feature unless "
        "you leave it out.",
    )
    group_column = forms.ChoiceField(
        label="Group column",
        required=False,
        widget=ColumnSelect,
        help_text="All rows of a customer, a patient, a machine … on one side. It is not a feature, because new "
        "groups have names no model has seen.",
    )
    group_is_feature = forms.BooleanField(label="Use the group column as a feature as well", required=False)
    leave_out = forms.MultipleChoiceField(
        label="Columns to leave out",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What will not be known when you predict, and what only repeats the target.",
        error_messages={"invalid_choice": "This dataset has no column “%(value)s”."},
    )
    families = forms.MultipleChoiceField(
        label="Model families",
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs=_TICKED),
        help_text="None ticked: those of the preset.",
        error_messages={"invalid_choice": "“%(value)s” cannot be fitted here."},
    )
    class_weights = forms.ChoiceField(
        label="Rare classes",
        required=False,
        choices=_WEIGHT_CHOICES,
        initial=ClassWeights.NONE.value,
        help_text="Balanced finds rare classes more often, with more false alarms and less truthful probabilities. "
        "Scores stay unweighted; neural nets and neighbours take no weights.",
    )
    answer_ms = forms.FloatField(
        label="Answers within … ms",
        required=False,
        min_value=MIN_ANSWER_MS,
        max_value=MAX_ANSWER_MS,
        help_text="One row, on this machine. The best of the quick models is kept, alone; what that "
        "gives up is said. Empty: the best model, however long it takes.",
    )
    seed = forms.IntegerField(
        label="Seed",
        required=False,
        initial=0,
        help_text="The same number gives the same rows and the same chances again.",
    )

    def __init__(self, *args: object, columns: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through to Django as they came
        names = [(name, name) for name in columns]
        offered = [(family.name, FAMILY_LABELS[family.name]) for family in setup.families_offered()]
        choices = {
            "metric": metric_choices(),
            "time_column": [("", "Choose a column"), *names],
            "group_column": [("", "Choose a column"), *names],
            "leave_out": names,
            "families": offered,
        }
        for name, values in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = values

    def narrow_metrics(self, problem_type: ProblemType) -> None:
        """Offer the metrics of one problem type alone."""
        field = self.fields["metric"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = metric_choices([problem_type])

    def clean_holdout_share(self) -> float:
        """A share of 1; the form says percent."""
        percent: int | None = self.cleaned_data["holdout_share"]
        if percent is not None and not _MIN_PERCENT <= percent <= _MAX_PERCENT:
            raise forms.ValidationError(f"Hold out {_MIN_PERCENT} to {_MAX_PERCENT} percent of the rows.")
        return _USUAL.holdout_share if percent is None else percent / 100

    def clean_seed(self) -> int:
        """A whole number that every library takes."""
        seed: int = self.cleaned_data["seed"] or 0
        if not 0 <= seed <= MAX_SEED:
            raise forms.ValidationError(f"The seed must be between 0 and {MAX_SEED}.")
        return seed

    def clean(self) -> dict[str, Any]:
        """A kind of holdout that goes by a column needs that column."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        name = self.holdout_field
        if name and not cleaned.get(name) and name not in self.errors:
            what = "time" if name == "time_column" else "group"
            self.add_error(name, f"Choose the column that holds the {what}, or hold out random rows.")
        return cleaned

    @property
    def holdout_field(self) -> str | None:
        """The field of the column that the chosen kind of holdout goes by."""
        return _COLUMN_FIELDS.get(str(self["holdout_kind"].value() or ""))

    @property
    def is_advanced(self) -> bool:
        """Whether something here is chosen, or wrong, so that it must be seen."""
        defaults = setup_initial(_USUAL)
        return any(
            name in self.errors or _plain(self[name].value()) not in ("", _plain(default))
            for name, default in defaults.items()
        )

    @property
    def left_out(self) -> frozenset[str]:
        """The columns that are ticked, for a list that may be thousands long."""
        return frozenset(self["leave_out"].value() or ())

    @property
    def columns_ticked_first(self) -> list[tuple[str, str]]:
        """The columns that can be left out; those that are, where nobody has to look for them."""
        field, ticked = self.fields["leave_out"], self.left_out
        assert isinstance(field, forms.ChoiceField)
        choices: Any = field.choices
        return sorted(choices, key=lambda choice: choice[0] not in ticked)

    def setup_settings(self) -> dict[str, Any]:
        """The valid fields, by their names in ``JobSettings``."""
        data = self.cleaned_data
        kind = HoldoutKind(data["holdout_kind"] or HoldoutKind.RANDOM)
        wanted = ProblemType(data["problem_type"]) if data["problem_type"] else None
        return {
            "problem_type": wanted,
            "metric": data["metric"] or None,
            "holdout_share": data["holdout_share"],
            "holdout_kind": kind,
            "holdout_column": data[self.holdout_field] if self.holdout_field else None,
            "group_is_feature": kind is HoldoutKind.GROUP and data["group_is_feature"],
            "leave_out": tuple(data["leave_out"]),
            "families": tuple(data["families"]),
            "class_weights": ClassWeights(data["class_weights"] or ClassWeights.NONE),
            "seed": data["seed"],
            "answer_ms": data["answer_ms"],
        }


def setup_initial(settings: JobSettings, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Earlier settings as the form shows them, as far as ``columns`` and the installed families allow."""
    column = settings.holdout_column if columns is None or settings.holdout_column in columns else None
    kind = settings.holdout_kind if column else HoldoutKind.RANDOM
    offered = {family.name for family in setup.families_offered()}
    return {
        "problem_type": settings.problem_type.value if settings.problem_type else "",
        "metric": settings.metric or "",
        "holdout_share": round(100 * settings.holdout_share),
        "holdout_kind": kind.value,
        "time_column": column if kind is HoldoutKind.TIME else "",
        "group_column": column if kind is HoldoutKind.GROUP else "",
        "group_is_feature": settings.group_is_feature and kind is HoldoutKind.GROUP,
        "leave_out": [name for name in settings.leave_out if columns is None or name in columns],
        "families": [name for name in settings.families if name in offered],
        "class_weights": settings.class_weights.value,
        "seed": settings.seed,
        "answer_ms": "" if settings.answer_ms is None else f"{settings.answer_ms:g}",
    }


def field_of(service_field: str, form: SetupForm) -> str:
    """What the form calls a field that a service has refused."""
    return form.holdout_field or service_field if service_field == "holdout_column" else service_field


def _plain(value: object) -> str:
    """A field's value for comparison: nothing ticked is nothing."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value in (None, False) else str(value)
