"""The samples on offer, for the places where a person has nothing yet."""

from django import template

from datasets.samples import SAMPLES

register = template.Library()


@register.inclusion_tag("datasets/_samples.html", takes_context=True)
def sample_forms(context: template.Context) -> dict[str, object]:
    """A form for each sample."""
    return {"samples": SAMPLES, "csrf_token": context.get("csrf_token")}
