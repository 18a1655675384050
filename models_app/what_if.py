"""What another value changes: a prediction against the first one that was asked for."""

from dataclasses import dataclass
from typing import Any, Final

from django.core import signing

from ml.readable import plain_number
from models_app.records import Model
from models_app.services import Prediction

# Of more classes the first answer would be longer than the form it travels in.
_MOST_SHARES: Final = 50


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The answer that others are compared with. ``shares`` of its most probable classes; none for a number."""

    answer: str | float
    shares: dict[str, float]

    @classmethod
    def of(cls, prediction: Prediction) -> "FirstAnswer":
        ranked = sorted((prediction.probabilities or {}).items(), key=lambda item: -item[1])
        return cls(prediction.prediction, dict(ranked[:_MOST_SHARES]))

    def sealed(self, *, model: Model, version: int) -> str:
        """As a page carries it; only for predictions of this version."""
        return signing.dumps([self.answer, self.shares], salt=_salt(model, version), compress=True)

    @classmethod
    def opened(cls, sealed: str, *, model: Model, version: int) -> "FirstAnswer | None":
        """What ``sealed`` has made; None for anything else."""
        try:
            answer, shares = signing.loads(sealed, salt=_salt(model, version))
        except signing.BadSignature:
            return None
        return cls(answer, shares)

    def change_of(self, name: str, share: float) -> str:
        """How much more or less probable a class has become, in points; nothing where it has not changed."""
        if name not in self.shares:
            return ""
        return _signed(100 * (share - self.shares[name]), "{:.1f}", " points")

    def against(self, prediction: Prediction) -> str:
        """One sentence on the change."""
        now = prediction.prediction
        if isinstance(now, float) and isinstance(self.answer, float):
            change = _signed(now - self.answer, "", "")
            return _sentence(change, plain_number(self.answer))
        share = self.shares.get(str(self.answer))
        known = "" if share is None else f" ({100 * share:.1f} %)"
        if now != self.answer:
            return f"the first answer was {self.answer}{known}"
        probabilities: dict[str, Any] = prediction.probabilities or {}
        change = self.change_of(str(now), probabilities.get(str(now), 0.0))
        return _sentence(change, f"{self.answer}{known}")


def _sentence(change: str, first: str) -> str:
    return f"{change or 'no change'} against the first answer, {first}"


def _signed(value: float, form: str, unit: str) -> str:
    text = form.format(abs(value)) if form else plain_number(float(f"{abs(value):.4g}"))
    if float(text.replace(",", "")) == 0:
        return ""
    return f"{'+' if value > 0 else '−'}{text}{unit}"


def _salt(model: Model, version: int) -> str:
    return f"first-answer:{model.id}:{version}"
