"""Template filters of the page that describes the API."""

import json
import re
from typing import Any

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def code_words(text: str) -> SafeString:
    """A text in which words between backticks are code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", conditional_escape(text)))  # noqa: S308 -- escaped


@register.filter
def as_json(value: Any) -> str:
    """A value as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
