"""How scores and durations of models are written."""

from django import template

from models_app.presenters import metric_label as _metric_label

register = template.Library()


@register.filter
def score(value: float | None) -> str:
    """Four significant digits; an undefined score is a dash, never a zero."""
    if value is None:
        return "–"
    if 1e-6 <= abs(value) < 1e-4:
        return f"{value:.6f}"  # ``g`` would write an exponent
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


@register.filter
def signed_score(value: float | None) -> str:
    """A difference of two scores, with its sign."""
    return "–" if value is None else f"+{score(value)}" if value > 0 else score(value).replace("-", "−")


@register.filter
def score_range(bounds: tuple[float, float] | None) -> str:
    """Both ends of an interval; a dash where there is none."""
    return "–" if bounds is None else f"{score(bounds[0])} to {score(bounds[1])}"


@register.filter
def percent(share: float) -> str:
    """A share in percent; what is not nothing does not look like it."""
    return "–" if share == 0 else f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


@register.filter
def metric_label(name: str) -> str:
    """A metric's name for people."""
    return _metric_label(name)


@register.filter
def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds; microseconds below a tenth of one."""
    if seconds is None:
        return "–"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-4 else f"{seconds * 1e3:.3g} ms"


@register.filter
def figure_cell(value: object) -> str:
    """A cell of a figure's table: counts whole, shares and scores short, an undefined one as a dash."""
    if value is None or isinstance(value, float):
        return score(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
