"""A person's totals for the pages of ``accounts``, which stands below ``datasets`` and cannot ask it."""

from django import template

from datasets import repository
from datasets.records import Totals

register = template.Library()


@register.simple_tag
def storage_totals(user_id: str) -> Totals:
    """How much ``user_id`` has stored.

    :raises MetadataUnavailable: MongoDB does not answer.
    """
    return repository.totals(user_id=user_id)
