"""How scores and durations of models are written."""

from django import template

from models_app.presenters import metric_label as _metric_label

register = template.Library()


@register.filter
def score(value: float | None) -> str:
    """Four significant digits; an undefined score is a dash, never a zero."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


@register.filter
def metric_label(name: str) -> str:
    """A metric's name for people."""
    return _metric_label(name)


@register.filter
def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds; microseconds below a tenth of one."""
    if seconds is None:
        return "–"
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-4 else f"{seconds * 1e3:.3g} ms"
