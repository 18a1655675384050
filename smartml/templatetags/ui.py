"""Template tags of the layout: icons, form widgets with Tabler's classes, durations, names in sentences."""

import math
import re

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.templatetags.static import static
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """An icon of the sprite: decoration by default, an image with a name when ``label`` is given."""
    named = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon {}" width="24" height="24" {} focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        named,
        static("vendor/icons.svg"),
        name,
    )


@register.simple_tag
def widget(field: BoundField, classes: str = "") -> SafeString:
    """The field's control with the class Tabler expects for its kind, marked when it is invalid.

    Django itself adds ``aria-describedby`` for the help text and the errors, and ``aria-invalid``.
    """
    control = field.field.widget
    if isinstance(control, CheckboxInput | CheckboxSelectMultiple | RadioSelect):
        own = "form-check-input"
    elif isinstance(control, Select):
        own = "form-select"
    else:
        own = "form-control"
    names = [own, classes, str(control.attrs.get("class", "")), "is-invalid" if field.errors else ""]
    return field.as_widget(attrs={"class": " ".join(name for name in names if name)})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether the label belongs beside the control rather than above it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def duration(seconds: float | str | None) -> str:
    """Seconds as people say them: ``0.4 s``, ``12 s``, ``1 min 20 s``, ``2 h 5 min``; empty for no number."""
    try:
        value = float(seconds)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    if not math.isfinite(value):
        return ""
    value = max(value, 0.0)
    if 0 < value < 0.01:
        return f"{value * 1000:.1f} ms"
    if value < 1:
        return f"{value:.2f}".rstrip("0").rstrip(".") + " s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


@register.filter
def with_code(sentence: str) -> SafeString:
    """A sentence of the app with what stands between backticks as code; everything else stays text."""
    parts = re.split(r"`([^`]*)`", sentence)
    shown = [
        format_html("<code>{}</code>", part) if odd % 2 else conditional_escape(part)
        for odd, part in enumerate(parts)
    ]
    return mark_safe("".join(shown))  # noqa: S308 -- every part has been escaped above
